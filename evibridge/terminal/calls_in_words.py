"""Calls in the words that people read: what they do, why they ended, how long things took."""

from collections.abc import Mapping

from evibridge.agent.snapshot import CallState
from evibridge.events import CallKind, Direction, EndReason
from evibridge.operators.views import Snapshot, Summary

STATES: Mapping[CallState, str] = {
    CallState.RINGING: "ringing",
    CallState.CONNECTING: "connecting",
    CallState.LISTENING: "listening",
    CallState.CALLER_SPEAKING: "caller speaking",
    CallState.AGENT_SPEAKING: "agent speaking",
    CallState.TOOL_RUNNING: "tool running",
    CallState.PAUSED: "paused",
    CallState.HELD: "on hold",
    CallState.TAKEN_OVER: "taken over",
    CallState.RECONNECTING: "reconnecting",
    CallState.NEEDS_APPROVAL: "needs approval",
    CallState.ENDING: "ending",
    CallState.ENDED: "ended",
}

ENDS: Mapping[EndReason, str] = {
    EndReason.CALLER_HUNG_UP: "Caller hung up",
    EndReason.AGENT_HUNG_UP: "The agent hung up",
    EndReason.TRANSFERRED: "Caller was put through to somebody else",
    EndReason.OPERATOR_HUNG_UP: "An operator hung up",
    EndReason.INACTIVITY: "Nobody spoke for too long",
    EndReason.MAX_DURATION: "The call lasted as long as it may",
    EndReason.CALLER_LOST: "The caller's connection was lost",
    EndReason.CALLER_STALLED: "The caller's side took no more sound",
    EndReason.EVI_UNREACHABLE: "The EVI server could not be reached",
    EndReason.EVI_REFUSED: "The EVI server refused the chat",
    EndReason.EVI_LOST: "The EVI server was lost",
    EndReason.CHAT_ENDED: "The chat was ended elsewhere",
    EndReason.BUSY: "The line was busy",
    EndReason.NO_ANSWER: "Nobody answered",
    EndReason.NOT_CONNECTED: "The carrier could not put the call through",
    EndReason.SHUTDOWN: "The service was stopped",
    EndReason.FAULT: "The service failed: its log says why",
}


def state_of(call: Summary | Snapshot) -> str:
    """What a call does now, and because of whom."""
    words = STATES[call["state"]]
    if call["state"] is CallState.NEEDS_APPROVAL:
        seconds = min((each["expires_in_s"] for each in call["approvals"]), default=0.0)
        return f"{words}, {seconds:.0f} s"
    if call["state"] is CallState.PAUSED and call["paused_by"] is not None:
        return f"{words} by {call['paused_by']}"
    if call["state"] is CallState.HELD and call["held_by"] is not None:
        return f"{words} by {call['held_by']}"
    if call["state"] is CallState.TAKEN_OVER and call["taken_over_by"] is not None:
        return f"{words} by {call['taken_over_by']}"
    return words


def parties(call: Summary | Snapshot) -> str:
    """What kind of call it is, and between whom."""
    if call["kind"] is CallKind.SIDECAR:
        return f"beside the chat {call['chat_id']}"
    caller, called = call["caller"] or "unknown", call["called"] or "unknown"
    if call["direction"] is Direction.OUTBOUND:  # whoever is called is the caller, as everywhere
        caller, called = called, caller
    return f"{call['kind']}, {call['direction']}, from {caller} to {called}"


def length(seconds: float) -> str:
    """How long a call lasts, as 1:36, or as 1:02:03."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def time_in_call(seconds: float) -> str:
    """When something happened in a call, as 1:36.2."""
    tenths = round(max(seconds, 0.0) * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}"


def took(ms: float) -> str:
    """How long something took, as 620 ms, or as 1.09 s."""
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"
