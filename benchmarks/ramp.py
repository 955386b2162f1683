"""More and more calls at a time, until each program has shown how many it carries: its knee."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from benchmarks.call_figures import COLUMNS, Result, cells
from benchmarks.report import table
from benchmarks.turns import NO_BRIDGE

ADDED_P99_BAR_MS = 50.0
"""More added latency than that is not carried."""
GENERATOR_BAR_MS = 10.0
"""Callers who are later than that, or answered later without any bridge, measure themselves."""
DISTURBANCE_BAR = 0.1
"""Share of the core under test; others who have more of it may be what did not hold."""
FULL = 0.95
"""Share of a core at which nothing is left of it."""
TRIES = 2
"""A stall of the machine looks like one of the program, but seldom comes twice."""

Step = Callable[[int, Sequence[str]], Awaitable[list[Result]]]
"""Measures programs, and no bridge before them, at a number of calls."""


class Outcome(StrEnum):
    """What became of a program at a number of calls."""

    HELD = "held"
    FAILED = "failed"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Judged:
    """One program at one number of calls.

    Attributes:
        why: it did not hold, or that is not known; empty if it held
        tries: after which it is so
    """

    result: Result
    outcome: Outcome
    why: str = ""
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Knee:
    """The most calls that a program carried, of those that were tried.

    Attributes:
        calls: 0 if not even the fewest held
        is_at_least: whether it may carry more, for `why` is no matter of its own
        why: not more
    """

    program: str
    calls: int
    is_at_least: bool
    why: str

    def __str__(self) -> str:
        return f"{self.program}: {'at least ' * self.is_at_least}{self.calls} ({self.why})"


@dataclass(slots=True)
class Ramp:
    """All that was measured, from the fewest calls to the most."""

    steps: list[Judged] = field(default_factory=list)
    knees: list[Knee] = field(default_factory=list)


async def climb(step: Step, programs: Sequence[str], numbers: Iterable[int]) -> Ramp:
    """Measure at one number of calls after the other; who fails drops out, the others go on."""
    ramp = Ramp()
    held = dict.fromkeys(programs, 0)
    tried = 0
    for tried in numbers:
        for judged in await _tried(step, tried, list(held)):
            ramp.steps.append(judged)
            name = judged.result.program
            if name not in held:
                continue
            if judged.outcome is Outcome.HELD:
                held[name] = tried
            else:
                at_least = judged.outcome is Outcome.UNKNOWN
                ramp.knees.append(Knee(name, held.pop(name), at_least, judged.why))
        if not held:
            break
    ramp.knees += [
        Knee(name, calls, is_at_least=True, why=f"no more than {tried} tried")
        for name, calls in held.items()
    ]
    return ramp


async def _tried(step: Step, calls: int, programs: Sequence[str]) -> list[Judged]:
    """Measure and judge; whatever did not hold has another try."""
    judged = judge(await step(calls, programs))
    for tries in range(2, TRIES + 1):
        doubtful = [each.result.program for each in judged if each.outcome is not Outcome.HELD]
        if not doubtful:
            break
        again = await step(calls, [name for name in doubtful if name != NO_BRIDGE] or programs)
        anew = {each.result.program: each for each in judge(again, tries=tries)}
        judged = [
            anew[each.result.program] if each.result.program in doubtful else each
            for each in judged
        ]
    return judged


def judge(results: Sequence[Result], *, tries: int = 1) -> list[Judged]:
    """Judge all programs of one number of calls; the first is no bridge."""
    without, *programs = results
    doubt = doubt_about(without, answered_after_ms=without.heard_ms.p99)
    outcome = Outcome.UNKNOWN if doubt else Outcome.HELD
    judged = [Judged(without, outcome, doubt, tries)]
    for result in programs:
        why = fault_of(result)
        if result.fault is None and doubt:
            judged.append(Judged(result, Outcome.UNKNOWN, doubt, tries))
        elif why and (own_doubt := doubt_about(result)):
            judged.append(Judged(result, Outcome.UNKNOWN, own_doubt, tries))
        else:
            judged.append(Judged(result, Outcome.FAILED if why else Outcome.HELD, why, tries))
    return judged


def fault_of(result: Result) -> str:
    """What a program did not carry; empty if it carried everything."""
    if result.fault is not None:
        return f"{result.calls} cannot be opened: {result.fault}"
    if result.frames_lost:
        return f"{result.calls} lost {result.frames_lost} frames"
    if not result.added_ms.p99 <= ADDED_P99_BAR_MS:  # not a number if there were no answers at all
        return f"{result.calls} added {result.added_ms.p99:.0f} ms at p99"
    return ""


def doubt_about(result: Result, answered_after_ms: float = 0.0) -> str:
    """Why a measurement says nothing about the program; empty if it does.

    Args:
        result: of the program
        answered_after_ms: p99 of the time until an answer, if there is no bridge
    """
    if result.load > FULL:
        return f"the callers' own core was full at {result.calls}"
    late_ms = max(result.callers_late_p99_ms, answered_after_ms)
    if late_ms > GENERATOR_BAR_MS:
        return (
            f"the callers themselves were {late_ms:.0f} ms late at {result.calls}, "
            f"with {result.load:.2f} of their core"
        )
    if result.program != NO_BRIDGE and result.disturbed > DISTURBANCE_BAR:
        return f"others had {result.disturbed:.2f} of the core at {result.calls}"
    return ""


def shown(ramp: Ramp) -> str:
    """The curve as a table, and the knees."""
    rows = [(*cells(step.result), step.outcome, f"{step.tries}") for step in ramp.steps]
    knees = "\n".join(f"- {knee}" for knee in ramp.knees)
    return (
        f"{table((*COLUMNS, 'outcome', 'tries'), rows)}\n\n"
        f"The most calls that held: added p99 up to {ADDED_P99_BAR_MS:g} ms, and no frame lost.\n\n"
        f"{knees}"
    )
