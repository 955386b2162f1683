"""All benchmarks with short defaults, in about five minutes: `make bench`.

Each can be run by itself, longer and in more rounds; docs/benchmarks.md tells how.
"""

import asyncio
from collections.abc import Callable, Mapping

from benchmarks import (
    barge_in,
    call_figures,
    calls_per_core,
    console_page,
    conversations,
    hot_path,
    recording,
    response_time,
    resume,
    soak,
    tool_dispatch,
    watched_calls,
    webrtc_calls,
    webrtc_latency,
)
from benchmarks.questions import QUESTIONS
from benchmarks.report import headline

CALLS = (10, 50)
ROUNDS = 8
HOT_CALLS, HOT_ROUNDS = 50, 2
SCRIPTED_QUESTIONS = 3
CONVERSATIONS = (1, 4)
QUESTIONS_PER_CALLER = 3
SECONDS_OF_BARGE_IN = 6.0
SECONDS_OF_TOOL_CALLS = 3.0
SECONDS_OF_WATCHING, ROUNDS_OF_WATCHING = 4.0, 2
SECONDS_OF_CONSOLES, ROUNDS_OF_CONSOLES = 4.0, 1
MINUTES_OF_RECORDING = 60.0
WEBRTC_CALLS, SECONDS_OF_WEBRTC = 8, 4.0
LOSSES = 3
SOAK_CALLS = 200
SECONDS_PER_SOAK_CALL = 1.0
SOAK_BLOCKS = 2


BENCHMARKS: Mapping[str, Callable[[], str]] = {
    "Calls per core": lambda: call_figures.shown(
        asyncio.run(calls_per_core.measure(CALLS, rounds=ROUNDS))
    ),
    "Barge-in": lambda: barge_in.shown(asyncio.run(barge_in.measure(seconds=SECONDS_OF_BARGE_IN))),
    "Tool calls": lambda: tool_dispatch.shown(
        asyncio.run(tool_dispatch.measure(seconds=SECONDS_OF_TOOL_CALLS))
    ),
    "Watched calls": lambda: watched_calls.shown(
        asyncio.run(watched_calls.measure(seconds=SECONDS_OF_WATCHING, rounds=ROUNDS_OF_WATCHING))
    ),
    "The console": lambda: console_page.shown(
        asyncio.run(console_page.measure(seconds=SECONDS_OF_CONSOLES, rounds=ROUNDS_OF_CONSOLES))
    ),
    "Calls by WebRTC": lambda: webrtc_calls.shown(
        asyncio.run(webrtc_calls.compare(WEBRTC_CALLS, SECONDS_OF_WEBRTC, rounds=1))
    ),
    "Latency by WebRTC": lambda: webrtc_latency.shown(
        asyncio.run(webrtc_latency.measure(WEBRTC_CALLS, SECONDS_OF_WEBRTC))
    ),
    "Recording": lambda: recording.shown(asyncio.run(recording.measure(MINUTES_OF_RECORDING))),
    "Back after a loss": lambda: resume.shown(asyncio.run(resume.measure(LOSSES))),
    "Soak": lambda: soak.shown(
        asyncio.run(soak.measure(SOAK_CALLS, seconds=SECONDS_PER_SOAK_CALL, blocks=SOAK_BLOCKS))
    ),
    "Hot path": lambda: hot_path.shown(hot_path.measure(calls=HOT_CALLS, rounds=HOT_ROUNDS)),
    "Response time of the engine": lambda: response_time.shown(
        asyncio.run(response_time.measure(QUESTIONS[:SCRIPTED_QUESTIONS], mind="script"))
    ),
    "Conversations at the same time, with a language model": lambda: conversations.shown(
        asyncio.run(
            conversations.measure(
                CONVERSATIONS, rounds=QUESTIONS_PER_CALLER, questions_end=["in a second"]
            )
        )
    ),
}
"""By their titles: each takes its time and returns what to print."""


def main() -> None:
    print(f"# Benchmarks\n\n{headline()}", flush=True)
    for title, run in BENCHMARKS.items():
        print(f"\n## {title}\n", flush=True)
        print(run(), flush=True)


if __name__ == "__main__":
    main()
