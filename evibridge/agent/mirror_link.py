"""The mirror socket of a chat over a whole sidecar: one connection after another, to the same chat.

Pure, as `chat_link.py` is. Connections are numbered, so that news of one that was given up change
nothing.

    OPENING ──opened──► OPEN ──lost──► WAITING ──due──► OPENING
        ├──────failed─────────────────────▲
        └──────not allowed──► BARRED (what the chat's webhooks tell is all that is known of it)

Where webhooks tell what matters, a mirror that does not come is not waited for any more, and yet
tried now and then.
"""

from collections.abc import Callable
from enum import Enum, auto

from evibridge.agent.actions import Action, Connect, Disconnect
from evibridge.events import EndReason

ATTEMPT_S = 4.0
"""For one connection; a server that lives opens it within a second."""
FIRST_DELAY_S = 0.1
"""Before the first attempt after a loss."""
MAX_DELAY_S = 4.0
"""Between two attempts; the delay doubles up to this, half of it at random."""
SELDOM_S = 30.0
"""Between two attempts while the chat is followed without a mirror; half of it at random."""
STEADY_S = 10.0
"""A connection that has held for so long begins the delays anew."""

_CLOSED_AS_USUAL = 1000
_POLICY = 1008
_BAD_KEY = 401
_NOT_ALLOWED = 403
_NO_SUCH_CHAT = frozenset({400, 404, 410, 422})
"""EVI: which of them an unknown or finished chat is answered with is UNCONFIRMED."""


class MirrorFate(Enum):
    """What it means that a mirror could not be opened, or is gone."""

    CHAT_IS_OVER = auto()
    NOT_ALLOWED = auto()
    """The chat was not opened with `allow_connection`."""
    BAD_KEY = auto()
    COMES_BACK = auto()


def fate_of_close(code: int) -> MirrorFate:
    """What the close code of an open mirror means."""
    if code == _CLOSED_AS_USUAL:
        return MirrorFate.CHAT_IS_OVER
    return MirrorFate.NOT_ALLOWED if code == _POLICY else MirrorFate.COMES_BACK


def fate_of_refusal(status: int | None) -> MirrorFate:
    """What the HTTP status of a refused handshake means; None if nobody answered."""
    if status in _NO_SUCH_CHAT:
        return MirrorFate.CHAT_IS_OVER
    if status == _BAD_KEY:
        return MirrorFate.BAD_KEY
    return MirrorFate.NOT_ALLOWED if status == _NOT_ALLOWED else MirrorFate.COMES_BACK


class _State(Enum):
    CLOSED = auto()
    OPENING = auto()
    OPEN = auto()
    WAITING = auto()
    BARRED = auto()


class MirrorLink:
    """Follows the mirrors of one chat. Time is an argument, in seconds.

    Args:
        first_s: how long the first mirror is waited for
        resume_s: how long another one is waited for after a loss
        random: gives numbers from 0 to 1
    """

    def __init__(self, *, first_s: float, resume_s: float, random: Callable[[], float]) -> None:
        self._first_s = first_s
        self._resume_s = resume_s
        self._random = random
        self._state = _State.CLOSED
        self.number = 0
        """Of the connection that is open, or is being opened; those before it are gone."""
        self.was_open = False
        self._failures = 0
        self._opened_s = 0.0
        self._is_not_awaited = False
        self._due_s: float | None = None
        self._give_up_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a mirror."""
        return self._state is _State.OPEN

    @property
    def is_gone_without(self) -> bool:
        """Whether there will be none, or the chat is followed without one for now."""
        return self._state is _State.BARRED or self._is_not_awaited

    @property
    def wake_s(self) -> float | None:
        """When `woke` has to be called next."""
        times = (self._due_s, self._give_up_s)
        return min((at_s for at_s in times if at_s is not None), default=None)

    def open(self, now_s: float) -> None:
        """The sidecar begins: `woke` opens the first mirror."""
        self._state = _State.WAITING
        self._due_s = now_s
        self._give_up_s = now_s + self._first_s

    def leave(self) -> None:
        """No mirror is needed any more; what is open is its owner's to close."""
        self._go(_State.CLOSED)

    def bar(self) -> None:
        """The server lets nobody mirror the chat: there is no use in asking again."""
        self._go(_State.BARRED)

    def go_on_without(self) -> None:
        """It was waited for long enough: it may come yet, and nothing depends on that."""
        self._is_not_awaited = True
        self._give_up_s = None

    def opened(self, number: int, now_s: float) -> bool:
        """A mirror is open; returns whether it is the one that is waited for."""
        if number != self.number or self._state is not _State.OPENING:
            return False
        self._go(_State.OPEN)
        self.was_open = True
        self._is_not_awaited = False
        self._opened_s = now_s
        return True

    def gone(self, number: int, now_s: float) -> bool:
        """A mirror could not be opened, or is lost; returns whether it matters.

        It is opened again if nothing else is said.
        """
        if number != self.number or self._state not in (_State.OPENING, _State.OPEN):
            return False
        if self._state is _State.OPEN:
            self._give_up_s = now_s + self._resume_s
            if now_s - self._opened_s >= STEADY_S:
                self._failures = 0
        self._wait(now_s)
        return True

    def woke(self, now_s: float) -> list[Action] | EndReason:
        """The time of `wake_s` has come.

        Returns:
            mirrors to open and to drop; or why the sidecar ends, when it has waited long enough
        """
        if self._give_up_s is not None and self._give_up_s <= now_s:
            return EndReason.EVI_LOST if self.was_open else EndReason.EVI_UNREACHABLE
        if self._due_s is None or self._due_s > now_s:
            return []
        if self._state is _State.OPENING:  # the attempt took too long
            self._wait(now_s)
            return [Disconnect(self.number)]
        self._state = _State.OPENING
        self.number += 1
        self._due_s = now_s + ATTEMPT_S
        return [Connect(self.number, None, ATTEMPT_S)]

    def _go(self, state: _State) -> None:
        """Go to a state in which nothing is waited for."""
        self._state = state
        self._due_s = self._give_up_s = None

    def _wait(self, now_s: float) -> None:
        self._state = _State.WAITING
        delay_s = min(FIRST_DELAY_S * 2**self._failures, MAX_DELAY_S)
        if self._is_not_awaited:
            delay_s = SELDOM_S
        self._failures += 1
        self._due_s = now_s + delay_s * (0.5 + 0.5 * self._random())
