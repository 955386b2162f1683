"""How long an engine lets callers wait who all talk to it at the same time.

    python -m benchmarks.conversations --conversations 1,2,4

All callers ask, listen to the answer and ask again, in real time. Their questions end at once or
within a second, which are the worst cases, or spread over the time of a turn, which is the usual
one. A turn is late if it takes much longer than a single caller's.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.caller_lines import RATE_HZ
from benchmarks.engine_caller import EngineCaller, Turn, calling
from benchmarks.engine_under_test import FIRST_TOKEN_MS, MINDS, Mind, engine
from benchmarks.engine_work import STEPS, Meter, Work, cell
from benchmarks.heard import percentile
from benchmarks.processes import Server
from benchmarks.questions import QUESTIONS, spoken
from benchmarks.report import headline, machine, table

SPREADS_S = {"at once": 0.0, "in a second": 1.0, "spread": 6.0}
"""Within how much time the questions of a round end. A question and its answer take about 10 s."""
LATE_MS = 300
"""A turn that takes so much longer than the median of a single caller is felt as late."""
HOLE_MS = 100
"""Silence inside an answer that does not pass for a pause."""
LEAD_S = 0.1
"""Between two rounds, before the longest question begins."""


@dataclass(frozen=True, slots=True)
class Result:
    """So many conversations at the same time, and what their callers waited for.

    Attributes:
        questions_end: how the questions of a round lie to each other, one of `SPREADS_S`
        engine_cores: CPU time of the engine by the time that passed
        work: what the engine says of its own steps
        callers_late_p99_ms: how late the callers sent their own audio: noise of the machine
    """

    conversations: int
    questions_end: str
    turns: list[Turn]
    engine_cores: float
    work: list[Work]
    callers_late_p99_ms: float

    def response_ms(self, share: float) -> float:
        """The response time that this share of the turns does not exceed."""
        return percentile([turn.response_ms for turn in self.turns], share)

    def late(self, usual_ms: float) -> int:
        """How many turns were late, given the median of a single caller."""
        return sum(turn.response_ms > usual_ms + LATE_MS for turn in self.turns)


async def measure(
    conversations: Sequence[int],
    *,
    rounds: int,
    questions_end: Sequence[str] = tuple(SPREADS_S),
    mind: Mind = "model",
    first_token_ms: float = FIRST_TOKEN_MS,
    **parts: Mapping[str, Any],
) -> list[Result]:
    """Measure a single caller, then each other number of them in each spread, on one engine.

    Args:
        conversations: numbers of callers
        rounds: how many questions each caller asks
        questions_end: keys of `SPREADS_S`
        mind: what answers
        first_token_ms: how long a language model takes to begin
        parts: other sections of engine.yaml, as `voice={"kind": "hibari", "workers": 2}`
    """
    speeches = [spoken(question) for question in QUESTIONS[: rounds * max(conversations)]]
    single, *_ = SPREADS_S
    numbers = [number for number in conversations if number > 1]
    plan = [(1, single), *((number, ends) for number in numbers for ends in questions_end)]
    async with engine(mind, first_token_ms=first_token_ms, **parts) as server:
        return [await _talk(server, speeches, number, ends, rounds=rounds) for number, ends in plan]


async def _talk(
    server: Server, speeches: Sequence[bytes], number: int, questions_end: str, *, rounds: int
) -> Result:
    within_s, dice = SPREADS_S[questions_end], random.Random(number)
    meter = Meter(server.origin)
    turns: list[Turn] = []
    async with AsyncExitStack() as stack:
        calls = (stack.enter_async_context(calling(server.origin)) for _ in range(number))
        callers = await asyncio.gather(*calls)
        await meter.start()
        cpu_s, began_s = server.program.cpu_s(), time.perf_counter()
        for first in range(0, rounds * number, number):
            asked = [speeches[(first + at) % len(speeches)] for at in range(number)]
            turns += await _round(callers, asked, within_s, dice)
        engine_cores = (server.program.cpu_s() - cpu_s) / (time.perf_counter() - began_s)
        work = await meter.read()
    late_ms = [ms for caller in callers for ms in caller.late_ms]
    return Result(
        number,
        questions_end,
        turns,
        engine_cores,
        work,
        callers_late_p99_ms=percentile(late_ms, 0.99),
    )


async def _round(
    callers: Sequence[EngineCaller],
    questions: Sequence[bytes],
    within_s: float,
    dice: random.Random,
) -> list[Turn]:
    """Let everybody ask once; each question ends anywhere in an equal part of the time."""
    longest_s = max(len(question) for question in questions) / 2 / RATE_HZ
    first_end_s = time.perf_counter() + LEAD_S + longest_s
    part_s = within_s / len(callers)
    ends_s = [first_end_s + (at + dice.random()) * part_s for at in range(len(callers))]
    asking = zip(callers, questions, ends_s, strict=True)
    return await asyncio.gather(
        *(caller.ask(question, ends_at_s=end_s) for caller, question, end_s in asking)
    )


def shown(results: Sequence[Result]) -> str:
    """Two tables: what callers waited for, and where the time went."""
    return f"{_waits(results)}\n\n{_parts(results)}"


def _waits(results: Sequence[Result]) -> str:
    usual_ms = results[0].response_ms(0.5)
    columns = (
        "conversations, questions end",
        "p50, ms",
        "p95, ms",
        "max, ms",
        "late turns",
        "broken answers",
        "engine's cores",
        "callers late, ms p99",
    )
    rows = [
        (
            _name(result),
            *(f"{result.response_ms(share):.0f}" for share in (0.5, 0.95, 1.0)),
            f"{result.late(usual_ms)} of {len(result.turns)}",
            f"{sum(turn.holes_ms > HOLE_MS for turn in result.turns)}",
            f"{result.engine_cores:.2f}",
            f"{result.callers_late_p99_ms:.1f}",
        )
        for result in results
    ]
    return table(columns, rows)


def _parts(results: Sequence[Result]) -> str:
    columns = ("mean ms of", "understood", "first words", "first sound", *STEPS)
    rows = [
        (
            _name(result),
            *(f"{mean_ms:.0f}" for mean_ms in _means_ms(result.turns)),
            *(cell(result.work, step) for step in STEPS),
        )
        for result in results
    ]
    return table(columns, rows)


def _means_ms(turns: Sequence[Turn]) -> tuple[float, float, float]:
    """Until a question was understood, from there to the first words, from there to their sound."""
    understood_ms = sum(turn.understood_ms for turn in turns) / len(turns)
    words_ms = sum(turn.words_ms for turn in turns) / len(turns)
    response_ms = sum(turn.response_ms for turn in turns) / len(turns)
    return understood_ms, words_ms - understood_ms, response_ms - words_ms


def _name(result: Result) -> str:
    if result.conversations == 1:
        return "1"
    return f"{result.conversations}, {result.questions_end}"


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.conversations")
    options.add_argument("--conversations", default="1,2,4", help="numbers of callers")
    options.add_argument("--rounds", type=int, default=6, help="questions of each caller")
    options.add_argument("--mind", choices=MINDS, default="model")
    options.add_argument("--first-token-ms", type=float, default=FIRST_TOKEN_MS)
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    results = asyncio.run(
        measure(
            [int(number) for number in given.conversations.split(",")],
            rounds=given.rounds,
            mind=given.mind,
            first_token_ms=given.first_token_ms,
        )
    )
    if given.json:
        figures = [asdict(result) for result in results]
        print(json.dumps({"machine": machine(), "conversations": figures}, indent=2))
    else:
        print(f"{headline()}\n\n{shown(results)}")


if __name__ == "__main__":
    main()
