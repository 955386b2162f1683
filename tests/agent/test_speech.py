import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from evibridge.agent.conversation import Conversation
from evibridge.agent.speech import FILLER, MAX_STALE_UTTERANCES, AgentSpeech, CutOff
from evibridge.audio.playout import MARK_APART_MS, MARK_EVERY_MS, STALLED_MS, STALLED_S, Heard
from evibridge.events import AgentHeard


def new_speech() -> AgentSpeech:
    return AgentSpeech(Conversation())


def speak(
    speech: AgentSpeech, utterance_id: str, ms: float, now_s: float = 1.0, text: str = "Good day."
) -> str | None:
    """An announced sentence with all of its audio in one chunk; returns the mark to place."""
    speech.announced(utterance_id, text, now_s)
    return speech.sent(utterance_id, ms, now_s)


def whole_turn(speech: AgentSpeech, ms: float, *, announced: bool = True) -> str:
    """A turn of one sentence, spoken at 1.0 s; returns the mark behind all of it."""
    mark = speak(speech, "a", ms) if announced else speech.sent("a", ms, 1.0)
    mark = speech.end_turn() or mark
    assert mark is not None
    return mark


class TestWhatMayBeHeard:
    def test_an_announced_utterance_is_accepted(self) -> None:
        speech = new_speech()

        assert speech.announced("a", "Good day.", 1.0) == "a"
        assert speech.accepts("a")

    def test_audio_that_nobody_announced_is_accepted_before_any_interruption(self) -> None:
        assert new_speech().accepts("a")

    def test_after_an_interruption_late_chunks_of_the_turn_are_refused(self) -> None:
        speech = new_speech()
        speak(speech, "a", 1000)
        speech.announced("b", "How are you?", 1.0)
        speech.sent("never announced", 100, 1.0)
        speech.cut_off(1.5)

        assert not speech.accepts("a")
        assert not speech.accepts("b")
        assert not speech.accepts("never announced")

    def test_after_an_interruption_nothing_is_accepted_before_it_is_announced(self) -> None:
        speech = new_speech()
        speech.cut_off(1.5)
        assert not speech.accepts("b")
        assert not speech.accepts("c")

        speech.announced("b", "How are you?", 2.0)

        assert speech.accepts("b")
        assert speech.accepts("c")

    def test_a_sentence_of_the_interrupted_turn_is_not_announced_again(self) -> None:
        speech = new_speech()
        speak(speech, "a", 1000)
        speech.cut_off(1.5)

        assert speech.announced("a", "Good day to you.", 1.6) is None
        assert not speech.accepts("a")
        assert not speech.accepts("b")
        assert speech.turn_is_over

    def test_a_sentence_without_an_id_gets_one_and_lets_audio_through(self) -> None:
        speech = new_speech()
        speech.cut_off(1.0)

        first = speech.announced(None, "Good day.", 1.1)
        second = speech.announced(None, "How are you?", 1.2)

        assert first is not None
        assert second is not None
        assert first != second
        assert speech.accepts("b")

    def test_what_is_refused_by_name_is_never_heard(self) -> None:
        speech = new_speech()
        speech.refuse("a")

        assert not speech.accepts("a")
        assert speech.announced("a", "Good day.", 1.0) is None
        assert speech.accepts("b")

    def test_a_sentence_without_an_id_cannot_be_refused_by_name(self) -> None:
        speech = new_speech()
        speech.refuse(None)

        assert speech.announced(None, "Good day.", 1.0) is not None

    def test_interruptions_long_ago_are_forgotten(self) -> None:
        speech = new_speech()
        for number in range(MAX_STALE_UTTERANCES + 1):
            speech.announced(f"u{number}", "Good day.", 1.0)
            speech.cut_off(1.0)

        assert speech.announced("u1", "Good day.", 2.0) is None
        assert speech.announced("u0", "Good day.", 2.0) == "u0"

    def test_of_very_many_interrupted_sentences_the_last_are_remembered(self) -> None:
        speech = new_speech()
        for number in range(2 * MAX_STALE_UTTERANCES):
            speech.announced(f"u{number}", "Good day.", 1.0)
        speech.cut_off(1.0)
        speech.announced("next", "Good day.", 2.0)

        newest = range(MAX_STALE_UTTERANCES, 2 * MAX_STALE_UTTERANCES)
        assert not any(speech.accepts(f"u{number}") for number in newest)


class TestTurns:
    def test_a_turn_lasts_from_its_first_sentence_to_its_end(self) -> None:
        speech = new_speech()
        is_over = [speech.turn_is_over]
        speak(speech, "a", 1000)
        is_over.append(speech.turn_is_over)
        speech.end_turn()
        is_over.append(speech.turn_is_over)

        assert is_over == [True, False, True]

    def test_the_loss_of_its_chat_ends_it_and_leaves_its_sentence_incomplete(self) -> None:
        conversation = Conversation()
        speech = AgentSpeech(conversation)
        speak(speech, "a", 300, text="It is on its way to you.")

        speech.break_off()
        assert speech.turn_is_over
        assert conversation.unfinished == ""
        assert not conversation.lines()[0].text_heard

    def test_its_end_completes_its_sentence(self) -> None:
        conversation = Conversation()
        speech = AgentSpeech(conversation)
        speak(speech, "a", 300)
        speech.end_turn()

        assert conversation.unfinished == ""

    def test_an_interruption_ends_it(self) -> None:
        speech = new_speech()
        speak(speech, "a", 1000)
        speech.cut_off(1.5)

        assert speech.turn_is_over

    def test_the_servers_end_of_an_answer_ends_it(self) -> None:
        speech = new_speech()
        speak(speech, "a", 1000)

        assert speech.ends_turn()

    def test_an_end_that_comes_after_an_interruption_belongs_to_what_was_cut_off(self) -> None:
        speech = new_speech()
        speak(speech, "a", 1000)
        speech.cut_off(1.5)

        assert not speech.ends_turn()
        assert speech.ends_turn()

    def test_an_answer_after_an_interruption_has_an_end_of_its_own(self) -> None:
        speech = new_speech()
        speak(speech, "a", 1000)
        speech.cut_off(1.5)
        speak(speech, "b", 1000, 2.0)

        assert speech.ends_turn()

    def test_no_end_is_late_when_the_turn_was_over_before_it_was_cut_off(self) -> None:
        speech = new_speech()
        speak(speech, "a", 1000)
        speech.end_turn()
        speech.cut_off(1.5)

        assert speech.ends_turn()

    def test_an_answer_after_a_refusal_has_an_end_of_its_own(self) -> None:
        speech = new_speech()
        speech.refuse("a")
        speak(speech, "b", 1000)

        assert speech.ends_turn()

    def test_marks_are_placed_now_and_then_and_at_the_end(self) -> None:
        speech = new_speech()

        assert speak(speech, "a", MARK_APART_MS) is not None
        assert speech.sent("a", MARK_EVERY_MS - 1, 1.0) is None
        assert speech.sent("a", 1, 1.0) is not None
        assert speech.sent("a", 1, 1.0) is None
        assert speech.end_turn() is not None
        assert speech.end_turn() is None

    def test_a_turn_without_audio_needs_no_mark(self) -> None:
        speech = new_speech()
        speech.announced("a", "Good day.", 1.0)

        assert speech.end_turn() is None


class TestWhatWasHeard:
    def test_the_end_of_a_sentence_is_told_when_its_mark_comes_back(self) -> None:
        speech = new_speech()
        mark = whole_turn(speech, 300)

        assert speech.echoed(mark, 1.4) == [AgentHeard("a", 300, 300, "Good day.")]
        assert speech.echoed(mark, 1.5) == []
        assert speech.all_heard

    def test_until_then_the_clock_tells_whether_the_agent_is_heard(self) -> None:
        speech = new_speech()
        speak(speech, "a", 300, now_s=1.0)

        assert speech.due_s == 1.3
        assert speech.is_audible(1.2)
        assert not speech.is_audible(1.4)
        assert not speech.all_heard

    def test_how_far_a_sentence_is_can_be_asked_at_any_time(self) -> None:
        speech = new_speech()
        speak(speech, "a", 300, now_s=1.0)

        assert speech.playing(1.25) == [Heard("a", 300, 250)]

    @given(st.lists(st.integers(1, 48_000), min_size=1, max_size=8))
    def test_a_sentence_heard_to_its_end_has_all_its_words_whatever_its_chunks(
        self, chunks: list[int]
    ) -> None:
        speech = new_speech()
        speak(speech, "a", 4097 / 48)
        speech.announced("b", "How are you?", 1.0)
        marks = [speech.sent("b", samples / 48, 1.0) for samples in chunks]
        marks.append(speech.end_turn())

        reports = [report for mark in marks if mark for report in speech.echoed(mark, 99.0)]

        assert [report.text_heard for report in reports] == ["Good day.", "How are you?"]

    def test_audio_that_nobody_announced_is_reported_without_words(self) -> None:
        speech = new_speech()
        mark = whole_turn(speech, 300, announced=False)

        assert speech.echoed(mark, 1.4) == [AgentHeard("a", 300, 300, "")]

    def test_a_caller_who_stops_playing_is_noticed(self) -> None:
        speech = new_speech()
        speak(speech, "a", STALLED_MS + 1, now_s=1.0)

        assert not speech.is_stalled(1.0 + STALLED_S)
        assert speech.is_stalled(1.1 + STALLED_S)


class TestCuttingOff:
    def test_it_tells_what_was_heard_and_what_was_lost(self) -> None:
        speech = new_speech()
        speak(speech, "a", 150, text="Good day.")
        speak(speech, "b", 200, text="One two three four.")
        speech.announced("c", "How are you?", 1.0)

        assert speech.cut_off(1.25) == CutOff(
            was_audible=True,
            may_play_on=True,
            reports=[
                AgentHeard("a", 150, 150, "Good day."),
                AgentHeard("b", 200, 100, "One two"),
                AgentHeard("c", 0, 0, ""),
            ],
            heard="Good day. One two",
            lost="One two three four. How are you?",
        )

    def test_after_the_last_word_there_is_nothing_to_cut_off(self) -> None:
        speech = new_speech()
        speech.echoed(whole_turn(speech, 300), 1.4)

        assert speech.cut_off(2.0) == CutOff(
            was_audible=False, may_play_on=False, reports=[], heard="", lost=""
        )

    def test_a_mark_that_was_flushed_proves_nothing(self) -> None:
        speech = new_speech()
        mark = whole_turn(speech, 300)
        speech.cut_off(1.1)

        assert speech.echoed(mark, 1.2) == []

    def test_nothing_is_left_of_the_voice(self) -> None:
        speech = new_speech()
        speak(speech, "a", 300)
        speech.cut_off(1.1)

        assert not speech.is_audible(1.1)
        assert speech.all_heard
        assert speech.playing(1.1) == []

    def test_an_utterance_whose_audio_came_in_turns_is_reported_once(self) -> None:
        speech = new_speech()
        speak(speech, "a", 100)
        mark = speak(speech, "b", 100)
        speech.sent("a", 100, 1.0)
        assert mark is not None
        proven = speech.echoed(mark, 1.2)
        assert [(each.utterance_id, each.heard_ms) for each in proven] == [("b", 100)]

        reports = speech.cut_off(1.25).reports

        assert [(each.utterance_id, each.sent_ms, each.heard_ms) for each in reports] == [
            ("a", 200, 150)
        ]

    def test_an_utterance_whose_audio_came_in_turns_is_heard_once(self) -> None:
        speech = new_speech()
        marks = [speak(speech, "a", MARK_EVERY_MS), speak(speech, "b", MARK_EVERY_MS)]
        marks.append(speech.sent("a", MARK_EVERY_MS, 1.0))
        speech.end_turn()

        reports = [report for mark in marks if mark for report in speech.echoed(mark, 9.0)]

        assert sorted((each.utterance_id, each.sent_ms, each.heard_ms) for each in reports) == [
            ("a", 2 * MARK_EVERY_MS, 2 * MARK_EVERY_MS),
            ("b", MARK_EVERY_MS, MARK_EVERY_MS),
        ]

    def test_a_sentence_that_an_earlier_turn_never_spoke_is_no_part_of_it(self) -> None:
        speech = new_speech()
        speech.announced("a", "Never spoken.", 1.0)
        speech.end_turn()
        speak(speech, "b", 300, now_s=60.0)

        cut = speech.cut_off(60.1)

        assert [report.utterance_id for report in cut.reports] == ["b"]
        assert "Never spoken." not in (cut.heard, cut.lost)


class TestFiller:
    def test_it_is_audible_and_no_utterance(self) -> None:
        speech = new_speech()
        mark = speech.filler_sent(500, 1.0)
        assert mark is not None

        assert speech.is_audible(1.2)
        assert speech.playing(1.2) == []
        assert speech.echoed(mark, 1.6) == []
        assert speech.all_heard

    def test_it_can_be_cut_off_and_is_not_reported(self) -> None:
        speech = new_speech()
        speech.filler_sent(500, 1.0)

        assert speech.cut_off(1.2) == CutOff(
            was_audible=True, may_play_on=True, reports=[], heard="", lost=""
        )
        assert not speech.is_audible(1.2)

    def test_it_ends_no_sentence_before_it(self) -> None:
        speech = new_speech()
        speak(speech, "a", 300)
        speech.end_turn()
        mark = speech.filler_sent(500, 1.0)
        assert mark is not None

        assert speech.echoed(mark, 1.8) == [AgentHeard("a", 300, 300, "Good day.")]


WORDS = st.lists(st.sampled_from(["Good", "day,", "to  you."]), max_size=6).map(" ".join)
CHUNK_MS = st.sampled_from([0.0, 20.0, 150.0, 400.0, 1000.0, 4097 / 48, 9001 / 48])


class AnyVoice(RuleBasedStateMachine):
    """A server that speaks and a phone that plays, with interruptions at any moment.

    The server keeps to the protocol in that no audio of an utterance comes after the end of its
    turn.
    """

    @initialize()
    def begin(self) -> None:
        self.conversation = Conversation()
        self.speech = AgentSpeech(self.conversation)
        self.now_s = 1.0
        self.utterances = 0
        self.current: str | None = None
        self.texts: dict[str, list[str]] = {}
        self.unnamed: list[str] = []
        """Announced without an id, and still to be spoken."""
        self.sent_ms: dict[str, float] = {}
        self.played_ms: dict[str, float] = {}
        self.buffer: list[tuple[str, float] | str] = []
        """What the phone has to play: chunks and marks."""
        self.flushed: list[str] = []
        self.gone: list[str] = []
        """Utterances that were cut off or refused."""
        self.reported: set[str] = set()

    def new_id(self) -> str:
        self.utterances += 1
        return f"u{self.utterances}"

    def chunks_left_ms(self) -> list[float]:
        return [item[1] for item in self.buffer if not isinstance(item, str)]

    def place(self, mark: str | None) -> None:
        if mark is not None:
            self.buffer.append(mark)

    def take(self, reports: list[AgentHeard]) -> None:
        for report in reports:
            assert report.utterance_id not in self.reported
            self.reported.add(report.utterance_id)
            sent_ms = self.sent_ms.get(report.utterance_id, 0.0)
            assert report.sent_ms == round(sent_ms)
            assert 0 <= report.heard_ms <= report.sent_ms
            played_ms = self.played_ms.get(report.utterance_id, 0.0)
            assert report.heard_ms == pytest.approx(played_ms, abs=0.6)

    @rule(text=WORDS)
    def a_sentence_is_announced(self, text: str) -> None:
        self.forget_unspoken()
        self.current = self.new_id()
        assert self.speech.announced(self.current, text, self.now_s) == self.current
        assert self.speech.accepts(self.current)
        self.texts[self.current] = [text]

    @precondition(lambda self: self.current in self.texts)
    @rule(text=WORDS)
    def it_goes_on(self, text: str) -> None:
        assert self.current is not None
        self.forget_unspoken()
        assert self.speech.announced(self.current, text, self.now_s) == self.current
        self.texts[self.current].append(text)

    @rule(text=WORDS)
    def a_sentence_is_announced_without_an_id(self, text: str) -> None:
        self.forget_unspoken()
        utterance_id = self.speech.announced(None, text, self.now_s)
        assert utterance_id is not None
        self.unnamed.append(utterance_id)
        self.texts[utterance_id] = [text]
        self.current = None

    def forget_unspoken(self) -> None:
        """With a new turn it is too late for what an earlier one has not spoken."""
        if self.speech.turn_is_over:
            self.unnamed.clear()

    @rule()
    def what_comes_next_has_no_announcement(self) -> None:
        self.current = self.new_id()

    @precondition(lambda self: self.current is not None)
    @rule(ms=CHUNK_MS)
    def a_chunk_comes(self, ms: float) -> None:
        assert self.current is not None
        if not self.speech.accepts(self.current):
            assert self.current not in self.texts
            return
        if self.unnamed and self.current not in {*self.texts, *self.sent_ms}:
            self.texts[self.current] = self.texts.pop(self.unnamed.pop(0))
        self.sent_ms[self.current] = self.sent_ms.get(self.current, 0.0) + ms
        mark = self.speech.sent(self.current, ms, self.now_s)
        self.buffer.append((self.current, ms))
        self.place(mark)

    @precondition(lambda self: self.current is not None)
    @rule(ms=CHUNK_MS)
    def audio_of_two_sentences_comes_in_turns(self, ms: float) -> None:
        first = self.current
        self.a_sentence_is_announced("Good day, to  you.")
        self.a_chunk_comes(ms)
        self.current = first
        self.a_chunk_comes(ms)

    @precondition(lambda self: self.gone)
    @rule(age=st.integers(0, 5), text=WORDS)
    def what_is_gone_comes_late(self, age: int, text: str) -> None:
        utterance_id = self.gone[max(0, len(self.gone) - 1 - age)]
        assert not self.speech.accepts(utterance_id)
        assert self.speech.announced(utterance_id, text, self.now_s) is None
        assert not self.speech.accepts(utterance_id)

    @rule()
    def a_sentence_is_refused(self) -> None:
        self.gone.append(self.new_id())
        self.speech.refuse(self.gone[-1])

    @rule()
    def the_turn_ends(self) -> None:
        self.place(self.speech.end_turn())
        self.current = None

    @rule(ms=CHUNK_MS)
    def the_chat_is_lost_and_the_caller_told_to_wait(self, ms: float) -> None:
        self.place(self.speech.break_off())
        self.current = None
        mark = self.speech.filler_sent(ms, self.now_s)
        self.buffer.append((FILLER, ms))
        self.place(mark)

    @rule(seconds=st.sampled_from([0.01, 0.2, 1.0, 5.0]))
    def the_phone_plays(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self.buffer:
            item = self.buffer[0]
            if isinstance(item, str):
                self.take(self.speech.echoed(item, self.now_s))
            else:
                utterance_id, left_ms = item
                now_ms = min(left_ms, (until_s - self.now_s) * 1000)
                self.played_ms[utterance_id] = self.played_ms.get(utterance_id, 0.0) + now_ms
                self.now_s += now_ms / 1000
                if now_ms < left_ms:
                    self.buffer[0] = (utterance_id, left_ms - now_ms)
                    break
            del self.buffer[0]
        self.now_s = max(self.now_s, until_s)

    @precondition(lambda self: self.flushed)
    @rule()
    def flushed_marks_come_back(self) -> None:
        for mark in self.flushed:
            assert self.speech.echoed(mark, self.now_s) == []
        self.flushed.clear()

    @rule()
    def the_agent_is_cut_off(self) -> None:
        cut = self.speech.cut_off(self.now_s)
        self.unnamed.clear()
        self.take(cut.reports)
        known = {*self.texts, *self.sent_ms}
        assert self.reported <= known
        assert all(each in self.reported for each, ms in self.sent_ms.items() if ms)
        assert cut.may_play_on or not any(self.chunks_left_ms())
        assert cut.may_play_on or not cut.was_audible
        assert self.speech.all_heard
        assert not self.speech.is_audible(self.now_s)
        self.flushed += [item for item in self.buffer if isinstance(item, str)]
        self.buffer.clear()
        self.gone += known.difference(self.gone)
        self.current = None

    @invariant()
    def every_utterance_is_remembered_as_it_was_played(self) -> None:
        lines = self.conversation.lines(self.speech.playing(self.now_s))
        assert len(lines) == len({line.utterance_id for line in lines})
        for line in lines:
            assert line.utterance_id is not None
            assert line.text == " ".join(self.texts.get(line.utterance_id, []))
            assert line.sent_ms == self.sent_ms.get(line.utterance_id, 0.0)
            assert 0 <= line.heard_ms <= line.sent_ms + 1e-6
            played_ms = self.played_ms.get(line.utterance_id, 0.0)
            assert line.heard_ms == pytest.approx(played_ms, abs=1e-3)
            words_heard = line.text_heard.split()
            assert words_heard == line.text.split()[: len(words_heard)]
            assert line.is_over or line.utterance_id not in self.reported
            assert not line.is_over or line.utterance_id in self.reported or not line.sent_ms

    @invariant()
    def what_is_gone_is_not_accepted(self) -> None:
        assert not any(self.speech.accepts(utterance_id) for utterance_id in self.gone)


TestAnyVoice = AnyVoice.TestCase
TestAnyVoice.settings = settings(max_examples=150)
