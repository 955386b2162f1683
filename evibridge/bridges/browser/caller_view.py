"""What of a call its caller may see: events in, messages for the page out.

Arguments and results of tools, names of operators and what operators whisper stay inside.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from evibridge import events
from evibridge.agent.actions import HangUp
from evibridge.bridges.browser.ending_words import ending_words
from evibridge.bridges.browser.messages import message
from evibridge.bus import Told
from evibridge.events import CallEvent

MAX_EXPRESSIONS = 5
"""Of the forty-eight that EVI measures, the strongest."""
MAX_UTTERANCES = 64
"""Of the agent that were announced and of which it is not told yet what was heard."""
NO_FAILURES = frozenset({"answered", "superseded", "cancelled"})
"""Outcomes of tools; all others are codes of failures."""

Members = dict[str, Any]
"""Of a message: its `type`, and its own."""


class CallerView:
    """Follows one call, from its first event on.

    Args:
        began_at_s: when the call began, in Unix time
        holding: tells what the caller hears while he waits for the tool of a name
    """

    def __init__(self, began_at_s: float, holding: Callable[[str], str | None]) -> None:
        self._began_at_s = began_at_s
        self._holding = holding
        self._is_ready: bool | None = None
        """None until the first news: the oldest events of a long call are gone."""
        self._is_paused_by_caller = False
        self._paused_by = "operator"
        self._texts: OrderedDict[str, str] = OrderedDict()
        self.last_words: str | None = None
        """What the agent could not say any more, told with the end."""

    def follow(self, told: Told) -> bytes | None:
        """Take the next event; returns what the page is told of it, if anything."""
        teller = self._tellers.get(type(told.event))
        members = None if teller is None else teller(self, told.event)
        if members is None:
            return None
        at_s = round(max(0.0, told.at_s - self._began_at_s), 3)
        if isinstance(told.event, events.CallEnded):
            members["seconds"] = at_s
        return message(members.pop("type"), seq=told.seq, at_s=at_s, **members)

    # Who speaks

    def _caller_said(self, said: events.CallerSaid) -> Members | None:
        if not said.by_caller:
            return None
        return {
            "type": "transcript",
            "by": "caller",
            "text": said.text,
            "interim": said.interim,
            "typed": said.typed,
            "expression": None if said.scores is None else _strongest(said.scores),
        }

    def _agent_said(self, said: events.AgentSaid) -> Members:
        before = self._texts.get(said.utterance_id)
        self._texts[said.utterance_id] = said.text if before is None else f"{before} {said.text}"
        if len(self._texts) > MAX_UTTERANCES:
            self._texts.popitem(last=False)
        return {
            "type": "transcript",
            "by": "agent",
            "id": said.utterance_id,
            "text": said.text,
            "interim": False,
            "typed": False,
        }

    def _agent_heard(self, heard: events.AgentHeard) -> Members:
        text = self._texts.pop(heard.utterance_id, None)
        all_sent = heard.heard_ms >= heard.sent_ms
        return {
            "type": "heard",
            "id": heard.utterance_id,
            "text": heard.text_heard,
            "complete": all_sent if text is None else text == heard.text_heard,
        }

    def _agent_sounded(self, sounded: events.AgentSounded) -> Members | None:
        if sounded.utterance_id is None:
            return None
        expression = _strongest(sounded.scores)
        return {"type": "expression", "id": sounded.utterance_id, "expression": expression}

    # The agent's server

    def _chat_opened(self, _: events.ChatOpened) -> Members | None:
        was_ready, self._is_ready = self._is_ready, True
        return None if was_ready else {"type": "ready"}

    def _chat_lost(self, _: events.ChatLost) -> Members | None:
        was_away, self._is_ready = self._is_ready is False, False
        return None if was_away else {"type": "away"}

    # Tools

    def _tool_started(self, tool: events.ToolStarted) -> Members:
        words = self._holding(tool.name)
        return {**_tool(tool.tool_call_id, tool.name, "running"), "words": words}

    def _tool_is_over(self, tool: events.ToolFinished | events.ToolDelivered) -> Members:
        state = "done" if tool.outcome in NO_FAILURES else "failed"
        return _tool(tool.tool_call_id, tool.name, state)

    # What operators do, and the caller's buttons

    def _command_given(self, given: events.CommandGiven) -> None:
        self._is_paused_by_caller = given.command == "pause" and given.by == events.CALLER

    def _agent_paused(self, _: events.AgentPaused) -> Members:
        self._paused_by = "you" if self._is_paused_by_caller else "operator"
        self._is_paused_by_caller = False
        return {"type": "paused", "by": self._paused_by}

    def _operator_said(self, said: events.OperatorSaid) -> Members | None:
        if said.interim or not said.text:
            return None
        return {
            "type": "transcript",
            "by": "person",
            "text": said.text,
            "interim": False,
            "typed": not said.is_spoken,
        }

    def _handed_back(self, _: events.CallHandedBack) -> Members:
        """Whoever had paused the agent before may want it to stay so; else it is resumed next."""
        return {"type": "paused", "by": self._paused_by}

    def _ended(self, ended: events.CallEnded) -> Members:
        sentence = ending_words(HangUp(ended.reason, last_words=self.last_words))
        return {"type": "ended", "reason": ended.reason.value, "sentence": sentence}

    _tellers: ClassVar[Mapping[type[CallEvent], Callable[[Any, Any], Members | None]]] = {
        events.CallerSaid: _caller_said,
        events.AgentSaid: _agent_said,
        events.AgentHeard: _agent_heard,
        events.AgentSounded: _agent_sounded,
        events.AgentInterrupted: lambda _view, _event: {"type": "interrupted"},
        events.ChatOpened: _chat_opened,
        events.ChatLost: _chat_lost,
        events.ToolStarted: _tool_started,
        events.ToolFinished: _tool_is_over,
        events.ToolDelivered: _tool_is_over,
        events.CommandGiven: _command_given,
        events.AgentPaused: _agent_paused,
        events.AgentResumed: lambda _view, _event: {"type": "resumed"},
        events.CallTakenOver: lambda _view, _event: {"type": "paused", "by": "person"},
        events.CallHandedBack: _handed_back,
        events.OperatorSaid: _operator_said,
        events.CallHeld: lambda _view, _event: {"type": "held"},
        events.CallReleased: lambda _view, _event: {"type": "released"},
        events.CallerMuted: lambda _view, event: {"type": "muted", "muted": event.is_muted},
        events.HangUpDecided: lambda _view, event: {"type": "ending", "reason": event.reason.value},
        events.CallEnded: _ended,
    }
    """Events that are not here concern the service and its operators alone."""


def ended_without_event(how: HangUp, seconds: float) -> bytes:
    """The end of a call as the page is told it if no event tells it."""
    sentence = ending_words(how)
    return message("ended", reason=how.reason.value, sentence=sentence, seconds=round(seconds, 3))


def _tool(tool_call_id: str, name: str, state: str) -> Members:
    return {"type": "tool", "id": tool_call_id, "name": name, "state": state}


def _strongest(scores: Mapping[str, float]) -> list[Members]:
    strongest = sorted(scores.items(), key=lambda named: -named[1])[:MAX_EXPRESSIONS]
    return [{"name": name, "score": round(score, 4)} for name, score in strongest]
