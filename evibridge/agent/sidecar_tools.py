"""The tool calls of a chat that somebody else has opened, as far as they are the agent's."""

from collections.abc import Collection, Sequence

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action
from evibridge.agent.told_chat import ToldChat
from evibridge.agent.tool_desk import MAX_REMEMBERED, Answer, ToolDesk
from evibridge.errors import CommandRefused
from evibridge.events import ToolPath
from evibridge.tools_registry.progress import Verdict


class SidecarTools:
    """Answers each call of the agent's tools once, by whatever paths it comes.

    The same chat goes on all the time: unlike on the phone, an id of it is one call for ever.

    Args:
        names: of the agent's tools; other functions are the business of others
        told: is given the answers
        past: ids of calls that are not to run again
    """

    def __init__(self, names: Collection[str], told: ToldChat, past: Collection[str] = ()) -> None:
        self._names = names
        self._told = told
        self._desk = ToolDesk()
        self._known: dict[str, None] = dict.fromkeys(past)
        """Ids of calls that have come, or were answered by somebody else."""
        self._running: dict[str, evi.ToolCall] = {}
        self._ahead: set[str] = set()
        """Ids of those that a webhook has told, and the mirror not yet: what it tells until then
        was said before."""
        self._replayed: dict[str, None] = {}
        """Ids of calls that are told as past, and have had no answer so far."""

    @property
    def known(self) -> frozenset[str]:
        """Ids of calls that are not to run again."""
        return frozenset(self._known)

    @property
    def open_names(self) -> tuple[str, ...]:
        """Names of the tools that run."""
        return self._desk.open_names

    @property
    def awaits_operator(self) -> bool:
        """Whether a tool waits for an operator to approve of it."""
        return self._desk.awaits_operator

    # The chat

    def called(self, call: evi.ToolCall, path: ToolPath, now_s: float) -> list[Action]:
        """The model calls a function, and it was not seen to be answered."""
        if path is ToolPath.MIRROR:
            self._ahead.discard(call.tool_call_id)
        if call.name not in self._names or call.tool_call_id in self._known:
            return []
        self._remember(call.tool_call_id)
        if path is ToolPath.WEBHOOK:
            self._ahead.add(call.tool_call_id)
        return self._done(self._desk.called(call, path), now_s)

    def replayed(self, call: evi.ToolCall) -> None:
        """A mirror tells that the model has called a function in the past."""
        self._ahead.discard(call.tool_call_id)
        wants_answer = call.response_required and call.tool_type != "builtin"
        if call.name in self._names and wants_answer and len(self._replayed) < MAX_REMEMBERED:
            self._replayed[call.tool_call_id] = None

    def take_missed(self) -> tuple[str, ...]:
        """Ids of past calls that never came here, and have no answer."""
        missed = tuple(each for each in self._replayed if each not in self._known)
        self._replayed.clear()
        return missed

    def answered_elsewhere(self, answer: Answer, now_s: float) -> list[Action]:
        """The chat has an answer to a call, and not from here if it is still open here."""
        self._remember(answer.tool_call_id)
        self._told.answered(answer.tool_call_id)
        done = self._desk.answered_by_operator(answer, has_chat=True)
        return self._done([each for each in done if not isinstance(each, act.Tell)], now_s)

    def caller_spoke(self) -> None:
        """A new turn of the caller: what it calls for supersedes what is open."""
        self._desk.caller_spoke(before=self._ahead)

    def answered_otherwise(self, now_s: float) -> list[Action]:
        """The agent answers words that came after a tool call."""
        return self._done(self._desk.answered_otherwise(), now_s)

    # The tools

    def finished(self, started_as: str, answer: Answer, now_s: float) -> list[Action]:
        """The tool that was started with this id has an answer; late ones are dropped."""
        return self._done(self._desk.finished(started_as, answer, has_chat=True), now_s)

    def holds(self, started_as: str, sentence: str) -> None:
        """The caller has to wait for a tool: he is to be told this."""
        self._desk.holds(started_as, sentence)

    def ask_to_wait(self, now_s: float) -> list[Action]:
        """Tell the caller that he has to wait, if he has and does not know it."""
        sentences = self._desk.take_holding()
        return self._done([act.Tell(evi.AssistantInput(each)) for each in sentences], now_s)

    def awaits_verdict(self, started_as: str, timeout_s: float) -> list[Action]:
        """A tool may not run before an operator has approved of it, which he can so long."""
        return self._desk.awaits_verdict(started_as, timeout_s)

    # Operators

    def decided(self, tool_call_id: str, verdict: Verdict, by: str) -> list[Action]:
        """An operator has decided about a tool; the first one does."""
        return self._desk.decided(tool_call_id, verdict, by)

    def answered_by_operator(self, answer: Answer, now_s: float) -> list[Action]:
        """An operator answers a call himself: one that is open here, or one of somebody else's.

        Raises:
            CommandRefused: it was one of the agent's, and has its answer
        """
        done = self._desk.answered_by_operator(answer, has_chat=True)
        if not done and answer.tool_call_id in self._known:
            sentence = "No tool call waits for an answer under this id."
            raise CommandRefused("tool_is_not_open", sentence)
        if not done:
            self._remember(answer.tool_call_id)
            done = [act.Tell(answer)]
        return self._done(done, now_s)

    # The end

    def leave(self, now_s: float, *, chat_goes_on: bool) -> list[Action]:
        """Nobody runs tools for the chat any more; one that goes on does not wait in vain."""
        answers = [act.Tell(_left(call)) for call in self._running.values()] if chat_goes_on else []
        return [*answers, *self._done(self._desk.drop_all(), now_s)]

    # Inside

    def _done(self, actions: Sequence[Action], now_s: float) -> list[Action]:
        """Let the chat be told what it is to be told, behind what it was told before."""
        done: list[Action] = []
        for action in actions:
            match action:
                case act.Tell(message):
                    done += self._told.tell(message, now_s)
                    continue
                case act.StartTool(call):
                    self._running[call.tool_call_id] = call
                case act.Publish(events.ToolFinished(tool_call_id)):
                    self._running.pop(tool_call_id, None)
                    self._ahead.discard(tool_call_id)
                case _:
                    pass
            done.append(action)
        return done

    def _remember(self, tool_call_id: str) -> None:
        self._known[tool_call_id] = None
        if len(self._known) > MAX_REMEMBERED:
            del self._known[next(iter(self._known))]


def _left(call: evi.ToolCall) -> evi.ToolError:
    """EVI: without a `content`, the model is told the tool's fallback."""
    return evi.ToolError(
        call.tool_call_id,
        error="the service that ran the tool has left the chat",
        code="cancelled",
        level="warn",
    )
