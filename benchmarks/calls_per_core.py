"""What a phone call costs, and how many one core carries: CPU, memory, lost frames, added latency.

    python -m benchmarks.calls_per_core --calls 10,50 --rounds 20
    python -m benchmarks.calls_per_core --ramp

Both sides of a call talk all the time, which is the worst case. The callers of the EVI server
itself, of the floor and of the bridge take turns: of a second at fixed numbers of calls, of five in
a ramp, so that overload shows. A ramp adds calls until every program has added more than 50 ms to
p99 of the latency, or lost a frame.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.call_figures import Result, results, shown
from benchmarks.other_bridge import OtherBridge, add_options
from benchmarks.ramp import ADDED_P99_BAR_MS, Ramp, climb
from benchmarks.ramp import shown as shown_ramp
from benchmarks.report import headline, machine, numbers_only
from benchmarks.turns import BRIDGE, FLOOR, WARM_UP_S, Others, take_turns

TURN_S = 1.0
RAMP_TURN_S = 5.0
RAMP_ROUNDS = 2
RAMP_STEP, RAMP_LIMIT = 50, 1000
OURS = (FLOOR, BRIDGE)


async def measure(
    calls: Sequence[int],
    *,
    rounds: int,
    warm_up_s: float = WARM_UP_S,
    also: Sequence[OtherBridge] = (),
    evi_port: int | None = None,
) -> list[Result]:
    """Measure without a bridge, with the floor and with all bridges at each number of calls."""
    others = Others(also)
    measured = []
    for number in calls:
        usages = await take_turns(
            number,
            [*OURS, *(bridge.name for bridge in also)],
            others=others,
            rounds=rounds,
            turn_s=TURN_S,
            warm_up_s=warm_up_s,
            evi_port=evi_port,
        )
        measured += results(usages)
    return measured


async def measure_ramp(
    numbers: Sequence[int],
    *,
    rounds: int = RAMP_ROUNDS,
    turn_s: float = RAMP_TURN_S,
    warm_up_s: float = WARM_UP_S,
    also: Sequence[OtherBridge] = (),
    evi_port: int | None = None,
) -> Ramp:
    """Measure at rising numbers of calls, each program until it fails."""
    others = Others(also)

    async def step(calls: int, programs: Sequence[str]) -> list[Result]:
        usages = await take_turns(
            calls,
            programs,
            others=others,
            rounds=rounds,
            turn_s=turn_s,
            warm_up_s=warm_up_s,
            evi_port=evi_port,
        )
        return results(usages)

    return await climb(step, [*OURS, *(bridge.name for bridge in also)], numbers)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.calls_per_core")
    options.add_argument("--calls", default="10,50", help="numbers of calls, with commas")
    options.add_argument("--rounds", type=int, help="turns for each; 20, in a ramp 2")
    options.add_argument(
        "--ramp",
        type=int,
        nargs="?",
        const=RAMP_STEP,
        metavar="STEP",
        help=f"so many calls, and so many more each time ({RAMP_STEP}), up to each program's knee",
    )
    options.add_argument(
        "--limit", type=int, default=RAMP_LIMIT, help="the most calls of a ramp (%(default)s)"
    )
    add_options(
        options,
        config_id="config_id=NAME: without it, lost frames of the agent alone are counted",
    )
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    _run_ramp(given) if given.ramp else _run_calls(given)


def _run_calls(given: argparse.Namespace) -> None:
    calls = [int(number) for number in given.calls.split(",")]
    rounds = given.rounds or 20
    measured = asyncio.run(measure(calls, rounds=rounds, also=given.also, evi_port=given.evi_port))
    figures = [asdict(result) for result in measured]
    _print({"calls_per_core": figures}, shown(measured), as_json=given.json)


def _run_ramp(given: argparse.Namespace) -> None:
    numbers = range(given.ramp, given.limit + 1, given.ramp)
    rounds = given.rounds or RAMP_ROUNDS
    ramp = asyncio.run(
        measure_ramp(numbers, rounds=rounds, also=given.also, evi_port=given.evi_port)
    )
    figures = {"added_p99_bar_ms": ADDED_P99_BAR_MS, **asdict(ramp)}
    _print({"ramp": figures}, shown_ramp(ramp), as_json=given.json)


def _print(figures: dict[str, object], text: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(numbers_only({"machine": machine(), **figures}), indent=2))
    else:
        print(f"{headline()}\n\n{text}")


if __name__ == "__main__":
    main()
