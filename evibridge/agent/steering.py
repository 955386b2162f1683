"""What operators do to a call: pause and resume, hold and release, hang up."""

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent.actions import Action, Command
from evibridge.agent.course import CallCourse
from evibridge.agent.duties import FILLER_AFTER_S, THINKS_FOR_S, Duties
from evibridge.agent.farewell import Farewell
from evibridge.agent.talk import Talk
from evibridge.events import EndReason


class Steering:
    """Obeys operators."""

    def __init__(self, course: CallCourse, duties: Duties, farewell: Farewell, talk: Talk) -> None:
        self._course = course
        self._duties = duties
        self._farewell = farewell
        self._talk = talk

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
            case Command.RESUME if course.is_paused:
                course.is_paused = False
                self._duties.await_chat(now_s, FILLER_AFTER_S)
                return [
                    *course.match_pause(),
                    act.Publish(events.AgentResumed()),
                    *self._duties.take_up(now_s, within_s=THINKS_FOR_S),
                    *self._duties.press_keys(now_s),
                ]
            case Command.HOLD if not course.is_held:
                course.is_held = True
                return [*self._talk.silence_agent(now_s), act.Publish(events.CallHeld())]
            case Command.RELEASE if course.is_held:
                course.is_held = False
                self._duties.await_chat(now_s, FILLER_AFTER_S)
                course.turn.repeat_missed(now_s)  # the server has never stopped
                return [
                    act.Publish(events.CallReleased()),
                    *self._duties.tell_texts(now_s),
                    *self._duties.ask_to_wait(now_s),
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
