"""What operators send: one model for each kind of body.

Bodies are of JSON's own types, without conversions: a number is not taken for a text. Members that
are not known are refused, because a misspelt one would be without effect.
"""

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from evibridge.dialling import checked_number
from evibridge.web_origins import checked_origin
from evibridge.web_sessions import LIFETIME_S, MAX_LIFETIME_S, MIN_LIFETIME_S, WebSession

MAX_SPOKEN = 4000
"""Characters: about five minutes of talk."""
MAX_CONTEXT = 16_000
MAX_VARIABLES = 64
MAX_REASON = 500
MAX_VARIABLE_NAME = 128
MAX_PARAMETERS = 32
MAX_PARAMETER_NAME = 64
MAX_PARAMETER = 1000
MAX_NUMBER = 256
MAX_NAME = 256
MAX_ORIGIN = 256
MAX_SDP = 60_000
"""Of a browser's offer, which has 2000 to 8000 characters."""
NUMBER_PATTERN = r"^(\+[1-9][0-9]{6,14}|sip:[!-?A-~]+@[!-?A-~]+)$"
"""Tells programs what `checked_number` checks."""
ORIGIN_PATTERN = (
    r"^https?://([A-Za-z0-9_.-]+|\[::1\])"
    r"(:([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$"
)
"""Tells programs what `checked_origin` takes, which forgives a slash and knows more addresses."""

Spoken = Annotated[str, StringConstraints(min_length=1, max_length=MAX_SPOKEN, pattern=r"\S")]
ContextText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CONTEXT, pattern=r"\S")]
VariableName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_VARIABLE_NAME)]
VariableText = Annotated[str, StringConstraints(max_length=MAX_SPOKEN)]
WholeNumber = Annotated[int, Field(ge=-(2**63), lt=2**64)]
"""What JSON can hold here: beyond it, a number is a float."""
Variable = VariableText | bool | WholeNumber | float
ParameterName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PARAMETER_NAME)]
ParameterText = Annotated[str, StringConstraints(max_length=MAX_PARAMETER)]
PhoneNumber = Annotated[
    str,
    StringConstraints(max_length=MAX_NUMBER),
    AfterValidator(checked_number),
    WithJsonSchema({"type": "string", "maxLength": MAX_NUMBER, "pattern": NUMBER_PATTERN}),
]
WebOrigin = Annotated[
    str,
    StringConstraints(max_length=MAX_ORIGIN),
    AfterValidator(checked_origin),
    WithJsonSchema({"type": "string", "maxLength": MAX_ORIGIN, "pattern": ORIGIN_PATTERN}),
]
ChatId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-~]+$")]


class Body(BaseModel):
    """A body that is a JSON object."""

    model_config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class NothingBody(Body):
    """An empty object, or no body at all."""


class SayBody(Body):
    """What the agent speaks word for word."""

    text: Spoken


class InjectBody(Body):
    """What the agent answers as if the caller had said it."""

    text: Spoken


class ContextBody(Body):
    """What the model is told for all its later answers."""

    text: ContextText | None
    """Null takes back what was told."""


class TakeOverBody(Body):
    """Nothing, or that the call is to be kept."""

    renew: bool = False
    """Whether the call is taken over already, and this is only a sign of its operator."""


class WhisperBody(Body):
    """What the model is told beside everything that it was told before."""

    text: ContextText


class VariablesBody(Body):
    """Values of the prompt's placeholders."""

    variables: Annotated[
        dict[VariableName, Variable], Field(min_length=1, max_length=MAX_VARIABLES)
    ]
    """Those that are not named here stay as they are."""


class TransferBody(Body):
    """Whom the caller is put through to."""

    to: PhoneNumber
    """A number in E.164, or a `sip:` address."""
    say_first: Spoken | None = None
    """The agent's last words."""


class DeclineBody(Body):
    """Why a tool may not run."""

    reason: Annotated[str, StringConstraints(max_length=MAX_REASON)] | None = None
    """Is told the model."""


class VoiceBody(Body):
    """The offer of a WebRTC connection over which the operator speaks."""

    sdp: Annotated[str, StringConstraints(min_length=1, max_length=MAX_SDP)]
    type: Literal["offer"]


class DialBody(Body):
    """Whom to call."""

    to: PhoneNumber
    """A number in E.164, or a `sip:` address."""
    from_: Annotated[PhoneNumber | None, Field(alias="from")] = None
    """The number that the person who is called sees; without it the service's own."""
    parameters: Annotated[dict[ParameterName, ParameterText], Field(max_length=MAX_PARAMETERS)] = {}
    """What the call's tools are told of it."""


class AttachBody(Body):
    """Which chat to take part in."""

    chat_id: ChatId
    """Of a chat that somebody else has opened at the EVI server."""


class WebSessionBody(Body):
    """Who is about to call from a web page: 16000 characters at most, all together."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)] | None = None
    """Stands where a telephone number does in other calls."""
    parameters: Annotated[dict[ParameterName, ParameterText], Field(max_length=MAX_PARAMETERS)] = {}
    """What the call's tools are told of it."""
    variables: Annotated[dict[VariableName, Variable], Field(max_length=MAX_VARIABLES)] = {}
    """Values of the prompt's placeholders, beside those of the agent."""
    origin: WebOrigin | None = None
    """The only origin whose pages may use the token, such as `https://shop.example`."""
    lifetime_s: Annotated[int, Field(ge=MIN_LIFETIME_S, le=MAX_LIFETIME_S)] = round(LIFETIME_S)
    """How long the token may wait for its call."""

    def session(self) -> WebSession:
        """What the token stands for."""
        return WebSession(self.name, self.parameters, self.variables, self.origin)

    @model_validator(mode="after")
    def _is_a_session(self) -> Self:
        self.session()
        return self
