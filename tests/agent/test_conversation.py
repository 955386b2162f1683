from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.agent.conversation import (
    MAX_LINES,
    MAX_RETOLD,
    MAX_RETOLD_CHARACTERS,
    MAX_SEGMENTS,
    MS_PER_CHARACTER,
    RETOLD,
    UNNAMED,
    Conversation,
    Line,
)
from evibridge.audio.playout import Heard

TEN_WORDS = "one two three four five six seven eight nine ten"


def spoken(text: str, sent_ms: float, *, is_complete: bool = True) -> Conversation:
    """The agent has said a sentence, `a`, in so much audio."""
    conversation = Conversation()
    conversation.agent_says("a", text, 1.0)
    conversation.audio_sent("a", sent_ms, 1.0)
    if is_complete:
        conversation.turn_ended()
    return conversation


def only_line(conversation: Conversation, heard_ms: float = 0.0) -> Line:
    """The one line of a conversation while its audio is played, so far."""
    (line,) = conversation.lines([Heard("a", 0.0, heard_ms)])
    return line


class TestLines:
    def test_nothing_was_said_at_first(self) -> None:
        assert Conversation().lines() == ()

    def test_they_stand_in_the_order_in_which_they_were_said(self) -> None:
        conversation = Conversation()
        conversation.agent_says("a", "Hello.", 1.0)
        conversation.caller_said("Where is my book?", 2.0)
        conversation.agent_says("b", "On its way.", 3.0)

        lines = conversation.lines()

        assert [(line.who, line.at_s, line.text) for line in lines] == [
            ("agent", 1.0, "Hello."),
            ("caller", 2.0, "Where is my book?"),
            ("agent", 3.0, "On its way."),
        ]
        assert [line.utterance_id for line in lines] == ["a", None, "b"]

    def test_the_callers_are_whole_at_once(self) -> None:
        conversation = Conversation()
        conversation.caller_said("Where is my book?", 2.0)

        (line,) = conversation.lines()

        assert line == Line("caller", 2.0, "Where is my book?", "Where is my book?")
        assert line.is_over

    def test_the_agents_are_open_until_they_are_settled(self) -> None:
        conversation = spoken("Hello there.", 1000)
        assert not only_line(conversation).is_over

        line = conversation.settle(Heard("a", 1000, 1000))

        assert line == Line("agent", 1.0, "Hello there.", "Hello there.", "a", 1000, 1000)
        assert conversation.lines() == (line,)

    def test_their_times_can_be_counted_from_another_moment(self) -> None:
        line = spoken("Hello there.", 1000).settle(Heard("a", 1000, 400))

        assert line.counted_from(0.75) == replace(line, at_s=0.25)

    def test_of_a_long_call_the_oldest_are_forgotten(self) -> None:
        conversation = Conversation()
        for number in range(MAX_LINES + 1):
            conversation.caller_said(f"{number}", float(number))

        lines = conversation.lines()

        assert len(lines) == MAX_LINES
        assert lines[0].text == "1"

    def test_sentences_that_are_never_spoken_are_forgotten_as_well(self) -> None:
        conversation = Conversation()
        for number in range(MAX_LINES + 1):
            conversation.agent_says(f"u{number}", f"{number}", float(number))

        assert len(conversation.lines()) == MAX_LINES
        assert conversation.settle_unheard()[0].text == "1"

    def test_what_was_said_stays_out_of_logs(self) -> None:
        conversation = spoken("Your number is 1042.", 1000)
        conversation.caller_said("My number is 1042.", 2.0)

        assert "1042" not in repr(conversation.lines())

    def test_audio_that_nobody_announced_is_a_line_without_text(self) -> None:
        conversation = Conversation()
        conversation.audio_sent("a", 500, 1.0)

        line = only_line(conversation, 200)

        assert (line.text, line.text_heard) == ("", "")
        assert (line.sent_ms, line.heard_ms) == (500, 200)

    def test_what_plays_is_counted_for_the_line_that_is_open(self) -> None:
        conversation = spoken("Hello there.", 1000)
        conversation.settle(Heard("a", 1000, 1000))
        conversation.audio_sent("a", 500, 9.0)

        lines = conversation.lines([Heard("a", 500, 200)])

        assert [line.heard_ms for line in lines] == [1000, 200]


class TestWordsHeard:
    @pytest.mark.parametrize(
        ("heard_ms", "words"), [(0, 0), (99, 0), (100, 1), (550, 5), (999, 9), (1000, 10)]
    )
    def test_they_are_in_proportion_to_the_time(self, heard_ms: float, words: int) -> None:
        line = only_line(spoken(TEN_WORDS, 1000), heard_ms)

        assert line.text_heard.split() == TEN_WORDS.split()[:words]
        assert line.heard_ms == heard_ms

    def test_a_sentence_heard_to_its_end_keeps_its_form(self) -> None:
        assert (
            only_line(spoken("Well,  so  be\nit.", 1000), 1000).text_heard == "Well,  so  be\nit."
        )

    def test_of_a_sentence_whose_audio_still_comes_the_length_is_estimated(self) -> None:
        expected_ms = len(TEN_WORDS) * MS_PER_CHARACTER
        conversation = spoken(TEN_WORDS, expected_ms / 2, is_complete=False)

        line = only_line(conversation, expected_ms / 2)

        assert line.text_heard == "one two three four five"

    def test_a_sentence_spoken_slower_than_estimated_is_not_heard_before_it_was_sent(self) -> None:
        sent_ms = 2 * len(TEN_WORDS) * MS_PER_CHARACTER
        conversation = spoken(TEN_WORDS, sent_ms, is_complete=False)

        assert only_line(conversation, sent_ms / 2).text_heard == "one two three four five"
        assert only_line(conversation, sent_ms).text_heard == TEN_WORDS

    def test_the_next_sentence_tells_that_all_audio_of_the_last_one_has_come(self) -> None:
        conversation = spoken("Hello there.", 300, is_complete=False)
        assert only_line(conversation, 300).text_heard == ""

        conversation.agent_says("b", "How are you?", 2.0)

        first, _ = conversation.lines([Heard("a", 300, 300)])
        assert first.text_heard == "Hello there."

    def test_of_a_sentence_without_audio_nothing_is_heard(self) -> None:
        assert only_line(spoken("Hello there.", 0)).text_heard == ""


class TestSegments:
    def two_segments(self, *, is_complete: bool = True) -> Conversation:
        conversation = spoken("one two three", 300, is_complete=False)
        conversation.agent_says("a", "four five six seven", 1.5)
        conversation.audio_sent("a", 400, 1.5)
        if is_complete:
            conversation.turn_ended()
        return conversation

    def test_they_are_one_line(self) -> None:
        line = only_line(self.two_segments())

        assert line.text == "one two three four five six seven"
        assert line.at_s == 1.0
        assert line.sent_ms == 700

    @pytest.mark.parametrize(
        ("heard_ms", "words"), [(0, 0), (100, 1), (300, 3), (399, 3), (400, 4), (600, 6), (700, 7)]
    )
    def test_each_is_heard_in_the_time_of_its_own_audio(self, heard_ms: float, words: int) -> None:
        line = only_line(self.two_segments(), heard_ms)

        assert line.text_heard.split() == line.text.split()[:words]

    def test_only_of_the_last_one_more_audio_may_come(self) -> None:
        line = only_line(self.two_segments(is_complete=False), 700)

        assert line.text_heard == "one two three four"

    def test_of_very_many_the_first_are_remembered(self) -> None:
        conversation = Conversation()
        for number in range(MAX_SEGMENTS + 1):
            conversation.agent_says("a", f"{number}", 1.0)
            conversation.audio_sent("a", 20, 1.0)

        assert only_line(conversation).text.split()[-1] == f"{MAX_SEGMENTS - 1}"

    def test_those_announced_together_are_heard_one_after_the_other(self) -> None:
        conversation = Conversation()
        conversation.agent_says("a", "one two three", 1.0)
        conversation.agent_says("a", "four five", 1.0)
        conversation.audio_sent("a", 500, 1.0)
        conversation.turn_ended()

        assert only_line(conversation, 100).text_heard == "one"

    def test_a_text_without_an_id_belongs_to_the_next_audio(self) -> None:
        conversation = Conversation()
        conversation.agent_says(f"{UNNAMED}1", "Hello there.", 1.0)
        conversation.audio_sent("a", 500, 1.0)

        line = only_line(conversation)

        assert (line.utterance_id, line.text) == ("a", "Hello there.")

    def test_a_sentence_that_was_broken_off_is_never_complete(self) -> None:
        conversation = spoken(TEN_WORDS, 100, is_complete=False)
        conversation.broken_off()
        assert conversation.unfinished == ""
        conversation.agent_says("b", "And again.", 2.0)

        assert conversation.unfinished == "And again."
        assert conversation.settle(Heard("a", 100, 100)).text_heard == ""


class TestSettling:
    def test_a_sentence_cut_off_keeps_the_words_until_then(self) -> None:
        conversation = spoken(TEN_WORDS, 1000)

        line = conversation.settle(Heard("a", 1000, 300))

        assert line.text_heard == "one two three"
        assert (line.sent_ms, line.heard_ms, line.is_over) == (1000, 300, True)
        assert conversation.lines() == (line,)

    def test_an_utterance_that_nobody_remembers_is_settled_without_words(self) -> None:
        line = Conversation().settle(Heard("a", 1000, 300))

        assert (line.utterance_id, line.text_heard, line.heard_ms) == ("a", "", 300)

    def test_what_was_announced_and_not_spoken_is_over_and_unheard(self) -> None:
        conversation = Conversation()
        conversation.agent_says("a", "Hello there.", 1.0)

        (line,) = conversation.settle_unheard()

        assert (line.text, line.text_heard, line.is_over) == ("Hello there.", "", True)
        assert conversation.lines() == (line,)
        assert conversation.settle_unheard() == []

    def test_the_audio_of_an_utterance_can_be_heard_in_more_than_one_stretch(self) -> None:
        conversation = spoken(TEN_WORDS, 1000)
        conversation.heard(Heard("a", 300, 300))
        first = only_line(conversation, 200)

        line = conversation.settle(Heard("a", 700, 700))

        assert (first.heard_ms, first.is_over) == (500, False)
        assert (line.text_heard, line.heard_ms, line.is_over) == (TEN_WORDS, 1000, True)

    def test_what_an_earlier_turn_did_not_speak_is_over_when_the_next_begins(self) -> None:
        conversation = Conversation()
        conversation.agent_says("a", "Hello there.", 1.0)
        conversation.agent_says("b", "How are you?", 1.0)
        conversation.audio_sent("b", 1000, 1.0)
        conversation.turn_ended()

        conversation.turn_begins()

        assert [(line.text_heard, line.is_over) for line in conversation.lines()] == [
            ("", True),
            ("", False),
        ]
        assert [line.text for line in conversation.settle_unheard()] == ["How are you?"]

    def test_a_sentence_whose_audio_had_no_length_is_not_taken_for_unspoken(self) -> None:
        conversation = spoken("Hello there.", 0)
        conversation.turn_begins()

        assert not only_line(conversation).is_over

    def test_what_was_settled_already_is_not_settled_again(self) -> None:
        conversation = spoken("Hello there.", 1000)
        conversation.settle(Heard("a", 1000, 1000))

        assert conversation.settle_unheard() == []


class TestUnfinished:
    def test_it_is_the_sentence_whose_audio_still_comes(self) -> None:
        conversation = spoken("Hello there.", 1000, is_complete=False)
        assert conversation.unfinished == "Hello there."

        conversation.agent_says("b", "How are you?", 2.0)
        assert conversation.unfinished == "How are you?"

    def test_there_is_none_when_the_turn_is_over(self) -> None:
        assert spoken("Hello there.", 1000).unfinished == ""

    def test_there_is_none_when_it_was_cut_off(self) -> None:
        conversation = spoken("Hello there.", 1000, is_complete=False)
        conversation.settle(Heard("a", 1000, 300))

        assert conversation.unfinished == ""


class TestRetelling:
    def test_of_nothing_is_nothing(self) -> None:
        assert Conversation().retold() == ""

    def test_it_tells_who_said_what_as_far_as_it_was_heard(self) -> None:
        conversation = spoken(TEN_WORDS, 1000)
        conversation.settle(Heard("a", 1000, 300))
        conversation.caller_said("Stop!", 2.0)
        conversation.agent_says("b", "Not heard at all.", 3.0)

        assert conversation.retold() == f"{RETOLD}\nYou: one two three\nCaller: Stop!"

    def test_a_long_talk_is_told_from_its_last_lines(self) -> None:
        conversation = Conversation()
        for number in range(MAX_RETOLD + 5):
            conversation.caller_said(f"line {number}", float(number))

        told = conversation.retold().splitlines()

        assert told[0] == RETOLD
        assert len(told) == 1 + MAX_RETOLD
        assert told[1] == "Caller: line 5"
        assert told[-1] == f"Caller: line {MAX_RETOLD + 4}"

    def test_lines_too_long_for_a_prompt_lose_their_beginning(self) -> None:
        conversation = Conversation()
        conversation.caller_said("x" * 2 * MAX_RETOLD_CHARACTERS + " the end", 1.0)

        told = conversation.retold()

        assert len(told) == len(RETOLD) + len("\nCaller: ") + MAX_RETOLD_CHARACTERS
        assert told.endswith("x the end")

    def test_many_words_lose_their_first_lines(self) -> None:
        conversation = Conversation()
        for name in "abc":
            conversation.caller_said(name * (MAX_RETOLD_CHARACTERS // 2), 1.0)

        assert [line[:9] for line in conversation.retold().splitlines()[1:]] == ["Caller: c"]


SEGMENT = st.tuples(
    st.lists(st.text("ab", min_size=1, max_size=9), max_size=8).map(" ".join),
    st.lists(st.floats(0, 2000), max_size=4),
)


@given(st.lists(SEGMENT, min_size=1, max_size=6), st.booleans(), st.lists(st.floats(0, 1)))
def test_the_words_heard_are_the_first_of_the_text_and_never_become_fewer(
    segments: list[tuple[str, list[float]]], is_complete: bool, shares: list[float]
) -> None:
    conversation = Conversation()
    for text, chunks_ms in segments:
        conversation.agent_says("a", text, 1.0)
        for chunk_ms in chunks_ms:
            conversation.audio_sent("a", chunk_ms, 1.0)
    if is_complete:
        conversation.turn_ended()
    sent_ms = only_line(conversation).sent_ms

    before = 0
    for share in [*sorted(shares), 1.0]:
        line = only_line(conversation, sent_ms * share)
        heard = line.text_heard.split()
        assert heard == line.text.split()[: len(heard)]
        assert before <= len(heard)
        before = len(heard)
    if is_complete and sent_ms > 0:
        assert line.text_heard == line.text
    if sent_ms == 0:
        assert line.text_heard == ""
