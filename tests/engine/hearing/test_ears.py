import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from evibridge.audio.g711 import mulaw_to_pcm16, pcm16_to_mulaw
from evibridge.audio.resample import Resampler
from evibridge.engine.hearing.ears import VoiceActivity, WhisperEars
from evibridge.engine.hearing.turns import SpeechEnded, TurnDetector, TurnTaking
from evibridge.engine.hearing.whisper import Guess, Whisper
from evibridge.errors import Overloaded
from tests.speech import spoken

RATE_HZ = 16_000
PATIENCE_S = 5.0
SECOND_OF_SILENCE = bytes(2 * RATE_HZ)

Signal = NDArray[np.float64]


@pytest.fixture(scope="module")
def ears() -> Iterator[WhisperEars]:
    ears = WhisperEars.load()
    yield ears
    ears.close()


def over_the_telephone(pcm16: bytes) -> bytes:
    """What int16 PCM at 16 kHz becomes on a line of 8 kHz mu-law."""
    line = mulaw_to_pcm16(pcm16_to_mulaw(Resampler(RATE_HZ, 8000).process(pcm16)))
    return Resampler(8000, RATE_HZ).process(line)


def call_audio(text: str, voice: str = "en-us") -> bytes:
    """A second of silence, the text on a telephone line, and the silence that ends the turn."""
    speech = spoken(text, RATE_HZ, voice=voice)
    return over_the_telephone(SECOND_OF_SILENCE + speech + SECOND_OF_SILENCE)


def utterances(pcm16: bytes) -> list[bytes]:
    detector = TurnDetector(TurnTaking())
    return [
        pcm16[fact.begin_ms * 32 : fact.end_ms * 32]
        for frame in VoiceActivity().frames(pcm16)
        for fact in detector.heard(frame, agent_speaking=False)
        if isinstance(fact, SpeechEnded)
    ]


async def conversation(ears: WhisperEars, pcm16: bytes) -> list[str]:
    return [(await ears.transcribe(utterance)).text for utterance in utterances(pcm16)]


@pytest.mark.parametrize(
    ("text", "voice", "expected"),
    [
        ("Where is order 1042?", "en-us", "order 1042"),
        ("I am calling about order ten forty two.", "en", "I am calling about order 1042"),
        ("The number is one zero four two.", "en-us", "number 1042"),
        ("What are your opening hours?", "en-us", "opening hours"),
        ("Please stop talking.", "en", "Please stop talking"),
        ("Thank you very much, goodbye.", "en-us", "Thank you very much Goodbye"),
        (
            "I would like to change the delivery address, please.",
            "en-us",
            "change delivery address",
        ),
    ],
)
async def test_a_robot_on_a_telephone_line_is_understood(
    ears: WhisperEars, text: str, voice: str, expected: str
) -> None:
    (heard,) = await conversation(ears, call_audio(text, voice))

    digits = {"one": "1", "zero": "0", "four": "4", "two": "2"}
    words = [digits.get(word, word) for word in re.findall(r"[a-z]+|\d+", heard.lower())]
    numbers_joined = re.sub(r"(?<=\d) (?=\d)", "", " ".join(words))
    assert set(expected.lower().split()) <= set(numbers_joined.split())


async def test_two_sentences_with_a_pause_are_two_utterances(ears: WhisperEars) -> None:
    heard = await conversation(ears, call_audio("Yes, please.") + call_audio("Goodbye."))

    assert ["".join(re.findall(r"\w+", text.lower())) for text in heard] == ["yesplease", "goodbye"]


def _white(seconds: float) -> Signal:
    return np.random.default_rng(1).normal(size=int(seconds * RATE_HZ))


def _pink(seconds: float) -> Signal:
    spectrum = np.fft.rfft(_white(seconds))
    shaped: Signal = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)))
    return shaped


def _hum(seconds: float) -> Signal:
    phase = 2 * np.pi * 50 * np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    signal: Signal = np.sum([np.sin(n * phase) / n for n in range(1, 6)], axis=0)
    return signal


def _melody(seconds: float) -> Signal:
    """Chords of a plucked instrument, two a second."""
    time_s = np.arange(RATE_HZ // 2) / RATE_HZ
    notes_hz = [root_hz * third for root_hz in (220, 247, 196, 262) for third in (1, 1.26, 1.5)]
    notes = [
        np.exp(-3 * time_s) * sum(np.sin(2 * np.pi * hz * n * time_s) / n for n in range(1, 6))
        for hz in notes_hz
    ]
    chords = np.reshape(notes, (4, 3, -1)).sum(axis=1)
    return np.resize(chords, int(seconds * RATE_HZ))


def _ringing(seconds: float) -> Signal:
    return np.sin(2 * np.pi * 425 * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)


def _at_level(signal: Signal, dbfs: float) -> bytes:
    scaled = signal / np.std(signal) * 32768 * 10 ** (dbfs / 20)
    return scaled.clip(-32768, 32767).astype(np.int16).tobytes()


NOISES = [_white, _pink, _hum, _melody, _ringing]


@pytest.mark.parametrize("dbfs", [-50, -30, -15])
@pytest.mark.parametrize("noise", NOISES)
async def test_noise_on_the_line_is_not_taken_for_words(
    ears: WhisperEars, noise: Callable[[float], Signal], dbfs: float
) -> None:
    call = over_the_telephone(_at_level(noise(5), dbfs) + 2 * SECOND_OF_SILENCE)

    assert [text for text in await conversation(ears, call) if text] == []


@pytest.mark.parametrize("seconds", [0.6, 2.0, 9.0])
@pytest.mark.parametrize("noise", NOISES)
async def test_noise_that_passes_for_speech_still_gives_no_words(
    ears: WhisperEars, noise: Callable[[float], Signal], seconds: float
) -> None:
    pcm16 = over_the_telephone(_at_level(noise(seconds), -25))

    assert (await ears.transcribe(pcm16)).text == ""


@pytest.mark.parametrize("pcm16", [b"", b"\1", b"\1\2", SECOND_OF_SILENCE, b"\1\0" * 9000])
async def test_silence_and_scraps_give_no_words(ears: WhisperEars, pcm16: bytes) -> None:
    assert (await ears.transcribe(pcm16)).text == ""


async def test_of_a_very_long_utterance_the_last_half_minute_is_heard(ears: WhisperEars) -> None:
    early, late = call_audio("Please stop talking."), call_audio("Thank you very much, goodbye.")

    heard = (await ears.transcribe(early + 27 * SECOND_OF_SILENCE + late)).text.lower()

    assert "goodbye" in heard
    assert "talking" not in heard


def test_voice_activity_does_not_depend_on_how_the_audio_is_cut() -> None:
    pcm16 = call_audio("Hello.")
    whole = VoiceActivity().frames(pcm16)

    activity = VoiceActivity()
    ends = [0, 1, 2, 513, 514, 2000, 2001, 9999, len(pcm16)]
    cut = [frame for begin, end in pairwise(ends) for frame in activity.frames(pcm16[begin:end])]

    probabilities = [frame.probability for frame in whole]
    assert [frame.probability for frame in cut] == pytest.approx(probabilities)
    assert [frame.is_voiced() for frame in cut] == [frame.is_voiced() for frame in whole]
    assert len(whole) == len(pcm16) // 512
    assert max(probabilities) > 0.8
    assert max(probabilities[:30]) < 0.5
    assert any(frame.is_voiced() for frame in whole)


@pytest.mark.parametrize("noise", [_white, _pink, _hum, _ringing])
def test_steady_noise_stops_looking_like_speech(noise: Callable[[float], Signal]) -> None:
    frames = VoiceActivity().frames(_at_level(noise(6), -25))
    probabilities = [frame.probability for frame in frames]

    assert max(probabilities[:60]) > 0.5, "loud enough to be taken for speech"
    settled = [probability >= 0.5 for probability in probabilities[130:]]
    assert sum(settled) < 0.02 * len(settled)


def test_speech_is_found_in_steady_noise() -> None:
    speech = np.frombuffer(call_audio("I would like to talk to somebody, please."), np.int16)
    noise = np.frombuffer(_at_level(_pink(60), -36), np.int16)
    noisy = noise.astype(np.int32)
    noisy[40 * RATE_HZ : 40 * RATE_HZ + len(speech)] += speech

    found = utterances(noisy.clip(-32768, 32767).astype(np.int16).tobytes())

    assert len(found) == 1
    assert 2.0 < len(found[0]) / len(SECOND_OF_SILENCE) < 4.0


class StubWhisper(Whisper):
    """A model that answers as told, when told to."""

    def __init__(self, guess: Guess) -> None:
        self.guess = guess
        self.may_answer = threading.Event()
        self.heard_samples: list[int] = []

    def recognise(self, pcm: NDArray[np.float32]) -> Guess:
        self.heard_samples.append(len(pcm))
        assert self.may_answer.wait(PATIENCE_S)
        return self.guess


@pytest.fixture
def stub() -> StubWhisper:
    return StubWhisper(Guess("Hello.", no_speech=0.1, mean_logprob=-0.3))


@pytest.mark.parametrize(
    ("guess", "text"),
    [
        (Guess("Order 7.", no_speech=0.58, mean_logprob=-0.34), "Order 7."),
        (Guess("Thank you.", no_speech=0.95, mean_logprob=-0.8), ""),
        (Guess("I'm", no_speech=0.51, mean_logprob=-2.98), ""),
        (Guess(" . ", no_speech=0.1, mean_logprob=-0.1), ""),
    ],
)
async def test_a_guess_is_believed_for_both_its_measures(
    stub: StubWhisper, guess: Guess, text: str
) -> None:
    stub.guess = guess
    stub.may_answer.set()
    ears = WhisperEars(stub, workers=1)

    assert (await ears.transcribe(b"\1\0" * 1000)).text == text
    ears.close()


async def test_utterances_are_recognised_oldest_first_without_the_cancelled(
    stub: StubWhisper,
) -> None:
    ears = WhisperEars(stub, workers=1)
    waiting = [asyncio.create_task(ears.transcribe(b"\1\0" * n)) for n in (100, 200, 300, 400)]
    await asyncio.sleep(0)
    waiting[1].cancel()

    await asyncio.sleep(0)
    stub.may_answer.set()
    async with asyncio.timeout(PATIENCE_S):
        results = await asyncio.gather(*waiting, return_exceptions=True)

    assert stub.heard_samples == [100, 300, 400]
    assert isinstance(results[1], asyncio.CancelledError)
    ears.close()


async def test_who_waits_when_the_ears_close_is_cancelled(stub: StubWhisper) -> None:
    ears = WhisperEars(stub, workers=1)
    first, second = (asyncio.create_task(ears.transcribe(b"\1\0" * n)) for n in (100, 200))
    await asyncio.sleep(0)

    closing = asyncio.create_task(asyncio.to_thread(ears.close))
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait([second])
        stub.may_answer.set()
        assert (await first).text == "Hello."
        await closing
    assert second.cancelled()
    assert stub.heard_samples == [100]


async def test_more_than_can_be_recognised_in_time_is_refused_at_once(stub: StubWhisper) -> None:
    ears = WhisperEars(stub, workers=1)
    waiting = [asyncio.create_task(ears.transcribe(b"\1\0" * 100)) for _ in range(17)]
    await asyncio.sleep(0)

    with pytest.raises(Overloaded, match="16 requests wait for the ears"):
        await ears.transcribe(b"\1\0" * 100)

    stub.may_answer.set()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*waiting)
    ears.close()


async def test_ears_are_idle_while_nothing_is_recognised(stub: StubWhisper) -> None:
    ears = WhisperEars(stub, workers=1)
    before = ears.idle
    asking = asyncio.create_task(ears.transcribe(b"\1\0" * 100))
    await asyncio.sleep(0)
    meanwhile = ears.idle
    stub.may_answer.set()
    async with asyncio.timeout(PATIENCE_S):
        await asking

    assert (before, meanwhile, ears.idle) == (True, False, True)
    ears.close()
