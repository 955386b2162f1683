"""All benchmarks with short defaults, in about four minutes: `make bench`.

Each can be run by itself, longer and in more rounds; docs/benchmarks.md tells how.
"""

import asyncio

from benchmarks import (
    barge_in,
    call_figures,
    calls_per_core,
    conversations,
    hot_path,
    response_time,
    resume,
    soak,
    tool_dispatch,
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
LOSSES = 3
SOAK_CALLS = 200
SECONDS_PER_SOAK_CALL = 1.0
SOAK_BLOCKS = 2


def main() -> None:
    print(f"# Benchmarks\n\n{headline()}\n", flush=True)

    print("## Calls per core\n", flush=True)
    results = asyncio.run(calls_per_core.measure(CALLS, rounds=ROUNDS))
    print(f"{call_figures.shown(results)}\n", flush=True)

    print("## Barge-in\n", flush=True)
    silenced = asyncio.run(barge_in.measure(seconds=SECONDS_OF_BARGE_IN))
    print(f"{barge_in.shown(silenced)}\n", flush=True)

    print("## Tool calls\n", flush=True)
    dispatched = asyncio.run(tool_dispatch.measure(seconds=SECONDS_OF_TOOL_CALLS))
    print(f"{tool_dispatch.shown(dispatched)}\n", flush=True)

    print("## Back after a loss\n", flush=True)
    losses = asyncio.run(resume.measure(LOSSES))
    print(f"{resume.shown(losses)}\n", flush=True)

    print("## Soak\n", flush=True)
    soaked = asyncio.run(
        soak.measure(SOAK_CALLS, seconds=SECONDS_PER_SOAK_CALL, blocks=SOAK_BLOCKS)
    )
    print(f"{soak.shown(soaked)}\n", flush=True)

    print("## Hot path\n", flush=True)
    path = hot_path.measure(calls=HOT_CALLS, rounds=HOT_ROUNDS)
    print(f"{hot_path.shown(path)}\n", flush=True)

    print("## Response time of the engine\n", flush=True)
    answers = asyncio.run(response_time.measure(QUESTIONS[:SCRIPTED_QUESTIONS], mind="script"))
    print(f"{response_time.shown(answers)}\n", flush=True)

    print("## Conversations at the same time, with a language model\n", flush=True)
    talks = conversations.measure(
        CONVERSATIONS, rounds=QUESTIONS_PER_CALLER, questions_end=["in a second"]
    )
    print(conversations.shown(asyncio.run(talks)))


if __name__ == "__main__":
    main()
