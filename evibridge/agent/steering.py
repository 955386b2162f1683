"""What operators do to a call, and callers who have buttons."""

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import commands as wish
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action, Command
from evibridge.agent.commands import OperatorCommand
from evibridge.agent.course import CallCourse
from evibridge.agent.duties import FILLER_AFTER_S, THINKS_FOR_S, Duties
from evibridge.agent.farewell import Farewell
from evibridge.agent.taking_over import TakingOver
from evibridge.agent.talk import Talk
from evibridge.errors import CommandRefused
from evibridge.events import CALLER, CommandGiven, EndReason


class Steering:
    """Obeys operators, and callers who have buttons, or says why it does not."""

    def __init__(self, course: CallCourse, duties: Duties, farewell: Farewell, talk: Talk) -> None:
        self._course = course
        self._duties = duties
        self._farewell = farewell
        self._talk = talk
        self.taking_over = TakingOver(course, self.command)

    def operate(self, command: OperatorCommand, by: str, now_s: float) -> list[Action]:
        """An operator of this name asks for something.

        Raises:
            CommandRefused: the call cannot do it now
        """
        if self._course.phase.is_over:
            raise CommandRefused("call_is_over", "The call is over.")
        self.taking_over.saw(by, now_s)
        match command:
            case wish.Decide():
                return self._course.tools.decided(command.tool_call_id, command.verdict, by)
            case wish.HangUp():
                return [_given("hangup", by), *self.command(Command.HANG_UP, now_s)]
            case wish.Transfer():
                return self._transfer(command, by, now_s)
            case wish.TakeOver() | wish.HandBack():
                return self.taking_over.operate(command, by, now_s)
            case wish.Pause() | wish.Resume() | wish.Hold() | wish.Release():
                return self._switch(command, by, now_s)
            case wish.Send(message):
                return self._send(message, by, now_s)
            case wish.Say() | wish.Inject():
                return self._speak(command, by, now_s)
            case wish.SetContext() | wish.SetVariables() | wish.Whisper():
                return self._brief(command, by)

    def caller_pauses(self, now_s: float) -> list[Action]:
        """The caller wants the agent to be silent until he resumes.

        Raises:
            CommandRefused: the call is about to end
        """
        return self._switch(wish.Pause(), CALLER, now_s)

    def caller_resumes(self, now_s: float) -> list[Action]:
        """The caller wants to be answered again.

        Raises:
            CommandRefused: an operator has paused the agent, or the call is about to end
        """
        if self._course.is_paused and self._course.paused_by != CALLER:
            raise CommandRefused("paused_by_operator", "The agent was paused by an operator.")
        return self._switch(wish.Resume(), CALLER, now_s)

    def command(self, command: Command, now_s: float) -> list[Action]:
        """An operator asks for something; asking twice changes nothing."""
        course = self._course
        if not course.phase.is_talking and command is not Command.HANG_UP:
            return []
        match command:
            case Command.PAUSE if not course.is_paused:
                course.is_paused = True
                return [
                    *course.match_pause(),
                    *self._talk.silence_agent(now_s),
                    act.Publish(events.AgentPaused()),
                ]
            case Command.RESUME if course.is_paused and course.takeover.by is None:
                course.is_paused, course.paused_by = False, None
                course.responses.forget()  # nobody could answer
                self._duties.await_chat(now_s, FILLER_AFTER_S)
                return [
                    *course.match_pause(),
                    act.Publish(events.AgentResumed()),
                    *self._duties.take_up(now_s, within_s=THINKS_FOR_S),
                    *self._duties.press_keys(now_s),
                ]
            case Command.HOLD if not course.is_held:
                course.is_held = True
                stopped = [] if course.takeover.by is None else [act.StopOperator()]
                silenced = self._talk.silence_agent(now_s)
                return [*stopped, *silenced, act.Publish(events.CallHeld())]
            case Command.RELEASE if course.is_held:
                course.is_held, course.held_by = False, None
                course.responses.forget()
                self._duties.await_chat(now_s, FILLER_AFTER_S)
                return [
                    act.Publish(events.CallReleased()),
                    *self._go_on(now_s),
                    *self._duties.press_keys(now_s),
                ]
            case Command.HANG_UP if course.phase.is_talking:
                return self._farewell.hang_up(EndReason.OPERATOR_HUNG_UP, now_s)
            case Command.HANG_UP if course.phase.reason is EndReason.TRANSFERRED:
                return self._farewell.end(EndReason.OPERATOR_HUNG_UP, now_s)
            case Command.HANG_UP:  # again: he does not want to wait
                return self._farewell.end(course.phase.reason, now_s)
            case Command.RENEW_CHAT:
                course.link.renew(now_s)
            case _:
                pass
        return []

    def _go_on(self, now_s: float) -> list[Action]:
        """After a hold, in which the server has never stopped, unless its chat is a later one."""
        if self._course.has_to_take_up:
            return self._duties.take_up(now_s, within_s=THINKS_FOR_S)
        self._course.turn.repeat_missed(now_s)
        return [*self._duties.tell_texts(now_s), *self._duties.ask_to_wait(now_s)]

    def _switch(
        self,
        command: wish.Pause | wish.Resume | wish.Hold | wish.Release,
        by: str,
        now_s: float,
    ) -> list[Action]:
        self._refuse_if_ending()
        course = self._course
        name, asked = _SWITCHES[type(command)]
        if by != CALLER and asked in (Command.PAUSE, Command.RESUME):
            self.taking_over.refuse_if_taken_over()
        changed = self.command(asked, now_s)
        if not changed and name == "pause" and course.paused_by == CALLER != by:
            changed = [act.Publish(events.AgentPaused())]  # now it is the operator's
        if not changed:
            return []  # it is so already
        match command:
            case wish.Pause():
                course.paused_by = by
            case wish.Hold():
                course.held_by = by
            case _:
                pass
        return [_given(name, by), *changed]

    def _speak(self, command: wish.Say | wish.Inject, by: str, now_s: float) -> list[Action]:
        if isinstance(command, wish.Say):
            return [_given("say", by, command.text), *self._say(command.text, by, now_s)]
        return [_given("inject", by, command.text), *self._tell(evi.UserInput(command.text))]

    def _say(self, text: str, by: str, now_s: float) -> list[Action]:
        self._refuse_if_ending()
        if self._course.takeover.by is not None:
            return self.taking_over.say(text, by, now_s)
        if self._course.is_paused:
            raise CommandRefused("agent_is_paused", "The agent is paused: resume it first.")
        if self._course.is_held:
            raise CommandRefused("call_is_held", "The call is on hold: release it first.")
        return self._duties.say(text, now_s)

    def _transfer(self, transfer: wish.Transfer, by: str, now_s: float) -> list[Action]:
        self._refuse_if_ending()
        given = _given("transfer", by, transfer.to)
        if transfer.say_first is not None and self._course.takeover.by is not None:
            sentence = "Say it yourself first, and then transfer without a word."
            raise CommandRefused("call_is_taken_over", sentence)
        if transfer.say_first is not None and not self._course.link.is_ready:
            sentence = "The EVI server is away: try again in a moment, or transfer without a word."
            raise CommandRefused("agent_is_away", sentence)
        said = [] if transfer.say_first is None else self._say(transfer.say_first, by, now_s)
        return [given, *said, *self._farewell.transfer(transfer.to, now_s)]

    def _brief(
        self, command: wish.SetContext | wish.SetVariables | wish.Whisper, by: str
    ) -> list[Action]:
        self._refuse_if_ending()
        if isinstance(command, wish.Whisper):
            whispered = self._course.server.whisper(command.text)
            return [_given("whisper", by, command.text), *whispered]
        if isinstance(command, wish.SetContext):
            told = self._course.server.set_context(command.text)
            return [_given("context", by, command.text), *told]
        names = ", ".join(command.variables)
        change = evi.SessionSettings(variables=command.variables)
        return [_given("variables", by, names), *self._course.server.change(change)]

    def _send(self, message: evi.ClientMessage, by: str, now_s: float) -> list[Action]:
        """A message of the control plane: what it asks for is wanted of the call as well."""
        match message:
            case evi.PauseAssistant():
                return self._switch(wish.Pause(), by, now_s)
            case evi.ResumeAssistant():
                return self._switch(wish.Resume(), by, now_s)
            case evi.AssistantInput(text):
                done = self._say(text, by, now_s)
            case evi.ToolResponse() | evi.ToolError():
                done = self._answer(message, now_s)
            case evi.SessionSettings():
                done = self._change(message)
            case _:
                done = self._tell(message)
        return [_given("send", by, message.type), *done]

    def _answer(self, answer: evi.ToolResponse | evi.ToolError, now_s: float) -> list[Action]:
        course = self._course
        if (holding := course.tools.told_holding(answer.tool_call_id)) is not None:
            course.turn.retract(holding)
        done = course.tools.answered_by_operator(answer, has_chat=course.link.is_ready)
        if not done:
            raise CommandRefused(
                "tool_is_not_open", "No tool call waits for an answer under this id."
            )
        self._duties.tool_answered(now_s)
        return done

    def _change(self, change: evi.SessionSettings) -> list[Action]:
        self._refuse_if_ending()
        if change.audio is not None:
            sentence = "The audio format of a call that goes on cannot be changed."
            raise CommandRefused("audio_is_fixed", sentence)
        return self._course.server.change(change)

    def _tell(self, message: evi.ClientMessage) -> list[Action]:
        self._refuse_if_ending()
        return self._course.tell(message)

    def _refuse_if_ending(self) -> None:
        if not self._course.phase.is_talking:
            raise CommandRefused("call_is_ending", "The call is about to end.")


def _given(command: str, by: str, text: str | None = None) -> Action:
    return act.Publish(CommandGiven(command, by, text))


_SWITCHES = {
    wish.Pause: ("pause", Command.PAUSE),
    wish.Resume: ("resume", Command.RESUME),
    wish.Hold: ("hold", Command.HOLD),
    wish.Release: ("release", Command.RELEASE),
}
