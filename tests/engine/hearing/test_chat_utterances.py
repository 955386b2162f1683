import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.hearing.turns import (
    FRAME_MS,
    AgentInterrupted,
    SilenceBegan,
    SpeechCounts,
    SpeechDismissed,
    SpeechEnded,
    SpeechResumed,
    SpeechStarted,
    TurnDetector,
    TurnEnded,
    TurnFact,
    TurnTaking,
)
from evibridge.engine.hearing.utterances import (
    INTERIM_EVERY_MS,
    MAX_WAITING,
    Abandon,
    Heard,
    HeardSoFar,
    Recognise,
    Step,
    TurnOver,
    Utterances,
)
from tests.engine.chat_parts import LoudFrame


def told(utterances: Utterances, *facts: TurnFact) -> list[Step]:
    """All that follows from some facts."""
    return [step for fact in facts for step in utterances.told(fact)]


def utterance(begin_ms: int, end_ms: int) -> list[TurnFact]:
    """The facts about an utterance without pauses, up to its end."""
    return [
        SpeechStarted(begin_ms),
        SpeechCounts(begin_ms + 100),
        SilenceBegan(begin_ms, end_ms),
        SpeechEnded(begin_ms, end_ms),
    ]


def test_recognition_starts_at_the_first_silence_and_serves_the_end() -> None:
    utterances = Utterances()
    assert told(utterances, SpeechStarted(100), SpeechCounts(200)) == []
    assert told(utterances, SilenceBegan(100, 900)) == [Recognise(1, 100, 900)]
    assert utterances.recognised(1, "Hello.") == []

    assert told(utterances, SpeechEnded(100, 900)) == [Heard("Hello.", 100, 900)]
    assert told(utterances, TurnEnded(1500)) == [TurnOver("understood")]


def test_a_slow_recognition_is_waited_for() -> None:
    utterances = Utterances()
    assert told(utterances, *utterance(100, 900), TurnEnded(1500)) == [Recognise(1, 100, 900)]

    assert utterances.recognised(1, "Hello.") == [
        Heard("Hello.", 100, 900),
        TurnOver("understood"),
    ]


def test_what_was_recognised_in_a_pause_is_thrown_away() -> None:
    utterances = Utterances()
    told(utterances, SpeechStarted(100), SpeechCounts(200), SilenceBegan(100, 900))

    assert told(utterances, SpeechResumed(1200)) == [Abandon(1)]
    assert utterances.recognised(1, "Hel") == []
    assert told(utterances, SilenceBegan(100, 2000)) == [Recognise(2, 100, 2000)]
    utterances.recognised(2, "Hello there.")
    assert told(utterances, SpeechEnded(100, 2000)) == [Heard("Hello there.", 100, 2000)]


def test_a_text_known_in_a_pause_is_not_that_of_the_whole() -> None:
    utterances = Utterances()
    told(utterances, SpeechStarted(100), SpeechCounts(200), SilenceBegan(100, 900))
    utterances.recognised(1, "Hel")

    assert told(utterances, SpeechResumed(1200)) == []
    told(utterances, SilenceBegan(100, 2000))
    assert told(utterances, SpeechEnded(100, 2000)) == []
    assert utterances.recognised(2, "Hello there.") == [Heard("Hello there.", 100, 2000)]


def test_an_utterance_that_does_not_count_is_given_up() -> None:
    utterances = Utterances()
    told(utterances, SpeechStarted(100), SilenceBegan(100, 900))

    assert told(utterances, SpeechDismissed(1700)) == [Abandon(1)]
    assert not utterances.in_turn
    assert utterances.recognised(1, "Uh-huh.") == []


def test_a_turn_without_words_is_not_told() -> None:
    utterances = Utterances()
    told(utterances, *utterance(100, 900))

    assert utterances.recognised(1, "") == []
    assert told(utterances, TurnEnded(1500)) == []
    assert not utterances.in_turn


def test_a_turn_may_have_several_utterances_and_one_end() -> None:
    utterances = Utterances()
    told(utterances, *utterance(100, 900))
    assert utterances.recognised(1, "My number is") == [Heard("My number is", 100, 900)]
    told(utterances, *utterance(2000, 2500))
    assert utterances.recognised(2, "") == []
    told(utterances, *utterance(4000, 4900))

    assert told(utterances, TurnEnded(6700)) == []
    assert utterances.recognised(3, "10 42.") == [
        Heard("10 42.", 4000, 4900),
        TurnOver("understood"),
    ]


@pytest.mark.parametrize("end", [SpeechEnded(100, 900), SpeechDismissed(1700)])
def test_an_utterance_is_open_until_its_end(end: TurnFact) -> None:
    utterances = Utterances()
    states = [utterances.open]
    for fact in (SpeechStarted(100), SpeechCounts(200), SilenceBegan(100, 900), end):
        utterances.told(fact)
        states.append(utterances.open)

    assert states == [False, True, True, True, False]


def test_a_turn_is_open_until_all_of_it_was_told() -> None:
    utterances = Utterances()
    told(utterances, SpeechStarted(100))
    assert utterances.in_turn
    told(utterances, SpeechCounts(200), SilenceBegan(100, 900), SpeechEnded(100, 900))
    assert utterances.in_turn
    utterances.recognised(1, "Hello.")
    assert utterances.in_turn
    told(utterances, TurnEnded(3000))
    assert not utterances.in_turn


def test_utterances_come_in_the_order_of_their_audio() -> None:
    utterances = Utterances()
    told(utterances, *utterance(100, 900), TurnEnded(1500), *utterance(2000, 2900))

    assert utterances.recognised(2, "Two.") == []
    assert utterances.recognised(1, "One.") == [
        Heard("One.", 100, 900),
        TurnOver("understood"),
        Heard("Two.", 2000, 2900),
    ]
    assert told(utterances, TurnEnded(3500)) == [TurnOver("understood")]


def test_a_turn_whose_recognition_has_failed_is_lost() -> None:
    utterances = Utterances()
    told(utterances, *utterance(100, 900))

    assert utterances.recognised(1, None) == []
    assert told(utterances, TurnEnded(1500)) == [TurnOver("lost")]


def test_a_turn_of_which_a_part_was_understood_is_answered() -> None:
    utterances = Utterances()
    told(utterances, *utterance(100, 900), *utterance(2000, 2900), TurnEnded(4700))

    utterances.recognised(1, None)
    assert utterances.recognised(2, "Hello?") == [
        Heard("Hello?", 2000, 2900),
        TurnOver("understood"),
    ]


def test_one_turn_says_nothing_about_the_next() -> None:
    utterances = Utterances()
    told(utterances, *utterance(100, 900), TurnEnded(1500))
    utterances.recognised(1, None)
    told(utterances, *utterance(2000, 2900), TurnEnded(3500))

    assert utterances.recognised(2, "") == []


def test_the_oldest_is_lost_when_recognition_is_hopelessly_behind() -> None:
    utterances = Utterances()
    for number in range(MAX_WAITING):
        told(utterances, *utterance(number * 1000, number * 1000 + 500), TurnEnded(number * 1000))

    assert told(utterances, *utterance(90_000, 90_500)) == [
        Recognise(MAX_WAITING + 1, 90_000, 90_500),
        Abandon(1),
        TurnOver("lost"),
    ]
    assert utterances.recognised(1, "One.") == []
    assert utterances.recognised(2, "Two.") == [Heard("Two.", 1000, 1500), TurnOver("understood")]


def test_an_interruption_without_words_was_noise() -> None:
    utterances = Utterances()
    told(utterances, SpeechStarted(100), AgentInterrupted(500), SilenceBegan(100, 900))
    told(utterances, SpeechEnded(100, 900), TurnEnded(1500))

    assert utterances.recognised(1, "") == [TurnOver("noise")]


def test_an_interruption_with_words_was_none() -> None:
    utterances = Utterances()
    told(utterances, SpeechStarted(100), AgentInterrupted(500), SilenceBegan(100, 900))
    told(utterances, SpeechEnded(100, 900), TurnEnded(1500))

    assert utterances.recognised(1, "Stop.") == [
        Heard("Stop.", 100, 900),
        TurnOver("understood"),
    ]


# Provisional texts


def test_a_text_known_in_a_pause_is_told_provisionally() -> None:
    utterances = Utterances(interim=True)
    told(utterances, SpeechStarted(100), SpeechCounts(200), SilenceBegan(100, 900))

    assert utterances.recognised(1, "Hello.") == [HeardSoFar("Hello.", 100, 900)]
    assert told(utterances, SpeechEnded(100, 900)) == [Heard("Hello.", 100, 900)]


def test_long_speech_is_recognised_while_it_goes_on() -> None:
    utterances = Utterances(interim=True)
    assert utterances.so_far(50) == []
    told(utterances, SpeechStarted(100), SpeechCounts(200))

    assert utterances.so_far(100 + INTERIM_EVERY_MS - 1) == []
    assert utterances.so_far(100 + INTERIM_EVERY_MS) == [Recognise(1, 100, 800)]
    assert utterances.so_far(1700) == [], "one at a time"
    assert utterances.recognised(1, "I would") == [HeardSoFar("I would", 100, 800)]
    assert utterances.so_far(1700) == [Recognise(2, 100, 1700)]
    assert utterances.recognised(2, "I would") == [], "nothing new"
    assert utterances.so_far(2400) == [Recognise(3, 100, 2400)]
    assert utterances.recognised(3, "") == [], "nothing at all"

    told(utterances, SilenceBegan(100, 3000))
    assert utterances.so_far(9000) == [], "it is being recognised"
    assert utterances.recognised(4, "I would like") == [HeardSoFar("I would like", 100, 3000)]
    assert utterances.so_far(9000) == [], "the caller is silent"
    assert told(utterances, SpeechEnded(100, 3000)) == [Heard("I would like", 100, 3000)]
    assert utterances.so_far(9000) == []


def test_very_long_speech_is_recognised_less_often() -> None:
    utterances = Utterances(interim=True)
    told(utterances, SpeechStarted(0), SpeechCounts(0))
    assert utterances.so_far(24_000) == [Recognise(1, 0, 24_000)]
    utterances.recognised(1, "Once upon a time")

    assert utterances.so_far(27_000) == []
    assert utterances.so_far(27_500) == [Recognise(2, 0, 27_500)]


def test_a_silence_ends_the_recognition_of_what_was_said_so_far() -> None:
    utterances = Utterances(interim=True)
    told(utterances, SpeechStarted(100), SpeechCounts(200))
    utterances.so_far(1000)

    assert told(utterances, SilenceBegan(100, 1200)) == [Abandon(1), Recognise(2, 100, 1200)]
    assert utterances.recognised(1, "Hel") == []


def test_without_provisional_texts_nothing_extra_is_recognised() -> None:
    utterances = Utterances()
    told(utterances, SpeechStarted(100), SpeechCounts(200))

    assert utterances.so_far(9000) == []


def test_speech_that_may_be_an_echo_has_no_provisional_text() -> None:
    utterances = Utterances(interim=True)
    told(utterances, SpeechStarted(100))
    assert utterances.so_far(2000) == []
    told(utterances, SilenceBegan(100, 2200))

    assert utterances.recognised(1, "Your order") == []
    assert told(utterances, SpeechDismissed(2900)) == []


def test_the_provisional_text_follows_when_the_speech_begins_to_count() -> None:
    for fact in (SpeechCounts(1300), AgentInterrupted(1300)):
        utterances = Utterances(interim=True)
        told(utterances, SpeechStarted(100), SilenceBegan(100, 1200))
        utterances.recognised(1, "Stop.")

        assert told(utterances, fact) == [HeardSoFar("Stop.", 100, 1200)]


def test_provisional_texts_wait_for_the_end_of_the_utterance_before() -> None:
    utterances = Utterances(interim=True)
    told(utterances, *utterance(100, 900), SpeechStarted(2000), SpeechCounts(2100))
    utterances.so_far(3000)
    assert utterances.recognised(2, "Are") == []

    assert utterances.recognised(1, "Hello.") == [Heard("Hello.", 100, 900)]
    utterances.so_far(3800)
    assert utterances.recognised(3, "Are you") == [HeardSoFar("Are you", 2000, 3800)]


def test_a_provisional_text_is_concluded_when_recognition_finds_nothing_or_fails() -> None:
    for outcome in ("", None):
        utterances = Utterances(interim=True)
        told(utterances, SpeechStarted(100), SpeechCounts(200))
        utterances.so_far(1000)
        utterances.recognised(1, "Hello")
        told(utterances, SilenceBegan(100, 1200), SpeechEnded(100, 1200), TurnEnded(2000))

        assert utterances.recognised(2, outcome) == [
            Heard("Hello", 100, 1200),
            TurnOver("understood"),
        ]


# Any order

_FRAMES = st.lists(
    st.tuples(
        st.sampled_from(["#", ".", "."]),  # speech or silence
        st.booleans(),  # whether the agent speaks
        st.integers(1, 90),  # for how many frames
        st.sampled_from(["", None, "One.", "Two."]),  # what recognition finds, if it ends now
        st.booleans(),  # whether the newest or the oldest recognition ends
    ),
    max_size=25,
)


class _Judge:
    """Follows all steps, and knows which may follow which."""

    def __init__(self) -> None:
        self.running: list[int] = []
        self.so_far: tuple[int, str] | None = None
        self.last_begin_ms = -1
        self.words = False

    def sees(self, steps: list[Step]) -> None:
        for step in steps:
            match step:
                case Recognise(number, begin_ms, end_ms):
                    assert begin_ms < end_ms
                    self.running.append(number)
                case Abandon(number):
                    self.running.remove(number)
                case HeardSoFar(text, begin_ms, _):
                    assert begin_ms > self.last_begin_ms, "not after its final"
                    assert (begin_ms, text) != self.so_far, "news only"
                    assert self.so_far is None or self.so_far[0] == begin_ms
                    self.so_far = (begin_ms, text)
                case Heard(text, begin_ms, end_ms):
                    assert text
                    assert self.last_begin_ms < begin_ms < end_ms
                    assert self.so_far is None or self.so_far[0] == begin_ms
                    self.so_far, self.last_begin_ms, self.words = None, begin_ms, True
                case TurnOver(outcome):
                    assert self.so_far is None, "every provisional text has a final one"
                    assert (outcome == "understood") == self.words
                    self.words = False


@given(frames=_FRAMES, interim=st.booleans(), silence_ms=st.sampled_from([500, 800, 2000]))
def test_texts_come_in_order_whatever_happens(
    frames: list[tuple[str, bool, int, str | None, bool]], interim: bool, silence_ms: int
) -> None:
    detector = TurnDetector(TurnTaking(end_of_turn_silence_ms=silence_ms, min_interruption_ms=160))
    utterances, judge = Utterances(interim=interim), _Judge()
    now_ms = 0
    quiet = (".", False, 200, "One.", False)
    for sound, agent_speaking, count, text, newest in [*frames, quiet]:
        for _ in range(count):
            now_ms += FRAME_MS
            frame = LoudFrame(float(sound == "#"))
            for fact in detector.heard(frame, agent_speaking=agent_speaking):
                judge.sees(utterances.told(fact))
            judge.sees(utterances.so_far(now_ms))
        if judge.running:
            number = judge.running.pop(-1 if newest else 0)
            judge.sees(utterances.recognised(number, text))
    for number in list(judge.running):
        judge.running.remove(number)
        judge.sees(utterances.recognised(number, "Two."))

    assert judge.so_far is None
    assert not judge.words, "every word belongs to a turn that is over"
    assert not utterances.in_turn
