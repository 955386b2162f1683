"""What the agent owes the caller, done at the first moment at which it may.

Texts to be spoken, answers, keys to be pressed, a sign of life while the server is away.
"""

from collections.abc import Container

from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action
from evibridge.agent.course import CallCourse, Deadline

FILLER_AFTER_S = 1.5
FILLER_AGAIN_S = 6.0
GO_ON_AFTER_S = 2.0
"""How long a new chat may take to answer by itself what the lost one has left unanswered."""
THINKS_FOR_S = 5.0
"""The same for a server that knows of the question, or was given the result of a tool."""


class Duties:
    """Says what the server and the caller's side are to be told now."""

    def __init__(self, course: CallCourse) -> None:
        self._course = course

    def woke(self, due: Container[Deadline], now_s: float) -> list[Action]:
        """The time of these has come, and perhaps that of what has to be said first."""
        course = self._course
        actions: list[Action] = []
        if Deadline.FILLER in due:
            actions += self.fill(now_s)
        if Deadline.GO_ON in due:
            actions += self.go_on(now_s)
        if Deadline.BREAK in due:
            actions += [*self.ask_to_wait(now_s), *self.press_keys(now_s)]
        if Deadline.PAUSE_AGAIN in due:
            actions += course.server.pause_again(wanted=course.wants_pause)
        if course.disclosure.woke(now_s, caller_speaks=course.caller_speaks(now_s)):
            actions += self.tell_texts(now_s)
        return actions

    def await_chat(self, now_s: float, silence_s: float) -> None:
        """Let the caller not wait in silence for a chat that was lost."""
        course = self._course
        is_lost = course.link.was_ready and not course.link.is_ready
        if course.manners.filler is None or not is_lost or course.is_silenced:
            return
        course.deadlines[Deadline.FILLER] = max(now_s, course.speech.due_s) + silence_s

    def fill(self, now_s: float) -> list[Action]:
        """The caller has waited for the server for long enough to be told so."""
        if self._course.is_silenced or not self._course.phase.is_talking:
            return []
        self.await_chat(now_s, FILLER_AGAIN_S)
        return [act.PlayFiller()]

    def take_up(self, now_s: float, *, within_s: float | None) -> list[Action]:
        """Go on where the conversation was: say what was missed, have the caller answered.

        `within_s` is how long the server may take to do so by itself; None if it knows of nothing
        that it could answer.
        """
        course = self._course
        course.has_to_take_up = not course.may_speak
        if course.has_to_take_up:
            return []  # this is called again when that is over
        course.turn.repeat_missed(now_s)
        told = [*self.tell_texts(now_s), *self.ask_to_wait(now_s)]
        if within_s is None:
            return [*told, *self.go_on(now_s)]
        if course.turn.has_missed or course.turn.owes_answer(now_s):
            course.deadlines[Deadline.GO_ON] = now_s + within_s
        return told

    def go_on(self, now_s: float) -> list[Action]:
        """The server says nothing by itself: have it say what was missed, and ask it again."""
        course = self._course
        if not course.may_speak:
            return []
        if not course.tools.is_idle:
            course.deadlines[Deadline.GO_ON] = now_s + GO_ON_AFTER_S
            return []
        had_missed = course.turn.has_missed
        course.turn.repeat_missed(now_s, also_if_repeated=True)
        told = self.tell_texts(now_s)
        if had_missed or not course.turn.owes_answer(now_s):
            return told
        course.tools.asked_again()
        return [*told, act.Tell(evi.UserInput(course.turn.ask_again()))]

    def tell_texts(self, now_s: float) -> list[Action]:
        """Have the server speak what is to be spoken word for word."""
        course = self._course
        if not course.may_speak:
            return []
        first = self.disclose(now_s)
        if course.disclosure.comes_first:
            return first
        texts = course.turn.untold(now_s)
        if texts:
            course.turn.words_are_due(now_s)
        return [*first, *(act.Tell(evi.AssistantInput(text)) for text in texts)]

    def disclose(self, now_s: float) -> list[Action]:
        """Have the server say what has to come first, if it is to be told that now."""
        course = self._course
        if not course.may_speak or not course.disclosure.comes_first:
            return []
        told = course.disclosure.tell(now_s)
        if course.disclosure.is_given_up:
            course.turn.repeat_missed(now_s, also_if_repeated=True)
        return [*map(act.Tell, told)]

    def ask_to_wait(self, now_s: float) -> list[Action]:
        """Tell the caller that he has to wait for a tool, but not into the agent's own words."""
        course = self._course
        if not course.tools.has_holding or course.last_words is not None:
            return []
        if course.is_silenced or not course.link.is_ready or course.waits_for_break(now_s):
            return []
        for sentence in course.tools.take_holding():
            course.turn.say(sentence, now_s)
        return self.tell_texts(now_s)

    def press_keys(self, now_s: float) -> list[Action]:
        """Press what is to be pressed, in a silence of the agent."""
        course = self._course
        if not course.keys.wait or course.is_silenced or course.waits_for_break(now_s):
            return []
        return [act.PlayTones(course.keys.take())]

    def insist(self, now_s: float) -> list[Action]:
        """A server whose caller spoke has forgotten what it was to speak and has not begun.

        The first words of a call and the last are not given up for that.
        """
        course = self._course
        course.disclosure.forgotten()
        if course.owes_last_words:
            assert course.last_words is not None
            course.turn.retract(course.last_words)
            course.turn.say(course.last_words, now_s)
        insists = course.owes_last_words or course.disclosure.comes_first
        return self.tell_texts(now_s) if insists else []

    def tool_answered(self, now_s: float) -> None:
        """The server was given the result of a tool, and thinks about it."""
        course = self._course
        course.turn.words_are_due(now_s)
        if Deadline.GO_ON in course.deadlines:
            course.deadlines[Deadline.GO_ON] = now_s + THINKS_FOR_S

    def say(self, text: str, now_s: float) -> list[Action]:
        """Have the agent speak a text word for word, as soon as it can."""
        course = self._course
        if not course.phase.has_server or course.last_words is not None:
            return []
        course.deadlines.pop(Deadline.LAST_WORDS, None)  # it is not heard yet
        course.turn.say(text, now_s)
        return self.tell_texts(now_s)
