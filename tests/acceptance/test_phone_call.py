"""Whole calls: a voice that speaks, Twilio's protocol, the bridge, the EVI protocol, the engine."""

import asyncio
import json
from asyncio import Task
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from evibridge.audio.resample import Resampler
from evibridge.audio.wav import parse_wav
from evibridge.emulators.call_report import CallEnd, CallReport
from evibridge.emulators.caller import HearAgent, Listen, Say, Speech, Step, WaitForAgent
from evibridge.emulators.twilio import TwilioPhone
from evibridge.engine.hearing.ears import WhisperEars
from tests.processes import Running, finish, run_service, start
from tests.speech import espeak_wav, spoken

pytestmark = pytest.mark.asyncio(loop_scope="module")

BARGE_IN_LIMIT_MS = 400
VOICE = "en-gb-x-rp"
"""The recogniser takes this synthetic voice best."""
QUIET = 300
"""Below this level nobody speaks: the line carries digital silence between words."""


@pytest.fixture(scope="module")
def ears() -> Iterator[WhisperEars]:
    ears = WhisperEars.load()
    yield ears
    ears.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service() -> AsyncIterator[Running]:
    async with run_service() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calls_with_a_question(
    service: Running, tmp_path_factory: pytest.TempPathFactory
) -> dict[Path, str]:
    """The recordings of two callers who have asked the same at the same time, and what they saw."""
    folder = tmp_path_factory.mktemp("calls")
    question = folder / "question.wav"
    question.write_bytes(espeak_wav("Where is order 1042?"))
    recordings = [folder / "first.wav", folder / "second.wav"]
    calls = [
        await start("call", str(question), "--url", service.origin, "--record", str(recording))
        for recording in recordings
    ]
    seen = {}
    for recording, call in zip(recordings, calls, strict=True):
        code, seen[recording], err = await finish(call)
        assert code == 0, err
    return seen


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calls(service: Running) -> AsyncIterator[dict[str, Task[CallReport]]]:
    """Calls that wait most of their time, all at once."""
    story = Speech(spoken("Tell me about the book shop.", 8000, voice=VOICE), "story")
    objection = Speech(spoken("Please stop talking.", 8000, voice=VOICE), "objection")
    goodbye = Speech(spoken("Thank you, goodbye.", 8000))
    noise = np.random.default_rng(1).normal(0, 400, 8000 * 4).astype(np.int16).tobytes()
    scripts: dict[str, list[Step]] = {
        "barge-in": [
            WaitForAgent(), Say(story), HearAgent(after_ms=2000), Say(objection), WaitForAgent(),
        ],
        "goodbye": [WaitForAgent(), Say(goodbye), Listen(15_000)],
        "noise": [WaitForAgent(), Listen(1000), Say(Speech(noise)), Listen(4000)],
    }  # fmt: skip
    phone = TwilioPhone(f"{service.origin}/twilio/voice")
    calls = {name: asyncio.create_task(phone.call(script)) for name, script in scripts.items()}
    yield calls
    for call in calls.values():
        call.cancel()
    await asyncio.gather(*calls.values(), return_exceptions=True)


async def transcript(ears: WhisperEars, pcm16_8k: bytes) -> str:
    return (await ears.transcribe(Resampler(8000, 16_000).process(pcm16_8k))).text


async def test_a_spoken_question_is_answered_with_what_a_function_returned(
    service: Running, ears: WhisperEars, calls_with_a_question: dict[Path, str]
) -> None:
    tools = service.logged("tool_started")
    assert len({tool["call_id"] for tool in tools}) == len(calls_with_a_question)
    for tool, (recording, seen) in zip(tools, calls_with_a_question.items(), strict=True):
        assert (tool["name"], json.loads(tool["parameters"])) == (
            "order_status",
            {"order_id": "1042"},
        )
        assert "Friday" in seen
        wav = parse_wav(recording.read_bytes())
        sides = np.frombuffer(wav.data, np.int16).reshape(-1, 2)
        heard = await transcript(ears, sides[:, 1].tobytes())
        assert "1042" in heard
        assert "Friday" in heard
        assert await transcript(ears, sides[:, 0].tobytes())


async def test_a_spoken_barge_in_stops_the_agents_voice_at_the_callers_ear(
    service: Running, calls: dict[str, Task[CallReport]]
) -> None:
    report = await calls["barge-in"]

    caller = np.abs(np.frombuffer(report.caller_pcm16_8k, np.int16).astype(np.int32))
    agent = np.abs(np.frombuffer(report.agent_pcm16_8k, np.int16).astype(np.int32))
    (objected_ms,) = [event.at_ms for event in report.events if event.detail == "objection"]
    onset = objected_ms * 8 + int(np.argmax(caller[objected_ms * 8 :] > QUIET))
    assert agent[onset - 4000 : onset].max() > QUIET, "the agent was not speaking"
    silent_for_a_second = [
        at for at in range(onset, len(agent) - 8000, 80) if agent[at : at + 8000].max() <= QUIET
    ]
    stopped_ms = (silent_for_a_second[0] - onset) / 8
    assert stopped_ms <= BARGE_IN_LIMIT_MS
    assert "stop" in service.logged("caller_said", call_id=report.call_sid)[-1]["text"]
    assert report.agent_speech[-1].start_ms > onset / 8 + stopped_ms, "nobody answered"


async def test_goodbye_is_said_before_the_agent_hangs_up(
    ears: WhisperEars, calls: dict[str, Task[CallReport]]
) -> None:
    report = await calls["goodbye"]

    assert report.end is CallEnd.AGENT_HUNG_UP
    assert "bye" in (await transcript(ears, report.agent_speech[-1].pcm16_8k)).lower()
    assert not report.warnings


async def test_noise_and_silence_get_no_answer(
    service: Running, calls: dict[str, Task[CallReport]]
) -> None:
    report = await calls["noise"]

    assert not service.logged("caller_said", call_id=report.call_sid)
    assert report.agent_was_heard  # the greeting


async def test_two_callers_at_once_are_both_answered(
    calls_with_a_question: dict[Path, str],
) -> None:
    first, second = calls_with_a_question.values()

    assert "Friday" in first
    assert "Friday" in second
