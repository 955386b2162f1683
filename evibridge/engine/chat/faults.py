"""What can be wrong in a chat, in the words of EVI's `error` messages. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """What an `error` message tells; `E` codes blame the client, `I` codes the engine.

    The codes are EVI's; slugs for them are not documented (UNCONFIRMED U24). `loc` and `kind` are
    for answers over HTTP: the steps to the member that is wrong, and pydantic's word for it.
    """

    code: str
    slug: str
    message: str
    loc: tuple[str | int, ...] = ()
    kind: str = "value_error"


NOT_JSON = Fault("E0100", "invalid_json", "A text message must be one JSON object.")
INTERNAL_FAULT = Fault("I0100", "internal_error", "The engine failed; please connect again.")
GROUP_NOT_FOUND = Fault(
    "E0708", "chat_group_not_found", "There is no chat group of this id: connect without it."
)
MODEL_TIMED_OUT = Fault(
    "E0712",
    "custom_language_model_timed_out",
    "The language model did not answer in time; the chat goes on.",
)
MODEL_FAILED = Fault(
    "E0712",
    "custom_language_model_failed",
    "The language model gave no usable answer; the chat goes on.",
)
"""The same code as a model that is late: clients know it as a fault of the model that the chat
survives, and EVI's code for other faults of a model is not documented (UNCONFIRMED U24)."""
NOT_TRANSCRIBED = Fault(
    "I0116", "transcription_failure", "The caller's words could not be recognised."
)


def inactive(duration_s: float) -> Fault:
    """The fault that ends a chat in which nobody speaks (E0714)."""
    sentence = f"Chat was ended because no user message was received in {duration_s:g} seconds."
    return Fault("E0714", "inactivity_timeout", sentence)


def too_long(duration_s: float) -> Fault:
    """The fault that ends a chat at its longest duration (E0715)."""
    sentence = f"Chat was ended because it reached its longest duration of {duration_s:g} seconds."
    return Fault("E0715", "max_duration_timeout", sentence)


def malformed(
    sentence: str, *, loc: tuple[str | int, ...] = (), kind: str = "value_error"
) -> Fault:
    """The fault of a message that lacks something or has it wrong (E0101)."""
    return Fault("E0101", "invalid_message", sentence, loc, kind)


TOO_LONG = malformed("A message other than audio may have 1 MiB at most.")
TOO_MANY_TEXTS = malformed("assistant_input: too many texts are waiting.")
NO_AUDIO = malformed("Audio is only taken from the chat's own client.", loc=("type",))
