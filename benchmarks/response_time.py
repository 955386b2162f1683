"""How long the engine lets a caller wait: from the last word to the first sound of the answer.

    python -m benchmarks.response_time --mind model

A caller with a synthetic voice asks questions over the engine's chat socket, 8 kHz and in real
time. The mind is the script of the example shop, or a language model: a stand-in that takes as long
to begin as a quick one does. Most of the wait is the silence that ends a turn, which is a setting
of the conversation; the rest is recognition, the mind, synthesis and everything between.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.engine_caller import Turn, calling
from benchmarks.engine_under_test import FIRST_TOKEN_MS, MINDS, Mind, engine
from benchmarks.heard import percentile
from benchmarks.questions import QUESTIONS, spoken
from benchmarks.report import headline, machine, table
from evibridge.engine.hearing.turns import TurnTaking


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a question."""

    question: str
    turn: Turn


@dataclass(frozen=True, slots=True)
class ResponseTime:
    """What a caller waited for, and what of that is a setting."""

    mind: Mind
    answers: list[Answer]
    p50_ms: float
    p95_ms: float
    end_of_turn_silence_ms: int


async def measure(
    questions: Sequence[str] = QUESTIONS,
    *,
    mind: Mind,
    first_token_ms: float = FIRST_TOKEN_MS,
) -> ResponseTime:
    """Start an engine and ask it everything."""
    speeches = [spoken(question) for question in questions]
    async with (
        engine(mind, first_token_ms=first_token_ms) as server,
        calling(server.origin) as caller,
    ):
        turns = [await caller.ask(speech) for speech in speeches]
    times_ms = [turn.response_ms for turn in turns]
    return ResponseTime(
        mind,
        [Answer(question, turn) for question, turn in zip(questions, turns, strict=True)],
        p50_ms=percentile(times_ms, 0.5),
        p95_ms=percentile(times_ms, 0.95),
        end_of_turn_silence_ms=TurnTaking().end_of_turn_silence_ms,
    )


def shown(result: ResponseTime) -> str:
    """The figures, question by question."""
    columns = ("question [understood as]", "understood", "first words", "heard")
    rows = [
        (
            f"{answer.question} [{answer.turn.understood_as}]",
            f"{answer.turn.understood_ms:.0f}",
            f"{answer.turn.words_ms:.0f}",
            f"{answer.turn.response_ms:.0f}",
        )
        for answer in result.answers
    ]
    return (
        f"{table(columns, rows)}\n\n"
        f"Response time with a {result.mind} as mind: p50 {result.p50_ms:.0f} ms, "
        f"p95 {result.p95_ms:.0f} ms, of which {result.end_of_turn_silence_ms} ms are the silence "
        f"that ends a turn. All times are from the end of the last word, in ms."
    )


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.response_time")
    options.add_argument("--questions", type=int, default=len(QUESTIONS), help="how many")
    options.add_argument("--mind", choices=MINDS, default="script")
    options.add_argument(
        "--first-token-ms", type=float, default=FIRST_TOKEN_MS, help="of the language model"
    )
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    result = asyncio.run(
        measure(QUESTIONS[: given.questions], mind=given.mind, first_token_ms=given.first_token_ms)
    )
    if given.json:
        print(json.dumps({"machine": machine(), "response_time": asdict(result)}, indent=2))
    else:
        print(f"{headline()}\n\n{shown(result)}")


if __name__ == "__main__":
    main()
