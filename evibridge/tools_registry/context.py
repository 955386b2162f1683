"""What a tool may know of the call it serves, and do to it."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from evibridge.dialling import checked_keys, checked_number
from evibridge.errors import ToolError

MAX_TEXT_CHARACTERS = 8 * 1024
"""Ten minutes of speech."""


class LiveCall(Protocol):
    """The call behind a `ToolContext`.

    Every method may be called from any thread and returns at once; a call that is over, or has
    given the tool up, does nothing more for it.
    """

    @property
    def digits(self) -> str:
        """Keys that the caller has pressed so far."""

    @property
    def can_transfer(self) -> bool:
        """Whether the caller can be put through to somebody."""

    def say(self, text: str) -> None:
        """Have the agent speak a text word for word."""

    def set_context(self, text: str | None) -> None:
        """Tell the model something for all its later answers; None takes it back."""

    def send_digits(self, digits: str) -> None:
        """Play the tones of these keys to the caller's side."""

    def hang_up(self) -> None:
        """End the call once everything was said."""

    def end_with(self, text: str) -> None:
        """Have the agent speak a last text, and end the call."""

    def transfer(self, to: str) -> None:
        """Put the caller through to somebody else once everything was said."""


class NoCall:
    """Stands for the call where there is none: a tool that is tried by hand, or tested."""

    digits = ""
    can_transfer = True

    def say(self, text: str) -> None:
        """Nobody hears it."""

    def set_context(self, text: str | None) -> None:
        """There is no model."""

    def send_digits(self, digits: str) -> None:
        """Nobody hears them."""

    def hang_up(self) -> None:
        """There is no call to hang up."""

    def end_with(self, text: str) -> None:
        """There is no call to end."""

    def transfer(self, to: str) -> None:
        """There is nobody to put through."""


class Asked:
    """What a method of `ToolContext` returns: it may be awaited, and need not be."""

    def __await__(self) -> Generator[None, None, None]:
        yield  # a step of the event loop, in which it is done


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ToolContext:
    """The call on whose behalf the model uses a tool.

    A tool asks for it by annotating its first parameter with this type; the model never sees that
    parameter. Numbers and parameters are personal data, so that `repr()` leaves them out.

    What acts on the call may be asked for in a coroutine and in a plain function, and happens in
    that order. A coroutine may `await` it, to go on when it has been done; nobody has to.
    """

    call_id: str
    """The bridge's own id of the call."""
    chat_id: str
    """EVI's id of the chat that the call talks to."""
    tool_call_id: str = ""
    """EVI's id of this use of the tool. It stays the same however the call came and however often
    it is tried again: hand it to other systems as the key that keeps them from acting twice."""
    caller: str | None = field(default=None, repr=False)
    """Number of the person who calls; `None` where it is withheld or there is no number."""
    called: str | None = field(default=None, repr=False)
    """Number that was called."""
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Custom parameters of the carrier's stream (Twilio: `<Parameter>` in `<Stream>`)."""
    state: dict[str, Any] = field(default_factory=dict, repr=False)
    """Belongs to the tools of this call: what one keeps here the next one finds."""
    live: LiveCall = field(default_factory=NoCall, repr=False)
    """Does what the methods ask for; given by whoever holds the call."""

    @property
    def digits(self) -> str:
        """Keys that the caller has pressed so far in this call (DTMF: `0-9*#`)."""
        return self.live.digits

    def say(self, text: str) -> Asked:
        """Have the agent speak a text word for word, as soon as it can.

        Raises:
            ValueError: there are no words in it, or more than `MAX_TEXT_CHARACTERS`
        """
        self.live.say(_words(text))
        return Asked()

    def set_context(self, text: str | None) -> Asked:
        """Tell the model something for all its later answers, in place of what was set before.

        The caller does not hear it, and it makes the agent say nothing. None takes it back.

        Raises:
            ValueError: there are no words in it, or more than `MAX_TEXT_CHARACTERS`
        """
        self.live.set_context(None if text is None else _words(text))
        return Asked()

    def send_digits(self, digits: str) -> Asked:
        """Press keys, as tones that the caller's side hears, once the agent is not speaking.

        Args:
            digits: `0-9*#A-D`; `w` is a pause of half a second

        Raises:
            ValueError: there is something else in it, or it is longer than 64
        """
        self.live.send_digits(checked_keys(digits))
        return Asked()

    def hang_up(self) -> Asked:
        """End the call, once the agent has said goodbye and the caller has heard it.

        The tool's answer still reaches the model, which may take leave on it.
        """
        self.live.hang_up()
        return Asked()

    def end_with(self, text: str) -> Asked:
        """Have the agent speak this text and nothing more, and end the call when it was heard.

        Raises:
            ValueError: there are no words in it, or more than `MAX_TEXT_CHARACTERS`
        """
        self.live.end_with(_words(text))
        return Asked()

    def transfer(self, to: str) -> Asked:
        """Put the caller through to somebody else; the agent leaves the call.

        As with `hang_up`, the agent first says what it has to say: the tool's answer still reaches
        the model, which may tell the caller what happens.

        Args:
            to: a number in E.164, such as `+14155550100`, or a `sip:` address

        Raises:
            ValueError: it is neither
            ToolError: the caller is not on a telephone of ours, which the model is told
        """
        number = checked_number(to)
        if not self.live.can_transfer:
            raise ToolError("This caller cannot be put through: the call is not on a telephone.")
        self.live.transfer(number)
        return Asked()


def _words(text: str) -> str:
    if not text.strip():
        raise ValueError("There is nothing to say: the text holds no words.")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"The text is longer than {MAX_TEXT_CHARACTERS} characters.")
    return text
