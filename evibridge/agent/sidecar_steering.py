"""What operators and tools do to a chat that somebody else has opened."""

from collections import deque

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import commands as wish
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action
from evibridge.agent.commands import OperatorCommand
from evibridge.agent.open_turn import MAX_TEXTS
from evibridge.agent.sidecar_tools import SidecarTools
from evibridge.agent.told_chat import ToldChat
from evibridge.errors import CommandRefused
from evibridge.events import CommandGiven

NOT_HERE = (
    "The caller's line and audio belong to whoever has opened the chat: only what the agent says "
    "and does can be steered from here."
)


class SidecarSteering:
    """Obeys operators, or says why it does not. Time is an argument, in seconds."""

    def __init__(self, told: ToldChat, tools: SidecarTools) -> None:
        self._told = told
        self._tools = tools
        self.paused_by: str | None = None
        """Name of the operator who has paused the agent, if one has."""
        self._unsaid: deque[str] = deque(maxlen=MAX_TEXTS)
        """What tools wanted to have spoken while the agent was paused."""

    def operate(self, command: OperatorCommand, by: str, now_s: float) -> list[Action]:
        """An operator of this name asks for something.

        Raises:
            CommandRefused: it cannot be done here, or not now
        """
        match command:
            case (
                wish.Hold()
                | wish.Release()
                | wish.HangUp()
                | wish.Transfer()
                | wish.TakeOver()
                | wish.HandBack()
            ):
                raise CommandRefused("not_here", NOT_HERE)
            case wish.Decide():
                return self._tools.decided(command.tool_call_id, command.verdict, by)
            case wish.Pause():
                return self._pause(by, now_s)
            case wish.Resume():
                return self._resume(by, now_s)
            case wish.Send(message):
                return self._send(message, by, now_s)
            case wish.Say(text):
                self._refuse_if_paused()
                return [_given("say", by, text), *self._told.tell(evi.AssistantInput(text), now_s)]
            case wish.Inject(text):
                return [_given("inject", by, text), *self._told.tell(evi.UserInput(text), now_s)]
            case wish.SetContext(text):
                return [_given("context", by, text), *self._told.set_context(text, now_s)]
            case wish.Whisper(text):
                return [_given("whisper", by, text), *self._told.whisper(text, now_s)]
            case changed:
                change = evi.SessionSettings(variables=changed.variables)
                given = _given("variables", by, ", ".join(changed.variables))
                return [given, *self._told.change(change, now_s)]

    def say(self, text: str, now_s: float) -> list[Action]:
        """Have the agent speak a text word for word, as soon as it may."""
        if self.paused_by is not None:
            self._unsaid.append(text)
            return []
        return self._told.tell(evi.AssistantInput(text), now_s)

    def leave(self, now_s: float) -> list[Action]:
        """Nobody steers the chat any more: an agent that was paused from here speaks again."""
        if self.paused_by is None:
            return []
        self.paused_by = None
        return [*self._told.pause(now_s, wanted=False), act.Publish(events.AgentResumed())]

    def ask_to_wait(self, now_s: float) -> list[Action]:
        """Have the agent say that the caller has to wait for a tool, as soon as it may."""
        return [] if self.paused_by is not None else self._tools.ask_to_wait(now_s)

    def _send(self, message: evi.ClientMessage, by: str, now_s: float) -> list[Action]:
        """A message of the control plane: what it asks for is wanted of the call as well."""
        match message:
            case evi.PauseAssistant():
                return self._pause(by, now_s)
            case evi.ResumeAssistant():
                return self._resume(by, now_s)
            case evi.SessionSettings(audio=None):
                done = self._told.change(message, now_s)
            case evi.SessionSettings():
                sentence = "The audio format of a call that goes on cannot be changed."
                raise CommandRefused("audio_is_fixed", sentence)
            case evi.ToolResponse() | evi.ToolError():
                done = self._tools.answered_by_operator(message, now_s)
            case evi.AssistantInput():
                self._refuse_if_paused()
                done = self._told.tell(message, now_s)
            case _:
                done = self._told.tell(message, now_s)
        return [_given("send", by, message.type), *done]

    def _pause(self, by: str, now_s: float) -> list[Action]:
        if self._told.is_paused:
            return []
        self.paused_by = by
        told = self._told.pause(now_s, wanted=True)
        return [_given("pause", by), *told, act.Publish(events.AgentPaused())]

    def _resume(self, by: str, now_s: float) -> list[Action]:
        """Resume the agent, also if it is not known here who has paused it, if anybody has."""
        if self._told.is_paused is False:
            return []
        self.paused_by = None
        told = self._told.pause(now_s, wanted=False)
        texts, self._unsaid = list(self._unsaid), deque(maxlen=MAX_TEXTS)
        said = [action for text in texts for action in self.say(text, now_s)]
        resumed = act.Publish(events.AgentResumed())
        return [_given("resume", by), *told, resumed, *said, *self.ask_to_wait(now_s)]

    def _refuse_if_paused(self) -> None:
        if self.paused_by is not None:
            raise CommandRefused("agent_is_paused", "The agent is paused: resume it first.")


def _given(command: str, by: str, text: str | None = None) -> Action:
    return act.Publish(CommandGiven(command, by, text))
