"""The phases of a call, from the caller's coming to the end.

TALKING ──hang-up decided──► CLOSING ──all was said and heard──► ENDED
   └──the server left for good──┴──► LAST_WORDS ──all was heard────▲
any ──the caller hung up, a deadline, a fault──────────────────────┘
"""

from collections.abc import Mapping
from enum import Enum, auto

from evibridge.events import EndReason


class Phase(Enum):
    """Where a call is."""

    TALKING = auto()
    CLOSING = auto()
    """A hang-up is decided; the agent may say goodbye."""
    LAST_WORDS = auto()
    """The server can say nothing more; what it has sent is heard out."""
    ENDED = auto()


class Turning(Enum):
    """What leads from one phase to another."""

    HANG_UP = auto()
    SERVER_LEFT = auto()
    END = auto()


_NEXT: Mapping[tuple[Phase, Turning], Phase] = {
    (Phase.TALKING, Turning.HANG_UP): Phase.CLOSING,
    (Phase.TALKING, Turning.SERVER_LEFT): Phase.LAST_WORDS,
    (Phase.CLOSING, Turning.SERVER_LEFT): Phase.LAST_WORDS,
    (Phase.TALKING, Turning.END): Phase.ENDED,
    (Phase.CLOSING, Turning.END): Phase.ENDED,
    (Phase.LAST_WORDS, Turning.END): Phase.ENDED,
}


class CallPhase:
    """The phase of one call, and why it leaves it."""

    def __init__(self) -> None:
        self._phase = Phase.TALKING
        self.reason = EndReason.AGENT_HUNG_UP
        """Why the call is to end, once that is decided."""

    @property
    def is_talking(self) -> bool:
        """Whether no end is decided."""
        return self._phase is Phase.TALKING

    @property
    def is_closing(self) -> bool:
        """Whether a hang-up is decided and the agent may still speak."""
        return self._phase is Phase.CLOSING

    @property
    def has_server(self) -> bool:
        """Whether the server still has a part in the call."""
        return self._phase in (Phase.TALKING, Phase.CLOSING)

    @property
    def is_over(self) -> bool:
        """Whether nothing follows."""
        return self._phase is Phase.ENDED

    def go(self, turning: Turning, reason: EndReason | None = None) -> None:
        """Go on to the next phase; `reason` replaces the one that is known.

        Raises:
            KeyError: nothing leads there from here
        """
        self._phase = _NEXT[self._phase, turning]
        self.reason = reason or self.reason
