"""The connection to the EVI server over a whole call: one chat after another, all of one group.

Pure: it is told what became of each chat and says when the next one is to be opened. Chats are
numbered, so that news of one that was given up change nothing.

    OPENING ──opened──► READY ──lost──► WAITING ──due──► OPENING
        └───────failed──────────────────────▲

A *successor* is a second chat beside the first, opened before EVI's longest duration of a chat is
reached; it takes over at once or is dropped. If its predecessor is lost meanwhile, it is the next.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from evibridge.agent.actions import Action, Connect, Disconnect
from evibridge.agent.closing_codes import Retry, meaning_of_close
from evibridge.events import ChatOpening, EndReason

ATTEMPT_S = 4.0
"""For one connection with its `chat_metadata`; a server that lives answers within a second."""
FIRST_DELAY_S = 0.1
"""Before the first attempt after a loss."""
MAX_DELAY_S = 4.0
"""Between two attempts; the delay doubles up to this, half of it at random, so that the calls of a
server that died do not come back in step."""
MAX_LOSSES = 3
LOSSES_WITHIN_S = 60.0
"""More losses than this within so short a time: the server cannot hold this call."""
CHAT_S = 1800.0
"""EVI: no chat lasts longer, whatever its configuration says."""
RENEW_EARLY_S = 90.0
"""Before the longest duration of a chat, the successor waits so long for a silence."""
RENEW_LATEST_S = 15.0
"""So long before it, the successor takes over whoever speaks."""
RENEW_WINDOW_S = RENEW_EARLY_S - RENEW_LATEST_S
RENEW_AGAIN_S = 0.5
"""How often the successor looks for a silence."""
RENEW_AFTER_FAILURE_S = 5.0
"""How long after an attempt that failed the successor is tried again."""


class _State(Enum):
    CLOSED = auto()
    OPENING = auto()
    READY = auto()
    WAITING = auto()


class _Event(Enum):
    OPENED = auto()
    FAILED = auto()
    LOST = auto()
    DUE = auto()


_NEXT: Mapping[tuple[_State, _Event], _State] = {
    (_State.CLOSED, _Event.DUE): _State.OPENING,
    (_State.OPENING, _Event.OPENED): _State.READY,
    (_State.OPENING, _Event.FAILED): _State.WAITING,
    (_State.READY, _Event.LOST): _State.WAITING,
    (_State.WAITING, _Event.DUE): _State.OPENING,
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A chat has begun and is the one of this call from now on.

    Attributes:
        replaces: number of the chat that it takes over from, which has to be closed
    """

    why: ChatOpening
    replaces: int | None = None


class ChatLink:
    """Follows the chats of one call. Time is an argument, in seconds.

    Args:
        first_s: how long the first chat is waited for
        resume_s: how long another one is waited for after a loss
        random: gives numbers from 0 to 1
    """

    def __init__(self, *, first_s: float, resume_s: float, random: Callable[[], float]) -> None:
        self._first_s = first_s
        self._resume_s = resume_s
        self._random = random
        self._state = _State.CLOSED
        self._last_number = 0
        self.number: int | None = None
        """Of the chat that is being opened or is open; not of a successor."""
        self._successor: int | None = None
        self._group_id: str | None = None
        self._why = ChatOpening.FIRST
        self._failures = 0
        self._losses: deque[float] = deque(maxlen=MAX_LOSSES)
        self._last_fault: str | None = None
        self._due_s: float | None = None
        self._give_up_s: float | None = None
        self._renew_s: float | None = None
        self._renew_latest_s = 0.0

    # Questions

    @property
    def is_ready(self) -> bool:
        """Whether there is a chat that has begun."""
        return self._state is _State.READY

    @property
    def was_ready(self) -> bool:
        """Whether there has ever been one."""
        return self._group_id is not None or self._why is not ChatOpening.FIRST

    @property
    def wake_s(self) -> float | None:
        """When `woke` has to be called next."""
        times = (self._due_s, self._give_up_s, self._renew_s)
        return min((at_s for at_s in times if at_s is not None), default=None)

    def wants_silence(self, now_s: float) -> bool:
        """Whether a successor waits for a moment in which nobody speaks."""
        begins_s = self._renew_latest_s - RENEW_WINDOW_S
        return self._renew_s is not None and now_s >= begins_s

    # Facts

    def open(self, now_s: float) -> None:
        """The call begins: `woke` opens the first chat."""
        self._due_s = now_s
        self._give_up_s = now_s + self._first_s

    def hold_out(self, now_s: float) -> None:
        """The chat is gone for good, and the call goes on: it is tried again all the same."""
        if self._state is _State.READY:
            self._lose(now_s, counts=False)
        elif self.number is not None:
            self.failed(self.number, now_s)
        self.wait_on(now_s)

    def wait_on(self, now_s: float) -> None:
        """The server is waited for anew, as after a loss."""
        self._give_up_s = now_s + self._resume_s

    def leave(self) -> None:
        """The call needs no chat any more; what is open is its owner's to close."""
        self._state = _State.CLOSED
        self.number = self._successor = None
        self._due_s = self._give_up_s = self._renew_s = None

    def opened(self, number: int, group_id: str, now_s: float, *, is_quiet: bool) -> Opened | None:
        """A chat has begun; None if it is not wanted (any more) and has to be closed.

        `is_quiet` tells whether nobody speaks, so that a successor can take over unnoticed.
        """
        if number == self._successor:
            return self._succeed(number, group_id, now_s, is_quiet=is_quiet)
        if number != self.number or self._state is not _State.OPENING:
            return None
        self._go(_Event.OPENED)
        if self._group_id is not None and group_id != self._group_id:
            self._why = ChatOpening.AFRESH
        self._begin(group_id, now_s)
        return Opened(self._why)

    def failed(self, number: int, now_s: float) -> None:
        """A chat could not be opened, for a reason that may pass."""
        if number == self._successor:
            self._successor = None
            self._renew_s = now_s + RENEW_AFTER_FAILURE_S
        elif number == self.number and self._state is _State.OPENING:
            self._go(_Event.FAILED)
            self._wait(now_s)

    def refused(self, number: int, now_s: float) -> bool:
        """The server does not let a chat be opened; returns whether that is the end.

        It may be the group that it does not take (UNCONFIRMED which status tells): the call goes on
        in a new one.
        """
        if number == self.number and self._group_id is None:
            return True
        if number == self.number:
            self._forget_group()
        self.failed(number, now_s)
        return False

    def closed(
        self,
        number: int,
        code: int,
        error: str | None,
        now_s: float,
        *,
        may_be_idle: bool = False,
    ) -> Retry | EndReason | None:
        """A chat has closed; `may_be_idle` excuses that nobody has spoken.

        Returns:
            how it will be had again, or why the call ends; None if it is not the call's own chat,
            or was not open yet and is tried again
        """
        if number == self._successor or number != self.number:
            self.failed(number, now_s)
            return None
        meaning = meaning_of_close(code, error, opened=self.is_ready)
        excused = may_be_idle and meaning is EndReason.INACTIVITY
        if excused:
            meaning = Retry.RESUME
        if meaning is EndReason.EVI_REFUSED and self._state is _State.OPENING:
            return EndReason.EVI_REFUSED if self.refused(number, now_s) else None
        if isinstance(meaning, EndReason):
            return meaning
        if meaning is Retry.AFRESH:
            self._forget_group()
        if self._state is _State.OPENING:
            self.failed(number, now_s)
            return None
        if not excused and self._is_hopeless(error, now_s):
            return EndReason.EVI_LOST
        self._lose(now_s, counts=not excused)
        return meaning

    def talked(self) -> None:
        """The caller was understood: whatever fault there was, it has passed."""
        self._last_fault = None

    def renew(self, now_s: float) -> None:
        """Move to another chat of the group at the next moment in which nobody speaks."""
        if self.is_ready and self._successor is None:
            self._renew_s = now_s
            self._renew_latest_s = min(self._renew_latest_s, now_s + RENEW_WINDOW_S)

    def woke(self, now_s: float, *, is_quiet: bool) -> list[Action] | EndReason:
        """The time of `wake_s` has come.

        Returns:
            chats to open and to drop; or why the call ends, when the server was waited for long
            enough
        """
        if self._give_up_s is not None and self._give_up_s <= now_s:
            return EndReason.EVI_LOST if self.was_ready else EndReason.EVI_UNREACHABLE
        actions: list[Action] = []
        if self._due_s is not None and self._due_s <= now_s:
            actions += self._try_again(now_s)
        if self._renew_s is not None and self._renew_s <= now_s:
            actions += self._try_to_succeed(now_s, is_quiet=is_quiet)
        return actions

    # Inside

    def _forget_group(self) -> None:
        if self._group_id is not None:
            self._group_id = None
            self._why = ChatOpening.AFRESH
            self._failures = 0  # the server is there, and only does not know the group

    def _go(self, event: _Event) -> None:
        self._state = _NEXT[self._state, event]

    def _next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _try_again(self, now_s: float) -> list[Action]:
        if self._state is _State.OPENING:  # the attempt took too long
            assert self.number is not None
            given_up = self.number
            self._go(_Event.FAILED)
            self._wait(now_s)
            return [Disconnect(given_up)]
        self._go(_Event.DUE)
        self.number = self._next_number()
        self._due_s = now_s + ATTEMPT_S
        return [Connect(self.number, self._group_id, ATTEMPT_S)]

    def _try_to_succeed(self, now_s: float, *, is_quiet: bool) -> list[Action]:
        if self._successor is not None:  # the attempt took too long
            given_up, self._successor = self._successor, None
            self._renew_s = now_s + RENEW_AFTER_FAILURE_S
            return [Disconnect(given_up)]
        if is_quiet or now_s >= self._renew_latest_s:
            self._successor = self._next_number()
            self._renew_s = now_s + ATTEMPT_S
            return [Connect(self._successor, self._group_id, ATTEMPT_S)]
        self._renew_s = now_s + RENEW_AGAIN_S
        return []

    def _begin(self, group_id: str, now_s: float) -> None:
        self._group_id = group_id
        self._failures = 0
        self._due_s = self._give_up_s = None
        ends_s = now_s + CHAT_S
        self._renew_s = ends_s - RENEW_EARLY_S
        self._renew_latest_s = ends_s - RENEW_LATEST_S

    def _lose(self, now_s: float, *, counts: bool) -> None:
        self._go(_Event.LOST)
        if counts:
            self._losses.append(now_s)
        self._give_up_s = now_s + self._resume_s
        if self._group_id is not None:
            self._why = ChatOpening.RESUMED
        attempt_ends_s, self._renew_s = self._renew_s, None
        if self._successor is None:
            self._wait(now_s)
        else:  # it is on its way already
            self._go(_Event.DUE)
            self.number, self._successor = self._successor, None
            self._due_s = attempt_ends_s

    def _wait(self, now_s: float) -> None:
        self.number = None
        delay_s = min(FIRST_DELAY_S * 2**self._failures, MAX_DELAY_S)
        self._failures += 1
        self._due_s = now_s + delay_s * (0.5 + 0.5 * self._random())

    def _is_hopeless(self, error: str | None, now_s: float) -> bool:
        """Whether the same fault of the server's comes back, or too many come in a row."""
        fault = error if error is not None and error.startswith("I") else None
        again = fault is not None and fault == self._last_fault
        self._last_fault = fault
        is_row = len(self._losses) == MAX_LOSSES
        return again or (is_row and now_s - self._losses[0] <= LOSSES_WITHIN_S)

    def _succeed(
        self, number: int, group_id: str, now_s: float, *, is_quiet: bool
    ) -> Opened | None:
        self._successor = None
        if not is_quiet and now_s < self._renew_latest_s:
            self._renew_s = now_s + RENEW_AGAIN_S
            return None
        replaces, self.number = self.number, number
        why = ChatOpening.RENEWED if group_id == self._group_id else ChatOpening.AFRESH
        self._begin(group_id, now_s)
        return Opened(why, replaces)
