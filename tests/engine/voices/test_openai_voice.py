"""The voice against a stand-in speech service in a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from structlog.testing import capture_logs

from evibridge.audio.resample import Resampler
from evibridge.engine import speech_service
from evibridge.engine.hearing.openai_ears import OpenAIEars
from evibridge.engine.voices.openai_voice import OpenAIVoice
from evibridge.engine.voices.voice import RATE_HZ
from evibridge.errors import EngineSetupError, Overloaded, UpstreamFailed
from tests.engine.model_servers.running import RunningModel
from tests.engine.speech_servers.running import running_speech

KEY = "sk-very-secret"
MS_BYTES = 2 * RATE_HZ // 1000
PATIENCE_S = 20.0
UUID = "ee96fb5f-ec1a-4f41-a9ba-6d119e64c8fd"

Speaking = Callable[..., OpenAIVoice]


@pytest.fixture(scope="module")
def process() -> Iterator[RunningModel]:
    with running_speech() as process:
        yield process


@pytest.fixture
def server(process: RunningModel) -> RunningModel:
    process.forget()
    return process


@pytest.fixture
async def speaking(server: RunningModel) -> AsyncIterator[Speaking]:
    """Makes a voice whose service behaves in a certain way."""
    made: list[OpenAIVoice] = []

    def speak(model: str = "tone", **settings: Any) -> OpenAIVoice:
        defaults = {"base_url": f"{server.origin}/v1", "api_key": KEY, "voice": "alloy"}
        made.append(OpenAIVoice(**{**defaults, **settings}, model=model))
        return made[-1]

    yield speak
    for voice in made:
        await voice.close()


async def said(
    voice: OpenAIVoice, sentence: str = "Good day.", voice_id: str | None = None
) -> list[bytes]:
    async with asyncio.timeout(PATIENCE_S):
        return [chunk async for chunk in voice.speak(sentence, voice_id)]


def tone_hz(chunks: list[bytes]) -> float:
    samples = np.frombuffer(b"".join(chunks), np.int16)
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * RATE_HZ / len(samples))


def voices_asked_for(server: RunningModel) -> list[str]:
    return [asked["body"]["voice"] for asked in server.requests()]


async def test_what_it_says_is_understood(speaking: Speaking, server: RunningModel) -> None:
    pcm16 = b"".join(await said(speaking("real"), "Your order is on its way."))

    ears = OpenAIEars(base_url=f"{server.origin}/v1", api_key=KEY, model="real")
    heard = await ears.transcribe(Resampler(RATE_HZ, 16_000).process(pcm16))
    await ears.close()
    assert "order is on its way" in heard.text.lower()


async def test_speech_comes_at_48_khz_in_chunks_as_it_is_read_out(
    speaking: Speaking, server: RunningModel
) -> None:
    chunks = await said(speaking(), "**Order** 0042.")

    assert [len(chunk) / MS_BYTES for chunk in chunks[:3]] == [100, 200, 200]
    assert sum(map(len, chunks)) / MS_BYTES == pytest.approx(1000, abs=10)
    assert tone_hz(chunks) == pytest.approx(440, abs=5)
    (asked,) = server.requests()
    assert asked["authorization"] == f"Bearer {KEY}"
    assert asked["body"] == {
        "input": "Order 0 0 4 2.",
        "model": "tone",
        "voice": "alloy",
        "response_format": "pcm",
    }


async def test_the_first_chunk_does_not_wait_for_the_rest(speaking: Speaking) -> None:
    speech = speaking("paused").speak("Good day.")

    async with asyncio.timeout(PATIENCE_S):
        assert len(await anext(speech)) / MS_BYTES == 100
        await speech.aclose()


async def test_closing_the_speech_ends_the_request(
    speaking: Speaking, server: RunningModel
) -> None:
    speech = speaking("paused").speak("Good day.")

    async with asyncio.timeout(PATIENCE_S):
        await anext(speech)
        await speech.aclose()
        assert await server.last_end() == "client_left"


async def test_cancelling_before_the_first_byte_ends_the_request(
    speaking: Speaking, server: RunningModel
) -> None:
    asking = asyncio.create_task(said(speaking("never")))
    await server.asked()

    asking.cancel()
    await asyncio.wait([asking])

    assert await server.last_end() == "client_left"


@pytest.mark.parametrize("model", ["dribbling", "wav"])
async def test_odd_pieces_and_wav_files_sound_the_same(speaking: Speaking, model: str) -> None:
    chunks = await said(speaking(model))

    assert sum(map(len, chunks)) / MS_BYTES == pytest.approx(1000, abs=10)
    assert tone_hz(chunks) == pytest.approx(440, abs=5)


async def test_raw_audio_is_taken_at_the_rate_that_the_owner_says(speaking: Speaking) -> None:
    chunks = await said(speaking(rate_hz=48_000))

    assert sum(map(len, chunks)) / MS_BYTES == pytest.approx(500, abs=10)
    assert tone_hz(chunks) == pytest.approx(880, abs=10)


@pytest.mark.parametrize("sentence", ["", " ", "...", "🙂", "**"])
async def test_text_without_sound_is_not_sent(
    speaking: Speaking, server: RunningModel, sentence: str
) -> None:
    assert await said(speaking(), sentence) == []
    assert server.requests() == []


@pytest.mark.parametrize("model", ["broken-once", "busy-once"])
async def test_a_passing_fault_is_not_noticed(
    speaking: Speaking, server: RunningModel, model: str
) -> None:
    assert sum(map(len, await said(speaking(model)))) / MS_BYTES == pytest.approx(1000, abs=10)
    assert len(server.requests()) == 2


@pytest.mark.parametrize(
    ("model", "tries", "says"),
    [
        ("broken", 2, "is out of order"),
        ("reset", 2, "cannot be reached, or breaks connections"),
        ("locked", 1, "does not accept the API key"),
        ("refusing", 1, "refuses the request"),
        ("page", 1, "check its address"),
        ("json", 1, "check its address"),
        ("mp3", 1, "cannot be played: The answer is not the raw audio"),
        ("empty", 1, "cannot be played: The answer ends before its first sample"),
        ("endless", 1, "cannot be played: The speech of one sentence goes on for minutes"),
        ("cut", 1, "cannot be reached, or breaks connections"),
    ],
)
async def test_a_service_that_does_not_speak_is_named_with_its_fault(
    speaking: Speaking, server: RunningModel, model: str, tries: int, says: str
) -> None:
    with pytest.raises(UpstreamFailed, match=says) as failed:
        await said(speaking(model))

    assert str(failed.value).startswith(f"The speech synthesis at {server.origin}/v1 ")
    assert not failed.value.timed_out
    assert len(server.requests()) == tries


@pytest.mark.parametrize("model", ["never", "paused"])
async def test_a_service_that_stops_sending_is_given_up(
    speaking: Speaking, server: RunningModel, model: str
) -> None:
    with pytest.raises(UpstreamFailed, match=r"sent nothing for 0\.2 s") as failed:
        await said(speaking(model, timeout_s=0.2))

    assert failed.value.timed_out
    assert await server.last_end() == "client_left"


async def test_nobody_at_the_address_is_a_failure_of_the_service(speaking: Speaking) -> None:
    with pytest.raises(UpstreamFailed, match="cannot be reached"):
        await said(speaking(base_url="http://127.0.0.1:1/v1"))


@pytest.mark.parametrize("wrong", [{"base_url": "nowhere"}, {"rate_hz": 100}])
async def test_what_the_owner_must_put_right_is_told_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(EngineSetupError):
        OpenAIVoice(**{"base_url": None, "api_key": None, "model": "m", "voice": "v", **wrong})


async def test_more_than_can_be_spoken_is_refused_at_once(
    speaking: Speaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_service, "MAX_IN_FLIGHT", 1)
    voice = speaking("paused")
    speech = voice.speak("Good day.")
    async with asyncio.timeout(PATIENCE_S):
        await anext(speech)

        with pytest.raises(Overloaded):
            await said(voice)

        await speech.aclose()
        again = voice.speak("Good day.")
        assert await anext(again)
        await again.aclose()


async def test_a_client_chooses_a_voice_of_the_service_by_its_name(
    speaking: Speaking, server: RunningModel
) -> None:
    voice = speaking()

    for voice_id in ("nova", None, ""):
        assert await said(voice, voice_id=voice_id)

    assert voices_asked_for(server) == ["nova", "alloy", "alloy"]


async def test_an_id_that_the_owner_has_mapped_is_that_voice(
    speaking: Speaking, server: RunningModel
) -> None:
    await said(speaking(voices={UUID: "nova"}), voice_id=UUID)

    assert voices_asked_for(server) == ["nova"]


@pytest.mark.parametrize("voice_id", [UUID, "a" * 5000])
async def test_what_is_no_name_is_spoken_in_the_configured_voice_and_told_once(
    speaking: Speaking, server: RunningModel, voice_id: str
) -> None:
    voice = speaking()

    with capture_logs() as logs:
        for _ in range(2):
            assert await said(voice, voice_id=voice_id)

    assert voices_asked_for(server) == ["alloy", "alloy"]
    assert [(line["event"], line["voice"]) for line in logs] == [("voice_unknown", voice_id[:100])]


async def test_a_name_that_the_service_refuses_is_not_asked_for_again(
    speaking: Speaking, server: RunningModel
) -> None:
    voice = speaking()

    for _ in range(2):
        chunks = await said(voice, voice_id="ito")
        assert tone_hz(chunks) == pytest.approx(440, abs=5)

    assert voices_asked_for(server) == ["ito", "alloy", "alloy"]


async def test_a_refusal_that_is_not_for_the_voice_is_not_blamed_on_it(
    speaking: Speaking, server: RunningModel
) -> None:
    voice = speaking("refusing")

    for _ in range(2):
        with pytest.raises(UpstreamFailed, match="refuses the request"):
            await said(voice, voice_id="nova")

    assert voices_asked_for(server) == ["nova", "alloy"] * 2


async def test_only_so_many_unknown_voices_are_remembered(
    speaking: Speaking, server: RunningModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evibridge.engine.voices.openai_voice._MAX_UNKNOWN_VOICES", 1)
    voice = speaking()

    with capture_logs() as logs:
        for voice_id in (str(uuid4()), "ito", "ito"):
            assert await said(voice, voice_id=voice_id)

    assert voices_asked_for(server) == ["alloy", "ito", "alloy", "ito", "alloy"]
    assert len([line for line in logs if line["event"] == "voice_unknown"]) == 1
