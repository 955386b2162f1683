"""Summaries of the calls that change, for readers who watch all calls."""

import asyncio
from collections.abc import Callable, Mapping

import orjson

from evibridge.bus import EventBus, Told
from evibridge.event_wire import utc_text
from evibridge.events import (
    ApprovalGiven,
    ApprovalWanted,
    CallBegan,
    CallDialled,
    CallEnded,
    EndReason,
)
from evibridge.operators.event_reader import EventReader

PERIOD_S = 0.5
SOON_S = 0.05
"""After what somebody waits for; events that come together are told together."""
ENDS_BY_ITSELF = frozenset({"agent_speaking", "caller_speaking"})
"""States that are over with time, without an event."""
WAITED_FOR = (ApprovalWanted, ApprovalGiven, CallBegan, CallDialled, CallEnded)


class Summaries:
    """Offers summaries of calls that had an event, encoded once for all readers.

    One timer for all of them, and none while nothing changes. What a slow reader has not taken
    comes with the next that it takes. A call that has ended is told of once more, as ended, even
    if nobody knows it by then.

    Args:
        summary: as `WatchedCalls.summary`
        clock: Unix time in seconds
    """

    def __init__(
        self,
        bus: EventBus,
        summary: Callable[[str], Mapping[str, object] | None],
        clock: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._summary = summary
        self._clock = clock
        self._changed: set[str] = set()
        self._owed: dict[EventReader, frozenset[str]] = {}
        """Calls that have changed before, for each reader that has not taken it."""
        self._speaking: dict[str, object] = {}
        """Calls whose state time alone may change, with the state that was told."""
        self._last_words: dict[str, Mapping[str, object]] = {}
        """Of calls that have ended and that not every reader knows of: as they were then."""
        self._unsubscribe: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def join(self, reader: EventReader) -> None:
        """Offer what changes from now on."""
        if self._unsubscribe is None:
            self._unsubscribe = self._bus.subscribe(self._on_told)
        self._owed[reader] = frozenset()

    def leave(self, reader: EventReader) -> None:
        """Offer it no more."""
        self._owed.pop(reader, None)
        if not self._owed and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
            self._changed.clear()
            self._speaking.clear()
            self._last_words.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _on_told(self, told: Told) -> None:
        if isinstance(told.event, CallEnded):
            self._keep_last_words(told.call_id, told.event.reason)
        elif self._bus.has_ended(told.call_id):
            return  # its end was news of all of it
        else:
            self._last_words.pop(told.call_id, None)  # another call has its id
        self._changed.add(told.call_id)
        self._wait(SOON_S if isinstance(told.event, WAITED_FOR) else PERIOD_S)

    def _keep_last_words(self, call_id: str, reason: EndReason) -> None:
        summary = self._summary(call_id)
        if summary is not None:
            over: dict[str, object] = {
                "state": "ended",
                "end_reason": reason,
                "approvals": [],
                "tool": None,
            }
            self._last_words[call_id] = {**summary, **over}

    def _wait(self, wait_s: float) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if self._timer.when() <= loop.time() + wait_s:
                return
            self._timer.cancel()
        self._timer = loop.call_later(wait_s, self._offer)

    def _offer(self) -> None:
        self._timer = None
        changed, self._changed = self._changed | self._fallen_silent(), set()
        texts: dict[frozenset[str], bytes] = {}
        for reader, owed in self._owed.items():
            calls = owed | changed
            if calls and reader.keeps_up:
                text = texts.get(calls)
                if text is None:
                    text = texts[calls] = self._message(calls)
                reader.offer(text)
                calls = frozenset()
            self._owed[reader] = calls
        owed = frozenset().union(*self._owed.values())
        self._last_words = {
            call_id: each for call_id, each in self._last_words.items() if call_id in owed
        }
        if owed or self._speaking:
            self._wait(PERIOD_S)

    def _fallen_silent(self) -> set[str]:
        """Calls in which somebody was speaking, and does no more."""
        states = {call_id: _state(self._of(call_id)) for call_id in self._speaking}
        return {call_id for call_id, state in states.items() if state != self._speaking[call_id]}

    def _message(self, calls: frozenset[str]) -> bytes:
        summaries = [self._of(call_id) for call_id in sorted(calls)]
        for call_id, summary in zip(sorted(calls), summaries, strict=True):
            self._speaking.pop(call_id, None)
            if (state := _state(summary)) in ENDS_BY_ITSELF:
                self._speaking[call_id] = state
        return orjson.dumps(
            {
                "type": "summaries",
                "at": utc_text(self._clock()),
                "calls": [summary for summary in summaries if summary is not None],
            }
        )

    def _of(self, call_id: str) -> Mapping[str, object] | None:
        """A call as it is now; one whose end was told is as it was then, until it has settled."""
        summary, last_words = self._summary(call_id), self._last_words.get(call_id)
        has_settled = summary is not None and summary.get("state") == "ended"
        return summary if last_words is None or has_settled else last_words


def _state(summary: Mapping[str, object] | None) -> object:
    return None if summary is None else summary.get("state")
