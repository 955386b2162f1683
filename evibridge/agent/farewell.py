"""How a call ends: at once, or when everything was said and heard."""

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent.actions import Action
from evibridge.agent.course import CallCourse, Deadline, Presence, place
from evibridge.agent.duties import Duties
from evibridge.agent.phases import Turning
from evibridge.events import EndReason

LAST_WORDS_GRACE_S = 2.0
"""How long after its due time the last mark is waited for before hanging up."""
FAREWELL_S = 30.0
"""How long a decided hang-up waits for the agent to say goodbye and the caller to hear it."""


class Farewell:
    """Decides when to hang up."""

    def __init__(self, course: CallCourse, duties: Duties) -> None:
        self._course = course
        self._duties = duties

    def leave_when_said(self, now_s: float) -> list[Action]:
        """Hang up if that is decided and the agent has nothing more to say."""
        course = self._course
        if not course.phase.is_closing:
            return []
        may_speak = course.may_speak
        will_speak = not course.speech.turn_is_over or course.turn.owes_texts(now_s)
        will_speak |= not course.keys.all_pressed
        if course.last_words is None:
            will_speak |= not course.turn.is_given_up(now_s) or not course.tools.is_idle
        if may_speak and will_speak:
            return []
        if course.speech.all_heard:
            return self.end(course.phase.reason, now_s)
        course.deadlines[Deadline.LAST_WORDS] = self._last_words_s(now_s)
        return place(course.speech.break_off())

    def _last_words_s(self, now_s: float) -> float:
        return max(self._course.speech.due_s, now_s) + LAST_WORDS_GRACE_S

    def end(self, reason: EndReason, now_s: float) -> list[Action]:
        """Hang up now."""
        course = self._course
        if course.phase.is_over:
            return []
        course.phase.go(Turning.END, reason)
        course.deadlines.clear()
        course.link.leave()
        return [
            act.HangUp(
                reason,
                course.transfer_to if reason is EndReason.TRANSFERRED else None,
                course.last_words if course.owes_last_words else None,
            ),
            *course.tools.drop_all(),
            *map(act.Publish, course.speech.cut_off(now_s).reports),
            act.Publish(events.CallEnded(reason)),
        ]

    def server_left(self, reason: EndReason, now_s: float) -> list[Action]:
        """The server is gone for good; what was sent of the agent's voice is still heard out."""
        course = self._course
        if not course.phase.has_server:
            return []
        course.link.leave()
        mark = course.speech.break_off()
        if course.speech.all_heard or course.caller is not Presence.HERE:
            return self.end(reason, now_s)
        course.phase.go(Turning.SERVER_LEFT, reason)
        course.deadlines = {Deadline.LAST_WORDS: self._last_words_s(now_s)}
        return [*course.tools.drop_all(), *place(mark)]

    def hang_up(self, reason: EndReason, now_s: float) -> list[Action]:
        """End the call once the agent has said, and the caller heard, what is being said now."""
        course = self._course
        if not course.phase.is_talking:
            return []
        if course.caller is not Presence.HERE:
            return self.end(reason, now_s)
        course.phase.go(Turning.HANG_UP, reason)
        course.deadlines[Deadline.FAREWELL] = now_s + FAREWELL_S
        decided = act.Publish(events.HangUpDecided(reason))
        return [decided, *self.leave_when_said(now_s)]

    def end_with(self, text: str, now_s: float) -> list[Action]:
        """Have the agent speak a last text, and end the call once the caller has heard it."""
        course = self._course
        if not course.phase.is_talking:
            return []
        told = self._duties.say(text, now_s)
        course.last_words, course.owes_last_words = text, True
        return [*told, *self.hang_up(EndReason.AGENT_HUNG_UP, now_s)]

    def transfer(self, to: str, now_s: float) -> list[Action]:
        """Put the caller through to somebody else once the agent has said what it has to say."""
        if self._course.phase.is_talking:
            self._course.transfer_to = to
        return self.hang_up(EndReason.TRANSFERRED, now_s)
