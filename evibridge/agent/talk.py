"""Who speaks: words of the caller, sentences of the agent, and what one does to the other."""

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action
from evibridge.agent.briefing import what_was_heard
from evibridge.agent.course import CallCourse, Deadline, place
from evibridge.agent.duties import THINKS_FOR_S, Duties
from evibridge.agent.farewell import Farewell
from evibridge.agent.speech import CutOff


class Talk:
    """Follows the conversation as the server tells it."""

    def __init__(self, course: CallCourse, duties: Duties, farewell: Farewell) -> None:
        self._course = course
        self._duties = duties
        self._farewell = farewell

    def caller_said(self, said: evi.UserMessage, now_s: float) -> list[Action]:
        """The server has understood the caller, for now or for good."""
        course = self._course
        course.server.converses()
        course.caller_sounded_s = now_s
        if said.interim and Deadline.GO_ON in course.deadlines:
            course.deadlines[Deadline.GO_ON] = now_s + THINKS_FOR_S
        elif not said.interim:
            course.deadlines.pop(Deadline.GO_ON, None)
        if said.from_text and course.turn.was_asked_again(said.content):
            return []
        course.caller_spoke_s = now_s if said.interim else None
        by_caller = not said.from_text or course.has_written(said.content)
        said_it = act.Publish(
            events.CallerSaid(
                said.content,
                said.interim,
                said.from_text,
                said.scores,
                by_caller,
                spoke_ms=None if said.from_text else max(0, said.end_ms - said.begin_ms) or None,
            )
        )
        cut = self._cut_in(now_s) if self._words_cut_in(now_s) else []
        if course.phase.is_over:
            return [said_it, *cut]
        if said.interim:
            return [*cut, said_it]
        course.link.talked()
        course.tools.caller_spoke()
        course.server.asked()
        course.conversation.caller_said(said.content, now_s)
        course.takeover.caller_said(said.content)
        course.turn.caller_spoke(said.content, now_s)
        course.responses.caller_said(said.end_ms, now_s, typed=said.from_text)
        return [*cut, said_it, *self._duties.insist(now_s)]

    def _words_cut_in(self, now_s: float) -> bool:
        """Whether words of the caller silence the agent; an operator who speaks decides himself.

        EVI interrupts only while it generates. When it is done and the phone still plays, they are
        the only sign of a barge-in.
        """
        course = self._course
        policy = course.manners.cut_off_by_words
        may_cut = policy == "always" or (policy == "after_turn" and course.speech.turn_is_over)
        may_cut &= course.takeover.by is None
        return may_cut and course.speech.is_audible(now_s) and not course.keys.sound(now_s)

    def agent_says(self, said: evi.AssistantMessage, now_s: float) -> list[Action]:
        """The agent is about to speak a sentence."""
        course = self._course
        course.server.converses()
        if course.disclosure.is_copy(said):
            course.speech.refuse(said.id)
            return []
        is_disclosure = course.disclosure.is_part(said)
        if course.is_silenced:  # it was on its way already, and must not be heard from its middle
            course.speech.refuse(said.id)
            if is_disclosure:
                course.disclosure.forgotten()
            else:
                course.turn.refused(
                    said.content, from_text=said.from_text, may_be_repeated=course.wants_pause
                )
            return []
        is_told = is_disclosure or said.from_text or course.turn.was_told(said.content)
        if course.disclosure.comes_first and not is_disclosure:
            course.speech.refuse(said.id)
            course.turn.refused(said.content, from_text=False, may_be_repeated=False)
            return []
        if course.last_words is not None and not is_told:
            course.speech.refuse(said.id)
            return []
        starts_turn = course.speech.turn_is_over
        utterance_id = course.speech.announced(said.id, said.content, now_s)
        if utterance_id is None:
            return []
        course.caller_spoke_s = None
        course.deadlines.pop(Deadline.LAST_WORDS, None)
        said_it = act.Publish(events.AgentSaid(utterance_id, said.content))
        if is_disclosure:
            return [said_it, *self._disclosed(utterance_id, said.content, now_s)]
        if is_told:
            course.turn.spoken(said.content)
            if course.last_words is not None and not course.turn.owes(course.last_words):
                course.owes_last_words = False
            return [said_it]
        course.deadlines.pop(Deadline.GO_ON, None)
        course.turn.server_answers()
        course.responses.answers(said.id, now_s)
        told = course.server.answers() if starts_turn else []
        return [*course.tools.answered_otherwise(), *told, said_it]

    def _disclosed(self, utterance_id: str, text: str, now_s: float) -> list[Action]:
        """What came too early, such as a greeting, is said behind what had to come first."""
        course = self._course
        course.turn.speaks_texts()
        came_first = course.disclosure.comes_first
        course.disclosure.begun(utterance_id, text)
        if not came_first:
            return []
        course.turn.repeat_missed(now_s, also_if_repeated=True)
        return self._duties.tell_texts(now_s)

    def turn_ended(self, now_s: float) -> list[Action]:
        """The server has sent all of the agent's turn."""
        course = self._course
        if not course.speech.ends_turn():
            return []
        course.turn.ended()
        ended = place(course.speech.end_turn())
        return [*ended, *self._duties.press_keys(now_s), *self._farewell.leave_when_said(now_s)]

    def server_failed(self, error: evi.ChatError) -> list[Action]:
        """The server reports an error."""
        self._course.server.reported(error.code)
        return [act.Publish(events.ServerReportedError(error.code, error.slug, error.message))]

    def caller_interrupts(self, now_s: float) -> list[Action]:
        """The server has heard the caller speak over the agent."""
        self._course.caller_sounded_s = now_s
        self._course.caller_spoke_s = now_s
        return [] if self._course.takeover.by is not None else self._cut_in(now_s)

    def _cut_in(self, now_s: float) -> list[Action]:
        """The caller speaks over the agent, who falls silent and learns what was heard."""
        course = self._course
        if course.phase.is_closing:  # he has something more to say, and is let
            course.deadlines.pop(Deadline.LAST_WORDS, None)
            course.turn.words_are_due(now_s)
        stopped = [
            *self._stopped(course.cut_off(now_s), now_s),
            *self._duties.press_keys(now_s),
        ]
        if course.last_words is None:
            return stopped
        course.turn.forget_told()
        return [
            *stopped,
            *self._duties.insist(now_s),
            *self._farewell.leave_when_said(now_s),
        ]

    def silence_agent(self, now_s: float) -> list[Action]:
        """An operator silences the agent, who learns what was heard, and may go on later."""
        course = self._course
        cut = course.cut_off(now_s)
        course.turn.missed(
            cut.lost, may_be_repeated=course.is_paused and not course.turn.is_answered
        )
        return self._stopped(cut, now_s)

    def _stopped(self, cut: CutOff, now_s: float) -> list[Action]:
        self._course.responses.forget()
        actions = self._course.heard(cut.reports, now_s)
        if cut.may_play_on:
            actions = [act.ClearPlayback(), *actions]
        if cut.was_audible:
            actions.append(act.Publish(events.AgentInterrupted()))
        if cut.lost and self._course.manners.tells_what_was_heard:
            actions += self._course.server.note(what_was_heard(cut))
        return actions
