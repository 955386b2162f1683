import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from evibridge.audio.resample import Resampler
from evibridge.engine.hearing.ears import WhisperEars
from evibridge.engine.voices.voice import RATE_HZ, HibariVoice
from evibridge.errors import EngineSetupError, Overloaded

PATIENCE_S = 5.0
MS_BYTES = 2 * RATE_HZ // 1000


@pytest.fixture(scope="module")
def voice() -> Iterator[HibariVoice]:
    voice = HibariVoice.load()
    yield voice
    voice.close()


@pytest.fixture(scope="module")
def ears() -> Iterator[WhisperEars]:
    ears = WhisperEars.load()
    yield ears
    ears.close()


async def chunks_of(speech: AsyncIterator[bytes]) -> list[bytes]:
    async with asyncio.timeout(PATIENCE_S):
        return [chunk async for chunk in speech]


def levels(chunks: list[bytes]) -> NDArray[np.float64]:
    """Samples as a share of full scale."""
    return np.frombuffer(b"".join(chunks), np.int16) / 32768


async def test_a_sentence_comes_in_small_chunks(voice: HibariVoice) -> None:
    chunks = await chunks_of(voice.speak("Your order is on its way, and arrives on Friday."))

    assert 2000 < sum(map(len, chunks)) / MS_BYTES < 6000
    assert all(len(chunk) % 2 == 0 for chunk in chunks)
    assert all(100 <= len(chunk) / MS_BYTES <= 500 for chunk in chunks)
    assert len(chunks[0]) / MS_BYTES == 200


@pytest.mark.parametrize("text", ["Stop!", "Good day, how can I help?", "It is order 1042."])
async def test_the_voice_is_loud_enough_for_a_telephone_and_not_clipped(
    voice: HibariVoice, text: str
) -> None:
    samples = np.abs(levels(await chunks_of(voice.speak(text))))

    assert 0.25 < samples.max() < 0.99
    assert -25 < 20 * np.log10(np.sqrt(np.mean(samples[samples > 0.01] ** 2))) < -17


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Your order 1042 is on its way.", {"1042", "way"}),
        ("The number is 0042.", {"0042"}),
        ("It costs £12.50, Dr. Brown.", {"£12.50", "brown"}),
        ("We open at 10:30 tomorrow.", {"10", "30", "tomorrow"}),
    ],
)
async def test_numbers_are_read_so_that_they_are_understood(
    voice: HibariVoice, ears: WhisperEars, text: str, expected: set[str]
) -> None:
    pcm16 = b"".join(await chunks_of(voice.speak(text)))

    heard = (await ears.transcribe(Resampler(RATE_HZ, 16_000).process(pcm16))).text

    assert {word for word in expected if word in heard.lower()} == expected


@pytest.mark.parametrize("text", ["", " ", "...", "🙂", "—?!", "\0\1", "你好"])
async def test_text_without_sound_gives_no_audio(voice: HibariVoice, text: str) -> None:
    assert await chunks_of(voice.speak(text)) == []


class StubHibari:
    """A synthesiser of 1 s of tone per sentence, when told to."""

    sample_rate = 24_000

    def __init__(self) -> None:
        self.may_speak = threading.Event()
        self.spoken: list[str] = []

    def g2p(self, text: str) -> str:
        return text

    def from_phonemes(self, phonemes: str) -> NDArray[np.float32]:
        self.spoken.append(phonemes)
        assert self.may_speak.wait(PATIENCE_S)
        return np.full(24_000, 0.9, np.float32)


@pytest.fixture
def stub() -> StubHibari:
    return StubHibari()


async def test_a_voice_beyond_full_scale_is_clipped_and_not_wrapped(stub: StubHibari) -> None:
    stub.may_speak.set()
    voice = HibariVoice(stub, workers=1)

    assert np.min(levels(await chunks_of(voice.speak("Loud")))[100:-100]) > 0.99
    voice.close()


async def test_very_long_text_is_synthesised_in_parts(stub: StubHibari) -> None:
    stub.may_speak.set()
    voice = HibariVoice(stub, workers=1)
    text = " ".join(f"word{n}" for n in range(200))

    chunks = await chunks_of(voice.speak(text))

    assert len(stub.spoken) == 4
    assert " ".join(stub.spoken) == text
    assert sum(map(len, chunks)) / MS_BYTES == pytest.approx(4000, abs=20)
    voice.close()


async def test_a_reader_that_stops_reading_stops_the_synthesis(stub: StubHibari) -> None:
    stub.may_speak.set()
    voice = HibariVoice(stub, workers=1)
    speech = voice.speak("word " * 500)

    async with asyncio.timeout(PATIENCE_S):
        await anext(speech)
        await speech.aclose()
        await chunks_of(voice.speak("Next."))

    assert len(stub.spoken) == 2
    assert stub.spoken[1] == "Next."
    voice.close()


async def test_a_cancelled_sentence_leaves_the_queue(stub: StubHibari) -> None:
    voice = HibariVoice(stub, workers=1)
    texts = ("One.", "Two.", "Three.")
    waiting = [asyncio.create_task(chunks_of(voice.speak(text))) for text in texts]
    await asyncio.sleep(0)

    waiting[1].cancel()
    await asyncio.sleep(0)
    stub.may_speak.set()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait(waiting)

    assert waiting[1].cancelled()
    assert stub.spoken == ["One.", "Three."]
    voice.close()


async def test_more_than_can_be_spoken_in_time_is_refused_at_once(stub: StubHibari) -> None:
    voice = HibariVoice(stub, workers=1)
    waiting = [asyncio.create_task(chunks_of(voice.speak("Word."))) for _ in range(65)]
    await asyncio.sleep(0)

    with pytest.raises(Overloaded, match="64 requests wait for the voice"):
        await chunks_of(voice.speak("One too many."))

    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    stub.may_speak.set()
    voice.close()


async def test_there_is_one_voice_for_every_id_and_that_is_told_once(stub: StubHibari) -> None:
    stub.may_speak.set()
    voice = HibariVoice(stub, workers=1)

    with capture_logs() as logs:
        spoken = [
            b"".join(await chunks_of(voice.speak("Word.", voice_id)))
            for voice_id in (None, "ito", "kora")
        ]

    assert len(set(spoken)) == 1
    assert [(line["event"], line["voice_id"]) for line in logs] == [("voice_not_selectable", "ito")]
    voice.close()


def test_a_damaged_voice_is_for_the_owner_to_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> StubHibari:
        raise FileNotFoundError("voice.onnx")

    monkeypatch.setattr("evibridge.engine.voices.voice.Hibari", damaged)

    with pytest.raises(EngineSetupError, match=r"voice\.onnx.*install hibari-tts again"):
        HibariVoice.load()
