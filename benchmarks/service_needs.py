"""What a call costs beyond its audio: microseconds of a call-second, each need by itself.

Each is the bridge's own code, told what the calls of `in_process_calls` are told in a talk. No need
is part of another.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import cast

from benchmarks.in_process_calls import (
    SYSTEM_PROMPT,
    Publish,
    mark_echo,
    open_calls,
    started_stream,
)
from benchmarks.talk import CHUNK_MS, TALK_S, UTTERANCES, Kind, Step, talk
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action
from evibridge.agent.call import Call
from evibridge.agent.calls import Calls
from evibridge.agent.course import CallLimits
from evibridge.agent.manners import Manners
from evibridge.agent.session import CallSession
from evibridge.bus import EventBus, Told
from evibridge.event_log import log_event
from evibridge.events import CallEvent
from evibridge.metrics import ServiceMetrics

CHAT = 1
"""Number of a call's first chat."""
MARK = "0:12345678"
PIECE = 20
"""Events that are timed together."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one need."""

    need: str
    us_per_call_s: float


async def measure_needs(calls: int, rounds: int) -> list[Cost]:
    """Time each, with so many calls in turn; the lowest of the rounds counts.

    Lines are logged to wherever the process logs.
    """
    events = await _events(calls)
    metrics = ServiceMetrics(Calls(max_calls=calls))
    counted = EventBus()
    counted.subscribe(lambda told: metrics.call_event(told.call_id, told.event))
    call_s = calls * TALK_S
    ledgers = _Ledgers(calls)
    ledger_s = _lowest_sum(ledgers.talk_s(number) for number in range(rounds))
    marks_s = calls * ledgers.marks_per_call / rounds * _mark_s(calls, rounds)
    return [
        Cost("ledger: what was said, sent and heard", ledger_s / call_s * 1e6),
        Cost("events and metrics", _publish_s(counted.publish, events, rounds) / call_s * 1e6),
        Cost("logs", _publish_s(_log, events, rounds) / call_s * 1e6),
        Cost("marks: placing and reading them", marks_s / call_s * 1e6),
    ]


def _log(call_id: str, event: CallEvent) -> None:
    log_event(Told(call_id, 0, 0.0, event))


class _Ledgers:
    """The sessions of calls, without the calls: they are told facts, and keep account.

    Attributes:
        marks_per_call: so many marks were to be placed, in all talks
    """

    def __init__(self, count: int) -> None:
        self.marks_per_call = 0
        self._sessions = [_session() for _ in range(count)]

    def talk_s(self, number: int) -> list[float]:
        """Tell all of them the next talk; how long each step took, in s."""
        steps = [step for step in talk(number * UTTERANCES) if step.message is not None]
        times_s = []
        for step in steps:
            now_s = number * TALK_S + step.at_ms / 1000
            begin_s = perf_counter()
            placed = self._tell(step, now_s)
            times_s.append(perf_counter() - begin_s)
            self.marks_per_call += bool(placed)
        return times_s

    def _tell(self, step: Step, now_s: float) -> list[str]:
        """Tell one step, and that every mark that is placed then was heard; returns the last."""
        placed: list[str] = []
        for session in self._sessions:
            if step.kind is Kind.CHUNK:
                utterance_id = cast("evi.AudioOutput", step.message).id
                if not session.accepts(utterance_id):
                    continue
                actions = session.agent_audio_sent(utterance_id, CHUNK_MS, now_s)
            else:
                actions = session.chat_said(CHAT, cast("evi.Message", step.message), now_s)
            placed = _settle(session, actions, now_s)
        return placed


def _settle(session: CallSession, actions: Sequence[Action], now_s: float) -> list[str]:
    """Do what a call does about the actions' consequences for the session; returns its marks."""
    marks = [action.name for action in actions if isinstance(action, act.PlaceMark)]
    if actions:
        _look_ahead(session, now_s)
    for mark in marks:
        if session.playback_heard(mark, now_s):
            _look_ahead(session, now_s)
    return marks


def _look_ahead(session: CallSession, now_s: float) -> None:
    """What a call asks its session after each fact that changes anything."""
    session.watches_caller(now_s)
    _ = session.next_wake_s


def _session() -> CallSession:
    settings = evi.SessionSettings(system_prompt=SYSTEM_PROMPT)
    session = CallSession(settings, CallLimits(), Manners(), lambda: 0.5)
    session.caller_joined(0.0)
    session.chat_said(CHAT, evi.ChatMetadata("a chat", "its group"), 0.0)
    return session


async def _events(calls: int) -> list[tuple[str, CallEvent]]:
    """Everything that calls publish in one talk, as they publish it."""
    events: list[tuple[str, CallEvent]] = []
    async with open_calls(calls, lambda call_id, event: events.append((call_id, event))) as opened:
        events.clear()  # that calls began, and chats
        for batch in opened.batches(talk(0)):
            batch.serve()
        return events.copy()


def _publish_s(publish: Publish, events: Sequence[tuple[str, CallEvent]], rounds: int) -> float:
    pieces = [events[at : at + PIECE] for at in range(0, len(events), PIECE)]
    return _lowest_sum([_publish_times_s(publish, pieces) for _ in range(rounds)])


def _publish_times_s(
    publish: Publish, pieces: Iterable[Sequence[tuple[str, CallEvent]]]
) -> list[float]:
    times_s = []
    for events in pieces:
        begin_s = perf_counter()
        for call_id, event in events:
            publish(call_id, event)
        times_s.append(perf_counter() - begin_s)
    return times_s


def _mark_s(calls: int, rounds: int) -> float:
    """To write one mark to a phone and read its echo, up to the call that is told of it."""
    deaf = cast("Call", _Deaf())
    phones = [started_stream(lambda _facts, _leg: deaf, number) for number in range(calls)]
    legs = [phone.leg for phone in phones]
    receivers = [phone.receive for phone in phones]
    echo = mark_echo(MARK)

    def place() -> None:
        for leg in legs:
            leg.mark(MARK)

    def read() -> None:
        for receive in receivers:
            receive(echo)

    return (_lowest_s(place, rounds) + _lowest_s(read, rounds)) / calls


class _Deaf:
    """A call to which it is no news that a mark was heard."""

    def playback_heard(self, mark: str) -> None:
        """Nothing follows."""


def _lowest_s(work: Callable[[], None], rounds: int) -> float:
    times_s = []
    for _ in range(rounds):
        begin_s = perf_counter()
        work()
        times_s.append(perf_counter() - begin_s)
    return min(times_s)


def _lowest_sum(rounds: Iterable[Sequence[float]]) -> float:
    """Sum of the times of all steps, of each step the lowest of its rounds, in s."""
    return sum((min(times) for times in zip(*rounds, strict=True)), start=0.0)
