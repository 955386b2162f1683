"""Microseconds of each step of the audio path, by the bridge's own functions, without sockets.

    python -m benchmarks.hot_path

The lowest of many repetitions counts: whatever is above it is the machine's other work.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from timeit import Timer
from typing import TypeVar

import orjson
import pybase64

from benchmarks.report import headline, machine, table
from benchmarks.sound import sound
from evibridge.agent import evi_codec
from evibridge.agent.evi_messages import AudioOutput
from evibridge.audio.g711 import mulaw_to_pcm16, pcm16_to_mulaw
from evibridge.audio.resample import Resampler
from evibridge.audio.wav import mono_pcm16, parse_wav, wav_file
from evibridge.bridges import twilio_messages

FRAME_MS = 20
CHUNK_MS = 200
FRAMES_PER_S = 1000 // FRAME_MS
CHUNKS_PER_S = 1000 // CHUNK_MS
AGENT_RATE_HZ = 48_000
PHONE_RATE_HZ = 8_000
REPETITIONS = 25
STREAM_SID = f"MZ{'0' * 32}"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the path and what it takes."""

    name: str
    us: float


@dataclass(frozen=True, slots=True)
class HotPath:
    """Both directions of a call."""

    caller_frame: list[Step]
    """Twilio's `media` with 20 ms to EVI's `audio_input`."""
    agent_chunk: list[Step]
    """EVI's `audio_output` with 200 ms at 48 kHz to Twilio's `media`."""

    @property
    def ms_per_call_s(self) -> float:
        """CPU of one second of a call in which both sides talk."""
        frame_us = sum(step.us for step in self.caller_frame)
        chunk_us = sum(step.us for step in self.agent_chunk)
        return (FRAMES_PER_S * frame_us + CHUNKS_PER_S * chunk_us) / 1000


T = TypeVar("T")


class _Stopwatch:
    """Runs steps one after another: each works on the result of the one before."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds / REPETITIONS
        self.steps: list[Step] = []

    def run(self, name: str, work: Callable[[], T]) -> T:
        timer = Timer(work)
        times = max(1, round(self._seconds / max(timer.timeit(10) / 10, 1e-7)))
        lowest_s = min(timer.repeat(REPETITIONS, times)) / times
        self.steps.append(Step(name, lowest_s * 1e6))
        return work()


def measure(*, seconds_per_step: float) -> HotPath:
    """Time every step for so long."""
    return HotPath(_caller_frame(seconds_per_step), _agent_chunk(seconds_per_step))


def _caller_frame(seconds: float) -> list[Step]:
    watch = _Stopwatch(seconds)
    payload = pybase64.b64encode(pcm16_to_mulaw(sound(FRAME_MS, PHONE_RATE_HZ, loud=True))).decode()
    media = {"track": "inbound", "chunk": "100", "timestamp": "2081", "payload": payload}
    text = orjson.dumps(
        {"event": "media", "sequenceNumber": "101", "media": media, "streamSid": STREAM_SID}
    )

    mulaw = watch.run("read Twilio's media", lambda: twilio_messages.caller_audio(text))
    assert mulaw is not None
    pcm16 = watch.run("mu-law to PCM", lambda: mulaw_to_pcm16(mulaw))
    watch.run("write audio_input", lambda: evi_codec.audio_input(pcm16))
    return watch.steps


def _agent_chunk(seconds: float) -> list[Step]:
    watch = _Stopwatch(seconds)
    file = wav_file(sound(CHUNK_MS, AGENT_RATE_HZ, loud=True), AGENT_RATE_HZ)
    output = AudioOutput("0" * 32, 0, file)
    text = evi_codec.encode(output)
    resampler = Resampler(AGENT_RATE_HZ, PHONE_RATE_HZ)

    audio = watch.run("read audio_output", lambda: evi_codec.audio_output(text))
    assert audio is not None
    _, wav = audio
    pcm16 = watch.run("read WAV", lambda: mono_pcm16(parse_wav(wav)))
    resampled = watch.run("48 to 8 kHz", lambda: resampler.process(pcm16))
    mulaw = watch.run("PCM to mu-law", lambda: pcm16_to_mulaw(resampled))
    watch.run("write Twilio's media", lambda: twilio_messages.media(STREAM_SID, mulaw))
    return watch.steps


def shown(path: HotPath) -> str:
    """Both directions as tables, and their sum."""
    return "\n\n".join(
        (
            _steps("caller to agent, a frame of 20 ms", path.caller_frame),
            _steps("agent to caller, a chunk of 200 ms", path.agent_chunk),
            f"Audio path without sockets: {path.ms_per_call_s:.2f} ms CPU per call-second.",
        )
    )


def _steps(title: str, steps: Sequence[Step]) -> str:
    rows = [(step.name, f"{step.us:.1f}") for step in steps]
    total = f"{sum(step.us for step in steps):.1f}"
    return table((title, "us"), [*rows, ("sum", total)])


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.hot_path")
    options.add_argument("--seconds", type=float, default=0.5, help="measured time of a step")
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    path = measure(seconds_per_step=given.seconds)
    if given.json:
        print(json.dumps({"machine": machine(), "hot_path": asdict(path)}, indent=2))
    else:
        print(f"{headline()}\n\n{shown(path)}")


if __name__ == "__main__":
    main()
