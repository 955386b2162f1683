"""Chats with the EVI server come and go; the call goes on."""

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action
from evibridge.agent.course import KEPT_AUDIO_S, CallCourse, Deadline, place
from evibridge.agent.duties import FILLER_AFTER_S, GO_ON_AFTER_S, THINKS_FOR_S, Duties
from evibridge.agent.farewell import Farewell
from evibridge.events import ChatOpening, EndReason

WITHOUT_SERVER = frozenset(
    {EndReason.EVI_LOST, EndReason.EVI_UNREACHABLE, EndReason.EVI_REFUSED, EndReason.INACTIVITY}
)
"""Ends of a chat that are none of a call which an operator has taken over."""


class ChatChanges:
    """Says what a chat that opens is told, and what follows when one is gone."""

    def __init__(self, course: CallCourse, duties: Duties, farewell: Farewell) -> None:
        self._course = course
        self._duties = duties
        self._farewell = farewell

    def opened(self, chat: int, opened: evi.ChatMetadata, now_s: float) -> list[Action]:
        """A chat has begun."""
        course = self._course
        if course.phase.is_over or (chat == course.link.number and course.link.is_ready):
            return []
        if not course.phase.is_talking:
            return [act.Disconnect(chat)]
        is_quiet = course.is_quiet(now_s)
        news = course.link.opened(chat, opened.chat_group_id, now_s, is_quiet=is_quiet)
        if news is None:
            return [act.Disconnect(chat)]
        course.deadlines.pop(Deadline.FILLER, None)
        replaced: list[Action] = []
        if news.replaces is not None:
            replaced = [act.Disconnect(news.replaces), *self._left(now_s)]
        opening = course.server.opening(chat, news, course.conversation, paused=course.wants_pause)
        owed = course.tools.chat_opened()
        first = self._duties.disclose(now_s)
        if news.why is ChatOpening.RENEWED and is_quiet:
            resumed = self._duties.tell_texts(now_s)
        elif news.why is ChatOpening.AFRESH:
            resumed = self._duties.take_up(now_s, within_s=None)
        else:
            resumed = self._duties.take_up(now_s, within_s=THINKS_FOR_S if owed else GO_ON_AFTER_S)
        unheard_s = 0.0 if replaced else min(now_s - course.unheard_from_s, KEPT_AUDIO_S)
        course.responses.hears_from(now_s - unheard_s)
        return [
            *opening,
            *owed,
            *first,
            act.HearCaller(),
            *replaced,
            *course.server.kept(),
            act.Publish(events.ChatOpened(opened.chat_id, opened.chat_group_id, news.why)),
            *resumed,
        ]

    def closed(self, chat: int, code: int, now_s: float) -> list[Action]:
        """The socket of a chat is gone."""
        course = self._course
        if not course.phase.has_server:
            return []
        silenced = course.is_silenced
        meaning, error = course.server.closed(chat, code, now_s, may_be_idle=silenced)
        if meaning is None:
            return []
        if course.phase.is_closing:
            return self._farewell.server_left(course.phase.reason, now_s)
        if isinstance(meaning, EndReason):
            if not self._outlasts(meaning):
                return self._farewell.server_left(meaning, now_s)
            course.link.hold_out(now_s)
        return self._lost(events.ChatLost(code, error), now_s)

    def unavailable(self, chat: int, now_s: float, *, retryable: bool) -> list[Action]:
        """A chat could not be opened."""
        if retryable:
            self._course.link.failed(chat, now_s)
        elif self._course.link.refused(chat, now_s):
            if not self._outlasts(EndReason.EVI_REFUSED):
                return self._farewell.server_left(EndReason.EVI_REFUSED, now_s)
            self._course.link.hold_out(now_s)
        return []

    def woke(self, now_s: float) -> list[Action]:
        """The time may have come to open a chat, or to give up."""
        link, is_quiet = self._course.link, self._course.is_quiet(now_s)
        woken = link.woke(now_s, is_quiet=is_quiet)
        if isinstance(woken, EndReason) and self._outlasts(woken):
            link.wait_on(now_s)
            woken = link.woke(now_s, is_quiet=is_quiet)
        return self._farewell.server_left(woken, now_s) if isinstance(woken, EndReason) else woken

    def _outlasts(self, reason: EndReason) -> bool:
        """Whether the call goes on without the server: an operator speaks with the caller."""
        return self._course.takeover.by is not None and reason in WITHOUT_SERVER

    def _lost(self, lost: events.ChatLost, now_s: float) -> list[Action]:
        left = self._left(now_s)
        self._course.unheard_from_s = now_s
        self._duties.await_chat(now_s, FILLER_AFTER_S)
        return [*left, act.Publish(lost)]

    def _left(self, now_s: float) -> list[Action]:
        """Nothing more comes of the chat that was in use."""
        course = self._course
        course.caller_spoke_s = None
        course.disclosure.forgotten()
        course.tools.chat_lost()
        course.turn.chat_lost()
        if not course.speech.turn_is_over and course.disclosure.is_being_said:
            course.disclosure.broken_off(now_s)
        elif not course.speech.turn_is_over:
            course.turn.missed(course.conversation.unfinished, may_be_repeated=False)
        return place(course.speech.break_off())
