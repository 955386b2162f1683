"""What the agent says before anything else in a call."""

import pytest

from evibridge import Agent
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Command
from evibridge.agent.disclosure import MAX_TELLS
from evibridge.agent.manners import Manners
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
    wake,
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
    say_it_all(session, 0.5)
    second = lose_chat(session, 3.0)

    assert TOLD not in told(session.chat_said(second, CHAT, 3.5))


def heard_out(session: CallSession, actions: list[act.Action], now_s: float) -> None:
    """All marks come back that were placed."""
    for action in actions:
        if isinstance(action, act.PlaceMark):
            session.playback_heard(action.name, now_s)


def say_it_all(session: CallSession, now_s: float) -> None:
    """The server says it, and the caller hears all of it."""
    speaking_it(session, now_s)
    marks = session.agent_audio_sent("d1", 1000, now_s)
    marks += session.chat_said(FIRST, evi.AssistantEnd(), now_s + 0.1)
    heard_out(session, marks, now_s + 1.0)


def test_a_server_that_does_not_say_it_is_told_again_and_then_let_speak() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)
    session.chat_said(FIRST, sentence("g1", "Good day."), 0.3)

    tells = [woken_to_tell(session) for _ in range(MAX_TELLS)]

    assert tells == [[TOLD]] * (MAX_TELLS - 1) + [[evi.AssistantInput("Good day.")]]
    session.chat_said(FIRST, sentence("u1"), 40.0)
    assert session.accepts("u1")


def woken_to_tell(session: CallSession) -> list[evi.ClientMessage]:
    """What the server is told when the session wakes next."""
    _, actions = wake(session)
    return told(actions)


def test_a_caller_who_talks_over_it_hears_it_again_as_a_whole() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)
    speaking_it(session, 0.5)
    session.agent_audio_sent("d1", 3000, 0.5)

    session.chat_said(FIRST, evi.UserInterruption(0), 1.0)

    assert told(session.chat_said(FIRST, said("hello?"), 1.5)) == [TOLD]
    session.chat_said(FIRST, sentence("u1", "Good day."), 2.0)
    assert not session.accepts("u1")


def test_noise_over_it_has_it_said_again_too() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)
    speaking_it(session, 0.5)
    session.agent_audio_sent("d1", 3000, 0.5)
    session.chat_said(FIRST, evi.UserInterruption(0), 1.0)

    assert woken_to_tell(session) == [TOLD]


def test_a_caller_who_is_in_the_middle_of_a_sentence_is_not_talked_over() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)
    session.chat_said(FIRST, said("well", interim=True), 3.0)

    at_s, actions = wake(session)

    assert told(actions) == []
    session.chat_said(FIRST, said("well, hello"), at_s + 0.1)


def test_a_line_that_breaks_in_the_middle_of_it_has_it_said_again() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)
    speaking_it(session, 0.5)
    session.agent_audio_sent("d1", 3000, 0.5)

    session.caller_lost(1.0)

    assert told(session.caller_returned(2.0)).count(TOLD) == 1


def test_a_pause_in_the_middle_of_it_has_it_said_again() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)
    speaking_it(session, 0.5)
    session.agent_audio_sent("d1", 3000, 0.5)
    session.command(Command.PAUSE, 1.0)
    assert not session.accepts("d1")

    assert told(session.command(Command.RESUME, 200.0)).count(TOLD) == 1


def test_a_chat_that_is_lost_in_the_middle_of_it_leaves_all_of_it_to_the_next_one() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)
    speaking_it(session, 0.5)
    session.agent_audio_sent("d1", 3000, 0.5)
    second = lose_chat(session, 1.0)

    assert told(session.chat_said(second, CHAT, 1.5)).count(TOLD) == 1
    spoken = evi.AssistantMessage("d2", DISCLOSURE, from_text=True, is_quick_response=False)
    assert told(session.chat_said(second, spoken, 1.8)) == []


def test_a_chat_that_is_lost_between_its_sentences_leaves_all_of_it_to_the_next_one() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)
    first = evi.AssistantMessage("d1", "I am a machine", from_text=True, is_quick_response=False)
    session.chat_said(FIRST, first, 0.5)
    marks = session.agent_audio_sent("d1", 500, 0.5)
    rest = evi.AssistantMessage("d2", "this call is recorded", True, False)
    session.chat_said(FIRST, rest, 0.6)
    marks += session.agent_audio_sent("d2", 100, 0.6)
    heard_out(session, marks, 1.2)
    second = lose_chat(session, 1.3)

    assert told(session.chat_said(second, CHAT, 1.8)).count(TOLD) == 1


def test_a_caller_who_talks_before_its_first_sound_has_it_said_again() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)
    speaking_it(session, 0.5)
    session.chat_said(FIRST, evi.UserInterruption(0), 0.6)

    assert told(session.chat_said(FIRST, said("hello?"), 1.0)) == [TOLD]
    again = evi.AssistantMessage("d2", DISCLOSURE, from_text=True, is_quick_response=False)
    session.chat_said(FIRST, again, 1.5)
    assert session.accepts("d2")


def test_what_an_operator_has_said_comes_after_it() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)

    assert told(session.say("Please hold.", 0.3)) == []
    assert told(speaking_it(session, 0.5)) == [evi.AssistantInput("Please hold.")]


def test_a_sentence_of_the_models_own_does_not_stand_for_it() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)

    session.chat_said(FIRST, sentence("g1", "I am a machine"), 0.3)

    assert not session.accepts("g1")


def test_a_server_may_write_it_in_another_way() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)

    for words in ("I am a MACHINE,", "and this call is recorded"):
        part = evi.AssistantMessage(words, words, from_text=True, is_quick_response=False)
        session.chat_said(FIRST, part, 0.5)
        assert session.accepts(words)


def test_what_a_slow_server_says_a_second_time_is_not_heard() -> None:
    session = disclosing_session()
    session.chat_said(FIRST, CHAT, 0.2)
    assert woken_to_tell(session) == [TOLD]
    say_it_all(session, 4.0)

    copy = evi.AssistantMessage("d2", DISCLOSURE, from_text=True, is_quick_response=False)
    assert session.chat_said(FIRST, copy, 6.0) == []

    assert not session.accepts("d2")


def test_a_disclosure_that_says_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="blank"):
        Agent(system_prompt="You call people.", disclosure="  ")
