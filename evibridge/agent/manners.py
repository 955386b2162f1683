"""How a call is held, apart from what the agent says."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from evibridge.agent.digits import DigitCollection


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """What its author may choose of an agent's conduct on the line.

    Attributes:
        cut_off_by_words: whether the agent falls silent when the server tells words of the caller,
            though it tells of no interruption. EVI tells of interruptions only while it generates,
            which is long before the telephone has played it all: `after_turn` is for that case;
            `always` is quicker, but a murmur cuts the agent off; `never` waits for EVI alone
        tells_what_was_heard: whether the model learns, after an interruption, how far its words got
        filler: what the caller hears when the EVI server is not there and everything has been
            silent for a moment: a sentence, which the engine's voice speaks, or the path of a WAV
            file; None for silence
        digits: how pressed keys are collected and told
        apology: spoken by the carrier when a call cannot be saved, before it is hung up or goes to
            somebody else
        closing: spoken by the carrier when a call is ended because it was too long, or because the
            service ends
    """

    cut_off_by_words: Literal["after_turn", "always", "never"] = "after_turn"
    tells_what_was_heard: bool = True
    filler: str | Path | None = "One moment, please."
    digits: DigitCollection = field(default_factory=DigitCollection)
    apology: str = "We are sorry, this line has a technical problem. Please call again later."
    closing: str = "We have to end this call now. Please call again later. Goodbye."
