"""`evibridge call` against a service that speaks in tones: what it prints of interruptions."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import pybase64
import pytest
import pytest_asyncio

from evibridge.audio.wav import wav_file
from evibridge.call_command import PhoneCall, make_call
from evibridge.emulators import caller
from evibridge.emulators.speech_detector import is_loud

from .service_double import MediaPeer, Service, hear_out, running
from .sounds import tone_mulaw, tone_pcm16

CONNECT = '<Response><Connect><Stream url="{ws}/media"/></Connect></Response>'
QUIET_FRAMES = 40
"""More than a pause between two of the caller's words."""
LONGEST_CALL_S = 20.0
LONG_MS, SHORT_MS = 60_000, 300


async def caller_speaks(peer: MediaPeer) -> None:
    while not is_loud(pybase64.b64decode((await peer.read_until("media"))["media"]["payload"])):
        pass


async def caller_is_done(peer: MediaPeer) -> None:
    quiet = 0
    while quiet < QUIET_FRAMES:
        frame = pybase64.b64decode((await peer.read_until("media"))["media"]["payload"])
        quiet = 0 if is_loud(frame) else quiet + 1


@dataclass
class Talkative:
    """A service whose first answer lasts `answer_ms`, unless the caller speaks again before."""

    answer_ms: int

    async def talk(self, peer: MediaPeer) -> None:
        await peer.read_until("media")
        await peer.say(tone_mulaw(200))
        await caller_speaks(peer)
        await caller_is_done(peer)
        await peer.say(tone_mulaw(self.answer_ms))
        await caller_speaks(peer)
        await peer.clear()
        await caller_is_done(peer)
        await peer.say(tone_mulaw(200))
        await hear_out(peer)


async def lines_of_a_call(tmp_path: Path, service: Talkative) -> list[str]:
    question = tmp_path / "question.wav"
    question.write_bytes(wav_file(tone_pcm16(200), 8000))
    lines: list[str] = []
    double = Service([CONNECT], on_stream=service.talk, longest_stream_s=LONGEST_CALL_S)
    async with running(double):
        call = PhoneCall(
            url=double.origin,
            recordings=[question],
            texts=[],
            auth_token=None,
            record_to=None,
            interrupt_after_s=0.5,
        )
        assert await make_call(call, lines.append)
    return lines


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[str]]:
    """The lines of a call, by the length of the first answer; the calls are made at once."""
    folder = tmp_path_factory.mktemp("calls")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caller, "LAST_QUIET_MS", 500)  # nothing comes behind the last answer
        calls = [lines_of_a_call(folder, Talkative(ms)) for ms in (LONG_MS, SHORT_MS)]
        long, short = await asyncio.gather(*calls)
    return {LONG_MS: long, SHORT_MS: short}


def events_of(lines: list[str]) -> list[tuple[str, str]]:
    """Who and what, of lines that are in order of time."""
    told = [re.fullmatch(r" *(\d+\.\d) s  (.{6})  (.*)", line) for line in lines]
    assert all(told), lines
    times_s = [float(line[1]) for line in told if line]
    assert times_s == sorted(times_s)
    return [(line[2].strip(), line[3]) for line in told if line]


async def test_what_a_clear_keeps_from_the_callers_ear_is_told(
    printed: dict[int, list[str]],
) -> None:
    *lines, end = printed[LONG_MS]

    assert end == "The call is over: the caller hung up."
    told = events_of(lines)
    assert [who for who, _ in told] == ["agent", "caller", "agent", "caller", "", "agent"]
    assert told[1][1] == "(a recording)"
    assert told[3][1] == "Excuse me, one moment please.  (cuts in)"
    assert re.match(r"\(the agent falls silent: 5\d\.\d s were sent and not heard", told[4][1])


async def test_a_caller_who_speaks_after_a_short_answer_cuts_in_on_nothing(
    printed: dict[int, list[str]],
) -> None:
    *lines, end = printed[SHORT_MS]

    assert end == "The call is over: the caller hung up."
    told = events_of(lines)
    assert [who for who, _ in told] == ["agent", "caller", "agent", "caller", "", "agent"]
    assert told[3][1] == "Excuse me, one moment please."
    assert told[4][1] == "(the agent is interrupted: all that was sent was heard)"
