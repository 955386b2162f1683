"""Everything that the operator API answers to, as a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from evibridge.operator_access import Scope
from evibridge.operators.bodies import AttachBody, DialBody, VoiceBody, WebSessionBody
from evibridge.operators.call_commands import CALL_COMMANDS, CallCommand
from evibridge.operators.listing import CallList, ListQuery
from evibridge.operators.service_view import ServiceQuery
from evibridge.operators.views import (
    CommandDone,
    Service,
    Snapshot,
    Summary,
    VoiceAnswer,
    WebSessionMade,
)

PREFIX = "/v1/"
CALL = "/v1/calls/{call_id}"
MAKE_WEB_SESSION = "make_web_session"
OPEN_VOICE = "open_voice"

_ALWAYS = ("unauthorized", "forbidden", "fault", "overloaded")
_WITH_BODY = (
    *_ALWAYS,
    "body_broken",
    "body_too_slow",
    "body_too_large",
    "not_json",
    "too_many_commands",
)
_DONE_ONCE = (*_WITH_BODY, "still_running")


@dataclass(frozen=True, slots=True)
class Success:
    """An answer that is not JSON about an error.

    Attributes:
        schema: a type whose JSON Schema describes it; None for a body that is not JSON
        media_type: None if it has no body
    """

    description: str
    schema: Any = None
    media_type: str | None = "application/json"


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path.

    Attributes:
        operation: a name for it
        summary: what it does, a sentence
        scope: what its operator's token has to have
        answers: by their status
        faults: codes of its refusals, in `FAULTS` or `REFUSED_WITH`
        command: what it asks of a call, if it does that
        bodies: models of its body; it has one of them
        query: model of its query; other routes have none
        is_done_once: whether a repetition with the same Idempotency-Key gets the first answer
    """

    method: Literal["GET", "POST"]
    path: str
    operation: str
    summary: str
    scope: Scope
    answers: Mapping[int, Success]
    faults: tuple[str, ...]
    command: CallCommand | None = None
    bodies: tuple[type[BaseModel], ...] = ()
    query: type[BaseModel] | None = None
    is_done_once: bool = False


def _command_route(command: CallCommand) -> Route:
    return Route(
        "POST",
        CALL + command.path,
        command.name,
        command.summary,
        Scope.CONTROL,
        {200: Success("It is done, or will be.", CommandDone)},
        (*_DONE_ONCE, "call_not_found", "call_is_over", "evi_unreachable"),
        command,
        command.models,
        is_done_once=True,
    )


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/calls",
        "list_calls",
        "List calls, newest first: those that go on, and those that have ended after them.",
        Scope.READ,
        {200: Success("One page of them.", CallList)},
        _ALWAYS,
        query=ListQuery,
    ),
    Route(
        "POST",
        "/v1/calls",
        "begin_call",
        "Call somebody, or take part in a chat that somebody else has opened.",
        Scope.CONTROL,
        {
            200: Success("A call has this chat already.", Summary),
            201: Success("The call is on its way.", Summary),
        },
        (
            *_DONE_ONCE,
            "carrier_unreachable",
            "chat_not_found",
            "evi_unreachable",
            "service_full",
        ),
        bodies=(DialBody, AttachBody),
        is_done_once=True,
    ),
    Route(
        "POST",
        "/v1/web-sessions",
        MAKE_WEB_SESSION,
        # A token is not kept, so that it cannot be given again.
        "Let somebody call from a web page: make a token that the page begins its call with, "
        "another one each time.",
        Scope.CONTROL,
        {201: Success("The token.", WebSessionMade)},
        _WITH_BODY,
        bodies=(WebSessionBody,),
    ),
    Route(
        "GET",
        CALL,
        "get_call",
        "Show a call, live or ended.",
        Scope.READ,
        {200: Success("The call as it is now, or as it was at its end.", Snapshot)},
        (*_ALWAYS, "call_not_found"),
    ),
    Route(
        "GET",
        f"{CALL}/record",
        "get_record",
        "Show the record of a call that has ended.",
        Scope.READ,
        {200: Success("The record, as `docs/records.md` describes it.", dict[str, Any])},
        (*_ALWAYS, "call_not_found", "record_not_found"),
    ),
    Route(
        "GET",
        f"{CALL}/recording",
        "get_recording",
        "Give the recording of a call: the caller on the left, the agent on the right.",
        Scope.READ,
        {
            200: Success("The whole WAV file.", media_type="audio/wav"),
            206: Success("The part that the header Range asks for.", media_type="audio/wav"),
            416: Success("The header Range asks for what is not there.", media_type=None),
        },
        (*_ALWAYS, "call_not_found", "recording_not_found"),
    ),
    *map(_command_route, CALL_COMMANDS),
    Route(
        "POST",
        f"{CALL}/voice",
        OPEN_VOICE,
        # What was agreed on is of use to nobody but the page that has made the offer.
        "Speak with the caller of a call that you have taken over: answer the offer of a WebRTC "
        "connection.",
        Scope.CONTROL,
        {201: Success("The answer to the offer.", VoiceAnswer)},
        (*_WITH_BODY, "call_not_found", "call_is_over", "too_many_voices"),
        bodies=(VoiceBody,),
    ),
    Route(
        "GET",
        "/v1/service",
        "get_service",
        "Tell how the service stands, and what whoever asks may do.",
        Scope.READ,
        {200: Success("How it stands now.", Service)},
        _ALWAYS,
        query=ServiceQuery,
    ),
    Route(
        "GET",
        "/v1/openapi.json",
        "get_openapi",
        "Describe this API.",
        Scope.READ,
        {200: Success("An OpenAPI 3.1 document.", dict[str, Any])},
        _ALWAYS,
    ),
)
