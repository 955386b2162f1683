from hypothesis import given
from hypothesis import strategies as st

from evibridge.agent import evi_messages as evi
from evibridge.agent.conversation import MAX_TEXT
from evibridge.agent.transcript import MAX_KNOWN, Transcript


def user(text: str) -> evi.UserMessage:
    return evi.UserMessage(text, interim=False, from_text=False, begin_ms=0, end_ms=0)


def agent(utterance_id: str | None, text: str) -> evi.AssistantMessage:
    return evi.AssistantMessage(utterance_id, text, from_text=False, is_quick_response=False)


def texts(transcript: Transcript) -> list[str]:
    return [line.text for line in transcript.lines]


def tell(
    transcript: Transcript, said: evi.UserMessage | evi.AssistantMessage, *, is_replay: bool
) -> bool:
    """Tell the transcript something; returns whether it was news."""
    if isinstance(said, evi.UserMessage):
        return transcript.caller_said(said, 0.0)
    return transcript.agent_says(said, 0.0, is_replay=is_replay) is not None


def test_lines_say_who_and_when() -> None:
    transcript = Transcript()
    transcript.caller_said(user("Hello?"), 1.0)
    transcript.agent_says(agent("u1", "Good morning."), 2.0, is_replay=False)

    caller, said = transcript.lines
    assert (caller.who, caller.at_s, caller.text_heard) == ("caller", 1.0, "Hello?")
    assert (said.who, said.at_s, said.utterance_id) == ("agent", 2.0, "u1")
    assert said.is_over


def test_segments_of_one_utterance_are_one_line() -> None:
    transcript = Transcript()
    for text in ("It is", "on its way."):
        assert transcript.agent_says(agent("u1", text), 1.0, is_replay=False) == "u1"

    assert texts(transcript) == ["It is on its way."]


def test_a_sentence_without_an_id_is_given_one() -> None:
    transcript = Transcript()
    first = transcript.agent_says(agent(None, "Yes."), 1.0, is_replay=False)
    second = transcript.agent_says(agent(None, "Yes."), 2.0, is_replay=False)

    assert first != second
    assert texts(transcript) == ["Yes.", "Yes."]


def test_texts_are_of_bounded_length() -> None:
    transcript = Transcript()
    transcript.caller_said(user("a" * 2 * MAX_TEXT), 1.0)
    for _ in range(2):
        transcript.agent_says(agent("u1", "b" * MAX_TEXT), 1.0, is_replay=False)

    assert [len(text) for text in texts(transcript)] == [MAX_TEXT, MAX_TEXT]


def test_a_replay_that_was_cut_short_hides_nothing_that_is_said_later() -> None:
    transcript = Transcript()
    for number in range(5):
        transcript.caller_said(user(str(number)), 0.0)
        transcript.agent_says(agent(None, f"reply {number}"), 0.0, is_replay=False)
    transcript.mirror_opened()
    assert not transcript.caller_said(user("4"), 1.0)
    assert transcript.agent_says(agent(None, "reply 4"), 1.0, is_replay=True) is None
    transcript.replay_ended()

    assert transcript.caller_said(user("5"), 2.0)
    assert transcript.agent_says(agent(None, "reply 5"), 2.0, is_replay=False) is not None


def test_how_an_utterance_sounded_is_news_once() -> None:
    transcript = Transcript()

    assert transcript.agent_sounded("u1", is_replay=False)
    assert not transcript.agent_sounded("u1", is_replay=True)
    assert transcript.agent_sounded(None, is_replay=False)
    assert not transcript.agent_sounded(None, is_replay=True)


def test_only_so_many_sentences_are_told_apart() -> None:
    transcript = Transcript()
    for number in range(MAX_KNOWN + 1):
        transcript.agent_sounded(f"u{number}", is_replay=False)

    assert not transcript.agent_sounded("u1", is_replay=True)
    assert transcript.agent_sounded("u0", is_replay=True)


SAYINGS = st.lists(
    st.one_of(
        st.builds(user, st.sampled_from(["Yes.", "No."])),
        st.builds(agent, st.none(), st.sampled_from(["Well.", "Fine."])),
    ),
    max_size=12,
)


@given(SAYINGS, st.lists(st.integers(0, 12), max_size=5))
def test_whenever_mirrors_break_each_thing_is_told_once_and_in_order(
    said: list[evi.UserMessage | evi.AssistantMessage], losses: list[int]
) -> None:
    """What has an id is made to have one of its own, as EVI does it."""
    history = [
        agent(f"u{number}", each.content)
        if isinstance(each, evi.AssistantMessage) and number % 2
        else each
        for number, each in enumerate(said)
    ]
    transcript = Transcript()
    news: list[str] = []
    reached = 0
    for loss in [*losses, len(history)]:
        transcript.mirror_opened()
        for each in history[:reached]:
            assert not tell(transcript, each, is_replay=True)
        if loss % 2:
            transcript.replay_ended()
        coming = history[reached : max(loss, reached)]
        news += [each.content for each in coming if tell(transcript, each, is_replay=not loss % 2)]
        reached = max(loss, reached)

    assert news == [each.content for each in history]
