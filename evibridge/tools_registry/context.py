"""What a tool may know of the call it serves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


def _no_digits() -> str:
    return ""


def _nothing() -> None:
    """There is no call to hang up."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ToolContext:
    """The call on whose behalf the model uses a tool.

    A tool asks for it by annotating its first parameter with this type; the model never sees that
    parameter. Numbers and parameters are personal data, so that `repr()` leaves them out.
    """

    call_id: str
    """The bridge's own id of the call."""
    chat_id: str
    """EVI's id of the chat that the call talks to."""
    caller: str | None = field(default=None, repr=False)
    """Number of the person who calls; `None` where it is withheld or there is no number."""
    called: str | None = field(default=None, repr=False)
    """Number that was called."""
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Custom parameters of the carrier's stream (Twilio: `<Parameter>` in `<Stream>`)."""
    state: dict[str, Any] = field(default_factory=dict, repr=False)
    """Belongs to the tools of this call: what one keeps here the next one finds."""
    read_digits: Callable[[], str] = field(default=_no_digits, repr=False)
    """Answers `digits`; given by whoever holds the call."""

    request_hang_up: Callable[[], object] = field(default=_nothing, repr=False)
    """Does what `hang_up` asks for; given by whoever holds the call."""

    def hang_up(self) -> None:
        """End the call, once the agent has said goodbye and the caller has heard it.

        The tool's answer still reaches the model, which may take leave on it.
        """
        self.request_hang_up()

    @property
    def digits(self) -> str:
        """Keys that the caller has pressed so far in this call (DTMF: `0-9*#`)."""
        return self.read_digits()
