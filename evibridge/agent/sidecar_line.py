"""The caller's line of a chat that somebody else has opened: nothing here can do anything to it."""

import structlog

from evibridge.agent.call_plan import CallerFacts

log = structlog.get_logger(__name__)


class LineOfOthers:
    """What tools may ask of the line of their call, in vain: the log tells it."""

    facts: CallerFacts
    can_transfer = False

    @property
    def digits(self) -> str:
        """Keys of a telephone are told to nobody but whoever has opened the chat."""
        return ""

    def send_digits(self, digits: str) -> None:
        """The caller's line is not here."""
        del digits
        self._cannot("send_digits")

    def hang_up(self) -> None:
        """The caller's line is not here."""
        self._cannot("hang_up")

    def transfer(self, to: str) -> None:
        """Nobody asks for it: `can_transfer` says no."""
        del to

    def _cannot(self, what: str) -> None:
        log.warning("tool_asks_for_callers_line", call_id=self.facts.call_id, what=what)
