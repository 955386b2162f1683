from evibridge.engine.turns import (
    AgentInterrupted,
    SilenceBegan,
    SpeechDismissed,
    SpeechEnded,
    SpeechResumed,
    SpeechStarted,
)
from evibridge.engine.utterances import MAX_WAITING, Abandon, Heard, Recognise, Utterances


def test_recognition_starts_at_the_first_silence_and_serves_the_end() -> None:
    utterances = Utterances()
    assert utterances.told(SpeechStarted(100)) == []
    assert utterances.open

    assert utterances.told(SilenceBegan(100, 900)) == [Recognise(1, 100, 900)]
    assert utterances.recognised(1, "Hello.") == []

    assert utterances.told(SpeechEnded(100, 900)) == [Heard("Hello.", 100, 900)]
    assert not utterances.open


def test_a_slow_recognition_is_waited_for() -> None:
    utterances = Utterances()
    utterances.told(SilenceBegan(100, 900))

    assert utterances.told(SpeechEnded(100, 900)) == []
    assert utterances.recognised(1, "Hello.") == [Heard("Hello.", 100, 900)]


def test_what_was_recognised_in_a_pause_is_thrown_away() -> None:
    utterances = Utterances()
    utterances.told(SilenceBegan(100, 900))

    assert utterances.told(SpeechResumed(1200)) == [Abandon(1)]
    assert utterances.recognised(1, "Hel") == []
    assert utterances.told(SpeechResumed(1300)) == []
    assert utterances.told(SilenceBegan(100, 2000)) == [Recognise(2, 100, 2000)]
    utterances.recognised(2, "Hello there.")
    assert utterances.told(SpeechEnded(100, 2000)) == [Heard("Hello there.", 100, 2000)]


def test_an_utterance_that_does_not_count_is_given_up() -> None:
    utterances = Utterances()
    utterances.told(SpeechStarted(100))
    utterances.told(SilenceBegan(100, 900))

    assert utterances.told(SpeechDismissed(1700)) == [Abandon(1)]
    assert not utterances.open
    assert utterances.recognised(1, "Uh-huh.") == []


def test_an_end_without_a_silence_before_is_recognised_then() -> None:
    utterances = Utterances()

    assert utterances.told(SpeechEnded(100, 900)) == [Recognise(1, 100, 900)]
    assert utterances.recognised(1, "Hello.") == [Heard("Hello.", 100, 900)]


def test_a_second_silence_replaces_the_first() -> None:
    utterances = Utterances()
    utterances.told(SilenceBegan(100, 900))

    assert utterances.told(SilenceBegan(2000, 2500)) == [Abandon(1), Recognise(2, 2000, 2500)]


def test_nobody_spoke_when_the_text_is_empty() -> None:
    utterances = Utterances()
    utterances.told(SpeechEnded(100, 900))

    assert utterances.recognised(1, "") == []


def test_utterances_come_in_the_order_of_their_audio() -> None:
    utterances = Utterances()
    utterances.told(SpeechEnded(100, 900))
    utterances.told(SpeechEnded(2000, 2900))

    assert utterances.recognised(2, "Two.") == []
    assert utterances.recognised(1, "One.") == [Heard("One.", 100, 900), Heard("Two.", 2000, 2900)]


def test_the_oldest_is_given_up_when_recognition_is_hopelessly_behind() -> None:
    utterances = Utterances()
    for number in range(MAX_WAITING):
        utterances.told(SpeechEnded(number * 1000, number * 1000 + 500))

    assert utterances.told(SpeechEnded(90_000, 90_500)) == [
        Recognise(MAX_WAITING + 1, 90_000, 90_500),
        Abandon(1),
    ]
    assert utterances.recognised(1, "One.") == []
    assert utterances.recognised(2, "Two.") == [Heard("Two.", 1000, 1500)]


def test_an_interruption_says_nothing_about_what_is_recognised() -> None:
    assert Utterances().told(AgentInterrupted(500)) == []
