"""How long a call by WebRTC takes: the caller's voice to EVI, and silence after an interruption.

    python -m benchmarks.webrtc_latency --calls 10 --seconds 10

The caller's voice is timed from a packet that a page sends, in which it becomes loud, to the loud
`audio_input` at the EVI server. An interruption is timed from `user_interruption` at the server to
the last packet with sound at the page. Both are taken outside of the bridge on one clock, so two
ways over loopback and the wake-ups of two other programs are in the figures.
"""

import argparse
import asyncio
import json
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from benchmarks.heard import percentile
from benchmarks.processes import Cores, running
from benchmarks.report import headline, machine, numbers_only, table
from benchmarks.turns import OPENING_TIMEOUT_S
from benchmarks.webrtc_calls import BRIDGE, REPORT_TIMEOUT_S, WARM_UP_S, bridge
from benchmarks.webrtc_stand_in import INTERRUPTED, IS_SILENT_S
from benchmarks.webrtc_voice import BURST_EVERY, FRAME_MS

CALLS, SECONDS = 10, 10.0
ADDED_P95_BAR_MS, SILENCED_P99_BAR_MS = 25.0, 40.0
LAST_SOUND_WITHIN_S = IS_SILENT_S - 0.05
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


@dataclass(frozen=True, slots=True)
class Result:
    """Times of one kind, in ms."""

    what: str
    calls: int
    times_ms: list[float]

    def after_ms(self, share: float) -> float:
        """The time that this share does not exceed."""
        return percentile(self.times_ms, share)

    @property
    def summary(self) -> dict[str, object]:
        """Everything, with percentiles for the single times."""
        times = {name: self.after_ms(share) for name, share in SHARES.items()}
        return {"what": self.what, "calls": self.calls, "count": len(self.times_ms), "ms": times}


async def measure(calls: int, seconds: float) -> list[Result]:
    """Measure both."""
    voice_ms, silenced_ms = list[float](), list[float]()
    for page, chat in await _talk(calls, seconds, BRIDGE):
        voice_ms += arrived_after_ms(page["bursts_s"], chat["bursts_s"])
    for page, chat in await _talk(calls, seconds, INTERRUPTED):
        silenced_ms += silenced_after_ms(page["sounds_s"], chat["interrupted_s"])
    return [
        Result("caller's voice to EVI", calls, voice_ms),
        Result("interruption to silence", calls, silenced_ms),
    ]


def arrived_after_ms(sent_s: Sequence[float], heard_s: Sequence[float]) -> list[float]:
    """From each packet in which a voice becomes loud to the loud audio that came of it."""
    times_ms = []
    for at_s in sent_s:
        came = bisect_left(heard_s, at_s)
        if came < len(heard_s) and heard_s[came] - at_s < BURST_EVERY * FRAME_MS / 1000:
            times_ms.append((heard_s[came] - at_s) * 1000)
    return times_ms


def silenced_after_ms(sounds_s: Sequence[float], interrupted_s: Sequence[float]) -> list[float]:
    """From each interruption to the last sound before the agent speaks again; 0 if none came."""
    times_ms = []
    for at_s in interrupted_s:
        first = bisect_left(sounds_s, at_s)
        end = bisect_right(sounds_s, at_s + LAST_SOUND_WITHIN_S)
        was_heard = bool(first) and at_s - sounds_s[first - 1] < LAST_SOUND_WITHIN_S
        is_over = end < len(sounds_s)
        if was_heard and is_over:
            times_ms.append((sounds_s[end - 1] - at_s) * 1000 if end > first else 0.0)
    return times_ms


async def _talk(
    calls: int, seconds: float, config_id: str
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What each page and its chat have noted."""
    cores = Cores.divided()
    with cores.with_us_as_load():
        async with bridge(cores, calls, config_id) as (server, evi):
            command = f"-m benchmarks.webrtc_pages --calls {calls} --seconds {seconds} --warm-up"
            arguments = [*command.split(), str(WARM_UP_S), server.origin]
            arguments += ["--decode"] if config_id == INTERRUPTED else []
            async with running(arguments, cores.load) as pages:
                await pages.line(timeout_s=OPENING_TIMEOUT_S)
                heard = json.loads(await pages.line(timeout_s=seconds + REPORT_TIMEOUT_S))
                async with (
                    aiohttp.ClientSession() as http,
                    http.get(f"{evi.origin}/times") as answer,
                ):
                    chats = await answer.json()
    return list(zip(heard, chats, strict=True))


def shown(results: Sequence[Result]) -> str:
    """Results as a table, and the bars."""
    rows = [
        (
            f"{each.calls} calls, {each.what}",
            f"{len(each.times_ms)}",
            *(f"{each.after_ms(share):.1f}" for share in SHARES.values()),
        )
        for each in results
    ]
    text = table(("", "times", *(f"{name}, ms" for name in SHARES)), rows)
    bars = f"p95 {ADDED_P95_BAR_MS:g} ms of the voice, p99 {SILENCED_P99_BAR_MS:g} ms of silence"
    return f"{text}\n\nBars: {bars}."


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.webrtc_latency")
    options.add_argument("--calls", type=int, default=CALLS, help="at the same time")
    options.add_argument("--seconds", type=float, default=SECONDS, help="of each kind")
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    results = asyncio.run(measure(given.calls, given.seconds))
    if given.json:
        figures = {"machine": machine(), "webrtc_latency": [each.summary for each in results]}
        print(json.dumps(numbers_only(figures), indent=2))
    else:
        print(f"{headline()}\n\n{shown(results)}")


if __name__ == "__main__":
    main()
