"""The ears against a stand-in speech service in a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from evibridge.engine import speech_service
from evibridge.engine.hearing.openai_ears import RATE_HZ, OpenAIEars
from evibridge.errors import EngineSetupError, Overloaded, UpstreamFailed
from tests.engine.chat_parts import tone
from tests.engine.model_servers.running import RunningModel
from tests.engine.speech_servers.running import running_speech
from tests.speech import spoken

KEY = "sk-very-secret"
SPEECH = tone(500)
PATIENCE_S = 20.0

Listening = Callable[..., OpenAIEars]


@pytest.fixture(scope="module")
def process() -> Iterator[RunningModel]:
    with running_speech() as process:
        yield process


@pytest.fixture
def server(process: RunningModel) -> RunningModel:
    process.forget()
    return process


@pytest.fixture
async def listening(server: RunningModel) -> AsyncIterator[Listening]:
    """Makes ears whose service behaves in a certain way."""
    made: list[OpenAIEars] = []

    def listen(model: str = "fixed", **settings: Any) -> OpenAIEars:
        defaults = {"base_url": f"{server.origin}/v1", "api_key": KEY}
        made.append(OpenAIEars(**{**defaults, **settings}, model=model))
        return made[-1]

    yield listen
    for ears in made:
        await ears.close()


async def heard(ears: OpenAIEars, pcm16: bytes = SPEECH) -> str:
    async with asyncio.timeout(PATIENCE_S):
        return (await ears.transcribe(pcm16)).text


async def test_a_caller_is_understood(listening: Listening) -> None:
    text = await heard(listening("real"), spoken("Where is my order?", RATE_HZ))

    assert text.lower().startswith("where is my order")


async def test_the_service_gets_a_wav_file_the_model_and_the_key(
    listening: Listening, server: RunningModel
) -> None:
    assert await heard(listening(language="en"), SPEECH + b"\1") == "Where is my order?"

    (asked,) = server.requests()
    assert asked["authorization"] == f"Bearer {KEY}"
    assert asked["body"] == {
        "model": "fixed",
        "language": "en",
        "response_format": "json",
        "file": f"16000 Hz, 1 channel, {len(SPEECH)} bytes",
    }


async def test_without_key_and_language_none_is_sent(
    listening: Listening, server: RunningModel
) -> None:
    await heard(listening(api_key=None))

    (asked,) = server.requests()
    assert asked["authorization"] is None
    assert "language" not in asked["body"]


@pytest.mark.parametrize("pcm16", [b"", b"\1", bytes(32_000), b"\x40\0\xc0\xff" * 8000])
async def test_audio_without_a_sound_is_not_sent(
    listening: Listening, server: RunningModel, pcm16: bytes
) -> None:
    assert await heard(listening(), pcm16) == ""
    assert server.requests() == []


@pytest.mark.parametrize("loudest", [b"\xff\x7f", b"\0\x80"])
async def test_one_loud_sample_is_a_sound(listening: Listening, loudest: bytes) -> None:
    assert await heard(listening(), bytes(100) + loudest) != ""


async def test_an_answer_without_a_word_is_no_words(listening: Listening) -> None:
    assert await heard(listening("wordless")) == ""


@pytest.mark.parametrize("model", ["broken-once", "busy-once"])
async def test_a_passing_fault_is_not_noticed(
    listening: Listening, server: RunningModel, model: str
) -> None:
    assert await heard(listening(model)) == "Where is my order?"
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
        ("half-json", 1, "check its address"),
        ("list", 1, "check its address"),
        ("number", 1, "check its address"),
    ],
)
async def test_a_service_that_gives_no_words_is_named_with_its_fault(
    listening: Listening, server: RunningModel, model: str, tries: int, says: str
) -> None:
    with pytest.raises(UpstreamFailed, match=says) as failed:
        await heard(listening(model))

    assert str(failed.value).startswith(f"The speech recognition at {server.origin}/v1 ")
    assert not failed.value.timed_out
    assert len(server.requests()) == tries


async def test_a_key_that_the_service_repeats_is_shown_nowhere(listening: Listening) -> None:
    with capture_logs() as logs, pytest.raises(UpstreamFailed) as failed:
        await heard(listening("locked"))

    assert KEY not in str(failed.value)
    assert KEY not in str(logs)
    assert logs


async def test_a_service_that_never_answers_is_given_up(listening: Listening) -> None:
    with pytest.raises(UpstreamFailed, match=r"sent nothing for 0\.1 s") as failed:
        await heard(listening("never", timeout_s=0.1))
    assert failed.value.timed_out


async def test_nobody_at_the_address_is_a_failure_of_the_service(listening: Listening) -> None:
    with pytest.raises(UpstreamFailed, match="cannot be reached"):
        await heard(listening(base_url="http://127.0.0.1:1/v1"))


async def test_an_address_that_is_none_is_told_at_once() -> None:
    with pytest.raises(EngineSetupError, match="speech recognition"):
        OpenAIEars(base_url="nowhere", api_key=None, model="m")


async def test_cancelling_ends_the_request(listening: Listening, server: RunningModel) -> None:
    asking = asyncio.create_task(heard(listening("never")))
    await server.asked()

    asking.cancel()
    await asyncio.wait([asking])

    assert await server.last_end() == "client_left"


async def test_more_than_can_be_recognised_is_refused_at_once(
    listening: Listening, server: RunningModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_service, "MAX_IN_FLIGHT", 1)
    ears = listening("never")
    asking = asyncio.create_task(heard(ears))
    await server.asked()

    with pytest.raises(Overloaded, match="1 requests"):
        await heard(ears)

    asking.cancel()
    await asyncio.wait([asking])
    with pytest.raises(UpstreamFailed):  # the place is free again
        await heard(listening("broken"))


async def test_ears_are_idle_while_few_requests_are_under_way(
    listening: Listening, server: RunningModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evibridge.engine.hearing.openai_ears._IDLE_IN_FLIGHT", 1)
    ears = listening("never")
    before = ears.idle
    asking = asyncio.create_task(heard(ears))
    await server.asked()
    meanwhile = ears.idle
    asking.cancel()
    await asyncio.wait([asking])

    assert (before, meanwhile, ears.idle) == (True, False, True)
