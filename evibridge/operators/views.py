"""Calls as operators see them: JSON objects, whose members programs rely on."""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, cast

from typing_extensions import TypedDict

from evibridge.agent.commands import Via
from evibridge.agent.conversation import Line
from evibridge.agent.snapshot import CallSnapshot, CallState, PendingApproval
from evibridge.event_wire import utc_text
from evibridge.events import CallKind, Direction, EndReason
from evibridge.operator_access import Scope
from evibridge.operators.latest import LatestOfCall
from evibridge.records.document import parsed
from evibridge.records.summary import summary

Who = Literal["agent", "caller", "operator"]


class LastLine(TypedDict):
    """What was said last."""

    who: Who
    text: str


class Expression(TypedDict):
    """The strongest expression in the caller's voice; `score` is from 0 to 1."""

    name: str
    score: float


class Waiting(TypedDict):
    """A tool that waits for an operator, `expires_in_s` at most."""

    tool_call_id: str
    name: str
    expires_in_s: float


class WaitingInFull(Waiting):
    """With the JSON text that it was called with."""

    parameters: str


class Running(TypedDict):
    """The function that runs, the newest of several; `since` is UTC, as `began_at`."""

    name: str
    since: str


class Voices(TypedDict):
    """When each side spoke, in seconds of the call: at most 60 pairs of beginning and end.

    An operator speaks on the agent's side.
    """

    caller: list[tuple[float, float]]
    agent: list[tuple[float, float]]


class Ended(TypedDict):
    """What is told of a call that is over, once its record is there.

    `by` is who has hung up or put the caller through, to `transferred_to`; null if no operator has.
    """

    at: str
    by: str | None
    transferred_to: str | None
    turns: int
    interruptions: int
    tools: int
    response_p50_ms: int | None
    response_p95_ms: int | None
    is_recorded: bool
    voices: Voices


class Said(TypedDict):
    """Something that was said; `at_s` counts from the beginning of the call.

    `text_heard` is what of it the caller has heard, `sent_ms` and `heard_ms` are the agent's audio
    and what of it was played; `is_over` tells that nothing more of it will be heard. `by` is the
    name of the operator who has said it.
    """

    who: Who
    by: str | None
    at_s: float
    text: str
    text_heard: str
    utterance_id: str | None
    sent_ms: float
    heard_ms: float
    is_over: bool


class _Facts(TypedDict):
    """What summary and snapshot have in common."""

    call_id: str
    kind: CallKind
    direction: Direction
    state: CallState
    began_at: str
    lasts_s: float
    agent: str | None
    caller: str | None
    called: str | None
    chat_id: str
    chat_group_id: str
    paused_by: str | None
    held_by: str | None
    taken_over_by: str | None
    last_line: LastLine | None
    expression: Expression | None
    response_ms: int | None
    end_reason: EndReason | None
    tool: Running | None
    ended: Ended | None


class Summary(_Facts):
    """A call in a list of calls; `began_at` is UTC, as `2026-11-28T09:12:00.123Z`."""

    approvals: list[Waiting]


class Snapshot(_Facts):
    """All that is known of a call; `seq` is the number of its last event."""

    seq: int
    digits: str
    open_tools: list[str]
    caller_is_away: bool
    chat_is_ready: bool
    approvals: list[WaitingInFull]
    lines: list[Said]


class WebSessionMade(TypedDict):
    """What a page begins its call with."""

    token: str
    """Good for one call."""
    expires_in_s: int


class VoiceAnswer(TypedDict):
    """The answer to the offer of a WebRTC connection."""

    sdp: str
    type: Literal["answer"]


class OperatorShown(TypedDict):
    """Whose token was shown, and what it may do."""

    name: str
    scope: Scope


class TransferTarget(TypedDict):
    """Somebody whom callers are put through to often."""

    name: str
    to: str


class IceServer(TypedDict):
    """Addresses that help to find a way to the service, as `RTCPeerConnection` wants them."""

    urls: list[str]
    username: NotRequired[str]
    credential: NotRequired[str]


class Service(TypedDict):
    """How the service stands `at` this moment.

    `stops_at` is when a service that ends cuts the calls that go on by then. `response_p95_ms` is
    of the answers of the last hour, at most 1000. `calls_since` counts calls that began at or after
    `since`; it is null without it, and while records cannot be looked up. `ice_servers` is empty
    for a token that may only read.
    """

    at: str
    operator: OperatorShown
    agent: str
    lines: int
    max_lines: int
    is_draining: bool
    stops_at: str | None
    response_p95_ms: int | None
    calls_since: int | None
    records_sound: bool
    has_voice: bool
    number: str | None
    transfer_targets: list[TransferTarget]
    ice_servers: list[IceServer]


class CommandDone(TypedDict):
    """What was done, in whose name, and how the chat was told; null if it was told nothing."""

    call_id: str
    command: str
    by: str
    via: Via | None


def summary_of(call: CallSnapshot, latest: LatestOfCall, agent: str | None = None) -> Summary:
    """A call, for lists; `agent` is the name of who talks in it, if it has one."""
    return {**_facts(call, latest, agent), "approvals": [_waiting(each) for each in call.approvals]}


def snapshot_of(call: CallSnapshot, latest: LatestOfCall, agent: str | None = None) -> Snapshot:
    """A call in full; `agent` is as in `summary_of`."""
    return {
        **_facts(call, latest, agent),
        "seq": latest.seq,
        "digits": call.digits,
        "open_tools": list(call.open_tools),
        "caller_is_away": call.caller_is_away,
        "chat_is_ready": call.chat_is_ready,
        "approvals": [{**_waiting(each), "parameters": each.parameters} for each in call.approvals],
        "lines": [_said(line) for line in call.lines],
    }


def snapshot_of_record(record: Mapping[str, Any]) -> Snapshot:
    """A call that has ended, out of its record; the keys that were pressed are not kept."""
    call = parsed(record)
    facts = cast("_Facts", summary(call))
    return {
        **facts,
        "seq": call.events[-1]["seq"] if call.events else 0,
        "digits": "",
        "open_tools": [],
        "caller_is_away": False,
        "chat_is_ready": False,
        "approvals": [],
        "lines": [
            {
                "who": turn.who,
                "by": turn.by,
                "at_s": turn.at_s,
                "text": turn.text,
                "text_heard": turn.text_heard,
                "utterance_id": turn.utterance_id,
                "sent_ms": turn.sent_ms,
                "heard_ms": turn.heard_ms,
                "is_over": True,
            }
            for turn in call.turns
        ],
    }


def _facts(call: CallSnapshot, latest: LatestOfCall, agent: str | None) -> _Facts:
    return {
        "call_id": call.call_id,
        "kind": call.kind,
        "direction": call.direction,
        "state": call.state,
        "began_at": utc_text(call.began_at_s),
        "lasts_s": round(call.lasts_s, 3),
        "agent": agent,
        "caller": call.caller,
        "called": call.called,
        "chat_id": call.chat_id,
        "chat_group_id": call.chat_group_id,
        "paused_by": call.paused_by,
        "held_by": call.held_by,
        "taken_over_by": call.taken_over_by,
        "last_line": _last_line(call, latest),
        "expression": _expression(latest),
        "response_ms": latest.response_ms,
        "end_reason": call.ended,
        "tool": _running(latest),
        "ended": None,
    }


def _running(latest: LatestOfCall) -> Running | None:
    if not latest.tools:
        return None
    newest = latest.tools[-1]
    return {"name": newest.name, "since": utc_text(newest.since_s)}


def _last_line(call: CallSnapshot, latest: LatestOfCall) -> LastLine | None:
    if latest.last_line is not None:
        who, text = latest.last_line
        return {"who": who, "text": text}
    if call.lines:
        return {"who": call.lines[-1].who, "text": call.lines[-1].text}
    return None


def _expression(latest: LatestOfCall) -> Expression | None:
    if latest.expression is None:
        return None
    name, score = latest.expression
    return {"name": name, "score": score}


def _waiting(approval: PendingApproval) -> Waiting:
    return {
        "tool_call_id": approval.tool_call_id,
        "name": approval.name,
        "expires_in_s": round(approval.expires_in_s, 3),
    }


def _said(line: Line) -> Said:
    return {
        "who": line.who,
        "by": line.by,
        "at_s": round(line.at_s, 3),
        "text": line.text,
        "text_heard": line.text_heard,
        "utterance_id": line.utterance_id,
        "sent_ms": round(line.sent_ms, 1),
        "heard_ms": round(line.heard_ms, 1),
        "is_over": line.is_over,
    }
