"""What the engine itself says to a caller when something goes wrong."""

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """Spoken word for word.

    Attributes:
        greeting: the mind was asked for one, and failed
        filler: while the answer is still being thought of
        apology: there is no answer, because the mind or the voice failed
        please_repeat: what the caller said was not recognised
        farewell: for a mind that hangs up without a word
    """

    greeting: str = "Hello."
    filler: str = "One moment, please."
    apology: str = "I am sorry, I cannot answer that just now."
    please_repeat: str = "I am sorry, I did not catch that. Could you say it again?"
    farewell: str = "Goodbye."

    def all(self) -> tuple[str, ...]:
        """Every phrase, for a voice that speaks them beforehand."""
        return astuple(self)
