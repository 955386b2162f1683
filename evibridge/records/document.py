"""The record of a call that is over: the members of its JSON document, and how it is read.

`docs/records.md` tells the same to people. A member that is not known is carried along.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from evibridge.errors import BadMessage
from evibridge.events import CallKind, Direction, EndReason, ToolPath

VERSION: Final = 1
"""Of the format: another one is for another meaning of a member, not for one more member."""


def _encodable(value: Any) -> Any:
    """Half a surrogate pair, which has no form in a file, is worth no record."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def _has_zone(moment: str) -> str:
    if datetime.fromisoformat(moment).tzinfo is None:
        raise ValueError("is no moment: it has no time zone")
    return moment


Text = Annotated[str, BeforeValidator(_encodable)]
Moment = Annotated[str, AfterValidator(_has_zone)]


class _Members(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Score(_Members):
    """How strongly an expression was in a voice, from 0 to 1."""

    name: Text
    score: float


class Turn(_Members):
    """Something that was said."""

    who: Literal["agent", "caller", "operator"]
    by: Text | None = None
    """Name of the operator who said it."""
    at_s: float
    """Since the call began."""
    text: Text
    text_heard: Text
    """What of it reached the caller; all of it if he said it himself."""
    utterance_id: Text | None
    """Of the agent's, in events; None if the caller said it."""
    sent_ms: int
    """Audio of the agent that was handed to the caller's side, and how much of it was played."""
    heard_ms: int
    was_interrupted: bool
    """Whether the agent was cut off in it, rather than by the end of the call or of a chat."""
    response_ms: int | None
    """How long the caller had waited, if this is what answered him."""
    is_typed: bool
    """Whether it was put in writing: by the caller, in the caller's place, or by an operator for
    the agent's voice."""
    scores: list[Score] | None
    """The caller's strongest expressions, strongest first."""
    spoke_ms: int | None = None
    """How long the caller's words took until `at_s`; None if the server does not tell."""


class Approval(_Members):
    """What an operator has decided about a tool; all None if nobody has."""

    by: Text | None
    at: Moment | None
    approved: bool | None


class ToolUse(_Members):
    """A tool that the model has called; what the kept events do not tell is None."""

    id: Text
    name: Text
    at_s: float | None
    """Since the call began."""
    arguments: Any
    """What the model wrote: JSON, or its text if it is none."""
    path: ToolPath | None
    outcome: Text | None
    """As in `ToolFinished`; None if the tool has not ended."""
    content: Text | None
    """What the model was told."""
    duration_ms: int | None
    delivered: Text | None
    """How a tool ended that was answered before it was done."""
    approval: Approval | None
    """None if it needed none."""


class GivenCommand(_Members):
    """What an operator has asked for, as in `CommandGiven`."""

    command: Text
    by: Text
    at: Moment
    text: Text | None


class Latencies(_Members):
    """How long the caller has waited for answers, in ms; None if there were none."""

    response_ms: list[int]
    p50: int | None
    p95: int | None
    max: int | None


class Reconnects(_Members):
    """How often either side was lost and came back."""

    chat: int
    caller: int


class Recording(_Members):
    """What is known of the call's recording."""

    file: Text | None
    """Name of the WAV file, which is beside the record; None if there is none."""
    seconds: float
    rate_hz: int
    failure: Text | None
    """Why it is not of the whole call, a sentence; None if it is."""


class Outline(_Members):
    """A record without its events, which are most of it: they take no time to be read.

    Times of day are UTC to the millisecond, as `2026-11-28T09:12:00.123Z`.
    """

    model_config = ConfigDict(extra="ignore")

    version: Literal[1]
    call_id: Text
    kind: CallKind
    direction: Direction
    agent: Text | None = None
    """Its name; records of earlier services do not tell it."""
    caller: Text | None
    called: Text | None
    chat_id: Text
    chat_group_id: Text
    """Of the last chat; empty if there was none."""
    chat_ids: list[Text]
    """Of all chats, oldest first."""
    began_at: Moment
    ended_at: Moment
    lasts_s: float
    end_reason: EndReason
    ended_by: Text | None = None
    """Name of the operator who has hung up or put the caller through, if one has."""
    transferred_to: Text | None = None
    """Where the operator has put the caller through to; what a tool has chosen is not told."""
    turns: list[Turn]
    tools: list[ToolUse]
    commands: list[GivenCommand]
    latencies: Latencies
    interruptions: int
    reconnects: Reconnects
    digits: int
    """How many keys the caller has pressed."""
    recording: Recording | None
    """None if the call was not recorded."""


class Record(Outline):
    """A call."""

    model_config = ConfigDict(extra="allow")

    events: list[dict[str, Any]]
    """Those that were kept, as operators' streams have them."""


R = TypeVar("R", bound=Outline)


def parsed(members: Mapping[str, Any]) -> Record:
    """Read the members of a record.

    Raises:
        BadMessage: they are not those of a record of this version
    """
    return _validated(Record, members)


def outlined(members: Mapping[str, Any]) -> Outline:
    """Read the members of a record, and leave its events as they are.

    Raises:
        BadMessage: they are not those of a record of this version
    """
    return _validated(Outline, members)


def members_of(text: bytes) -> dict[str, Any]:
    """Read the JSON text of a record, whose members may be anything yet.

    Raises:
        BadMessage: it is no JSON object
    """
    try:
        members = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadMessage(f"The record is no JSON: {error}.") from error
    if not isinstance(members, dict):
        raise BadMessage("The record is no JSON object.")
    return members


def encoded(record: Record) -> bytes:
    """Write a record as JSON text."""
    return orjson.dumps(record.model_dump())


def _validated(model: type[R], members: Mapping[str, Any]) -> R:
    try:
        return model.model_validate(members)
    except ValidationError as error:
        where = ".".join(map(str, error.errors(include_input=False)[0]["loc"]))
        raise BadMessage(
            f"This is no record of a call, or of another version than {VERSION}: see {where!r}."
        ) from None
