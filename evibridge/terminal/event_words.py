"""Events of operators' streams in the words that people read.

What an event means may depend on those before it; `CallWatch` looks after that.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from evibridge.events import CALLER
from evibridge.terminal.calls_in_words import took
from evibridge.terminal.live_lines import Tone

Event = Mapping[str, Any]

GOOD_RESPONSE_MS = 800
OPENINGS: Mapping[str, str] = {
    "first": "the EVI server is there",
    "resumed": "reconnected: the chat goes on",
    "afresh": "reconnected: another chat, because the old one is not known any more",
    "renewed": "another chat goes on with the conversation",
}
NOT_AT_FAULT = ("answered", "superseded", "cancelled")
"""Outcomes of tools that did not fail."""


class Words(NamedTuple):
    """What is told of an event: who did something, and what.

    Interim words are replaced by those that come next, or taken back if these are empty.
    """

    who: str
    text: str
    tone: Tone = Tone.PLAIN
    is_interim: bool = False


def words_of(event: Event) -> Words | None:
    """An event in words; None if it needs those before it, or is no news, or is not known.

    Raises:
        KeyError: it lacks something that its type has
    """
    wording = WORDINGS.get(event["type"])
    return None if wording is None else wording(event)


def said_by_caller(event: Event) -> str:
    """What the caller has said to the end, and how the voice sounded."""
    notes = ["typed"] if event["typed"] else []
    if event["scores"]:
        name, score = max(event["scores"].items(), key=lambda each: each[1])
        notes.append(f"{name} {score:.2f}")
    text = event["text"] or "(no words)"
    return f"{text} ({', '.join(notes)})" if notes else text


def said_by_operator(event: Event) -> str:
    """What an operator has said to the end, and that it was in writing, if it was."""
    text = f"{event['by']}: {event['text'] or '(no words)'}"
    return text if event["is_spoken"] else f"{text} (typed)"


def _call(text: str, tone: Tone = Tone.PLAIN) -> Callable[[Event], Words]:
    return lambda _: Words("call", text, tone)


def _dialled(event: Event) -> Words:
    return Words("operator", f"{event['by']} calls {event['to']}")


def _began(event: Event) -> Words:
    return Words("call", f"begins: {event['kind']}, {event['direction']}")


def _chat_opened(event: Event) -> Words:
    return Words("call", OPENINGS.get(event["why"], "the EVI server is there"))


def _chat_lost(event: Event) -> Words:
    why = f"code {event['code']}" if event["error"] is None else event["error"]
    return Words("call", f"the EVI server is lost ({why}): reconnecting", Tone.BROKEN)


def _caller_muted(event: Event) -> Words:
    return Words("caller", f"switches the microphone {'off' if event['is_muted'] else 'on'}")


def _digits_entered(event: Event) -> Words:
    return Words("caller", f"enters {event['digits']}")


def _agent_said(event: Event) -> Words:
    return Words("agent", event["text"] or "(no words)", Tone.AGENT)


def _turn_answered(event: Event) -> Words:
    ms = event["response_ms"]
    tone = Tone.NEEDED if ms > GOOD_RESPONSE_MS else Tone.PLAIN
    return Words("agent", f"answers after {took(ms)}", tone)


def _tool_started(event: Event) -> Words:
    return Words("tool", f"{event['name']} {event['parameters']}")


def _tool_finished(event: Event) -> Words:
    after = "" if event["duration_ms"] is None else f" after {took(event['duration_ms'])}"
    told = "" if event["content"] is None else f', told "{event["content"]}"'
    return _ended(event, f"{after}{told}")


def _tool_delivered(event: Event) -> Words:
    return _ended(event, ", later")


def _ended(event: Event, how: str) -> Words:
    tone = Tone.PLAIN if event["outcome"] in NOT_AT_FAULT else Tone.BROKEN
    return Words("tool", f"{event['name']}: {event['outcome']}{how}", tone)


def _approval_wanted(event: Event) -> Words:
    return Words(
        "tool",
        f"{event['name']} {event['parameters']} needs approval within {event['timeout_s']:.0f} s, "
        f"id {event['tool_call_id']}",
        Tone.NEEDED,
    )


def _approval_given(event: Event) -> Words:
    decided = "approved" if event["is_approved"] else "declined"
    return Words("operator", f"{event['by']} {decided} {event['name']}")


def _command_given(event: Event) -> Words:
    text = "" if event["text"] is None else f" {event['text']}"
    if event["by"] == CALLER:
        return Words("caller", f"asks for this: {event['command']}{text}")
    return Words("operator", f"{event['by']}: {event['command']}{text}")


def _recording_failed(event: Event) -> Words:
    return Words("call", f"is not recorded any more: {event['why']}", Tone.BROKEN)


def _digits_sent(event: Event) -> Words:
    return Words("call", f"keys sent: {event['digits']}")


def _taken_over(event: Event) -> Words:
    return Words("call", f"is taken over: {event['by']} speaks in the agent's place")


def _handed_back(event: Event) -> Words:
    by = "" if event["by"] is None else f", by {event['by']}"
    return Words("call", f"is handed back{by}: the agent goes on")


def _error_reported(event: Event) -> Words:
    text = f"the EVI server reports: {event['text']} ({event['code']}, {event['slug']})"
    return Words("call", text, Tone.BROKEN)


WORDINGS: Mapping[str, Callable[[Event], Words]] = {
    "call_dialled": _dialled,
    "call_began": _began,
    "chat_opened": _chat_opened,
    "chat_lost": _chat_lost,
    "caller_lost": _call("the caller's connection is lost: reconnecting", Tone.BROKEN),
    "caller_returned": _call("reconnected: the caller is there again"),
    "filler_played": _call("the caller was told to wait", Tone.NEEDED),
    "caller_muted": _caller_muted,
    "digits_entered": _digits_entered,
    "hang_up_decided": _call("ends once the last word was heard"),
    "agent_said": _agent_said,
    "turn_answered": _turn_answered,
    "tool_started": _tool_started,
    "tool_finished": _tool_finished,
    "tool_delivered": _tool_delivered,
    "approval_wanted": _approval_wanted,
    "approval_given": _approval_given,
    "command_given": _command_given,
    "recording_failed": _recording_failed,
    "digits_sent": _digits_sent,
    "agent_paused": _call("the agent is paused"),
    "agent_resumed": _call("the agent may speak again"),
    "call_held": _call("is on hold: agent and caller do not hear each other"),
    "call_released": _call("agent and caller hear each other again"),
    "call_taken_over": _taken_over,
    "call_handed_back": _handed_back,
    "server_reported_error": _error_reported,
}
