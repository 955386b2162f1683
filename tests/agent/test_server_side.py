from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.chat_link import Opened
from evibridge.agent.closing_codes import Retry
from evibridge.agent.conversation import Conversation
from evibridge.agent.server_side import ServerSide
from evibridge.events import ChatOpening, EndReason

SETTINGS = evi.SessionSettings(system_prompt="Be brief.")


def new_side() -> ServerSide:
    side = ServerSide(SETTINGS, first_s=6, resume_s=20, random=lambda: 1.0)
    side.link.open(0.0)
    side.link.woke(0.0, is_quiet=True)
    return side


def open_chat(side: ServerSide, *, paused: bool = False) -> list[act.Action]:
    assert side.link.number is not None
    news = side.link.opened(side.link.number, "group-1", 0.1, is_quiet=True)
    assert news is not None
    return side.opening(side.link.number, news, Conversation(), paused=paused)


def ready_side() -> ServerSide:
    side = new_side()
    open_chat(side)
    return side


def test_a_chat_is_told_its_settings_first() -> None:
    assert open_chat(new_side()) == [act.UseChat(1), act.Tell(SETTINGS)]


def test_a_chat_that_opens_in_a_pause_is_paused() -> None:
    opened = open_chat(new_side(), paused=True)

    assert opened[-1] == act.Tell(evi.PauseAssistant())


def test_a_pause_is_told_once() -> None:
    side = ready_side()

    assert side.match_pause(wanted=True) == [act.Tell(evi.PauseAssistant())]
    assert side.match_pause(wanted=True) == []
    assert side.match_pause(wanted=False) == [act.Tell(evi.ResumeAssistant())]


def test_nobody_is_paused_where_nobody_is() -> None:
    assert new_side().match_pause(wanted=True) == []


def test_notes_are_told_together_until_they_are_answered() -> None:
    side = new_side()
    assert side.note("one") == []
    opened = open_chat(side)
    both = side.note("two")
    side.asked()
    side.answers()

    assert opened[-1] == act.Tell(evi.SessionSettings(context=evi.Context("one")))
    assert both == [act.Tell(evi.SessionSettings(context=evi.Context("one\ntwo")))]
    assert side.note("three") == [act.Tell(evi.SessionSettings(context=evi.Context("three")))]


def test_what_is_told_to_nobody_is_kept() -> None:
    side = new_side()
    assert side.tell(evi.UserInput("hello")) == []
    open_chat(side)

    assert side.kept() == [act.Tell(evi.UserInput("hello"))]
    assert side.kept() == []
    assert side.tell(evi.UserInput("again")) == [act.Tell(evi.UserInput("again"))]


def test_a_close_means_what_the_last_error_said() -> None:
    side = ready_side()
    side.reported("E0714")

    assert side.closed(1, 1000, 5.0) == (EndReason.INACTIVITY, "E0714")


def test_an_error_that_the_conversation_has_outlived_means_nothing() -> None:
    side = ready_side()
    side.reported("E0714")
    side.converses()

    assert side.closed(1, 1000, 5.0) == (EndReason.AGENT_HUNG_UP, None)


def test_an_error_of_one_chat_is_none_of_the_next() -> None:
    side = ready_side()
    side.reported("I0100")
    assert side.closed(1, 1000, 5.0) == (Retry.RESUME, "I0100")
    side.link.woke(6.0, is_quiet=True)
    open_chat(side)

    assert side.closed(2, 1000, 70.0) == (EndReason.AGENT_HUNG_UP, None)


def test_the_close_of_another_chat_takes_no_error_away() -> None:
    side = ready_side()
    side.reported("E0714")

    assert side.closed(7, 1000, 5.0) == (None, None)
    assert side.closed(1, 1000, 5.0)[0] is EndReason.INACTIVITY


def test_a_server_that_has_forgotten_is_told_what_was_said() -> None:
    conversation = Conversation()
    conversation.caller_said("My name is Ada.", 1.0)
    side = ready_side()

    opening = side.opening(2, Opened(ChatOpening.AFRESH), conversation, paused=False)

    told = opening[1]
    assert isinstance(told, act.Tell)
    assert isinstance(told.message, evi.SessionSettings)
    assert "My name is Ada." in str(told.message.system_prompt)
