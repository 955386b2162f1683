"""What the agent says before anything else in a call."""

from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.manners import Manners
from evibridge.agent.open_turn import STALE_S
from evibridge.agent.session import CallSession
from tests.agent.test_session import (
    CHAT,
    FIRST,
    LIMITS,
    SETTINGS,
    lose_chat,
    said,
    sentence,
    told,
)

DISCLOSURE = "I am a machine, and this call is recorded."
TOLD = evi.AssistantInput(DISCLOSURE)


def disclosing_session() -> CallSession:
    session = CallSession(SETTINGS, LIMITS, Manners(filler=None), lambda: 1.0, DISCLOSURE)
    session.caller_joined(0.0)
    return session


def speaking_it(session: CallSession, now_s: float) -> list[act.Action]:
    """The server begins to speak it."""
    spoken = evi.AssistantMessage("d1", DISCLOSURE, from_text=True, is_quick_response=False)
    return session.chat_said(FIRST, spoken, now_s)


def test_the_server_is_told_before_it_hears_the_caller() -> None:
    opening = disclosing_session().chat_said(FIRST, CHAT, 0.2)

    assert opening.index(act.Tell(TOLD)) < opening.index(act.HearCaller())


def test_a_greeting_that_comes_before_is_said_after_it() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)

    session.chat_said(FIRST, sentence("g1", "Good day."), 0.3)
    session.chat_said(FIRST, sentence("g2", "How can I help?"), 0.3)
    assert not session.accepts("g1")
    after = told(speaking_it(session, 0.5))

    assert session.accepts("d1")
    assert after == [evi.AssistantInput("Good day. How can I help?")]
    assert not session.accepts("g2")


def test_what_is_said_later_is_just_said() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)
    assert told(speaking_it(session, 0.5)) == []

    session.chat_said(FIRST, sentence("u1"), 3.0)

    assert session.accepts("u1")


def test_a_caller_who_speaks_first_hears_it_all_the_same() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)

    assert told(session.chat_said(FIRST, said("hello?"), 0.4)) == [TOLD]
    session.chat_said(FIRST, sentence("u1"), 0.6)
    assert not session.accepts("u1")


def test_a_chat_that_is_lost_before_leaves_it_to_the_next_one() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)
    second = lose_chat(session, 0.3)

    assert TOLD in told(session.chat_said(second, CHAT, 0.8))


def test_it_is_said_once() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)
    speaking_it(session, 0.5)
    session.chat_said(FIRST, evi.AssistantEnd(), 0.6)
    second = lose_chat(session, 3.0)

    assert TOLD not in told(session.chat_said(second, CHAT, 3.5))


def test_a_server_that_does_not_say_it_is_not_silenced_for_ever() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)

    session.chat_said(FIRST, sentence("u1"), STALE_S + 1)

    assert session.accepts("u1")
