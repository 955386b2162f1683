"""Callers who are not there: text spoken by programs, as it comes over a telephone line."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.noises import RATE_HZ, Sound, at_level, pink
from evibridge.audio.g711 import mulaw_to_pcm16, pcm16_to_mulaw
from evibridge.audio.resample import Resampler
from evibridge.audio.wav import mono_pcm16, parse_wav

SPEECH_DBFS = -23.0
"""Active level of a caller: what networks aim at."""


def installed() -> list[str]:
    """The voices that this machine has: the engine's own, and programs of the system."""
    return ["hibari", *(name for name in ("flite", "espeak-ng") if shutil.which(name))]


@cache
def spoken(text: str, voice: str) -> Sound:
    """Say a text, 8 kHz mono at `SPEECH_DBFS`."""
    return at_level(_VOICES[voice](text), SPEECH_DBFS)


def on_the_line(sound: Sound) -> bytes:
    """What the ears get of a sound on a line of 8 kHz mu-law: int16 mono PCM at 16 kHz."""
    pcm16 = (32768 * sound).clip(-32768, 32767).astype(np.int16).tobytes()
    return Resampler(RATE_HZ, 16_000).process(mulaw_to_pcm16(pcm16_to_mulaw(pcm16)))


def in_noise(speech: Sound, snr_db: float) -> Sound:
    """Add pink noise at a distance from `SPEECH_DBFS`."""
    return speech + at_level(pink(len(speech) / RATE_HZ + 1)[: len(speech)], SPEECH_DBFS - snr_db)


def one_after_the_other(sounds: Iterable[Sound], pause_s: float) -> Sound:
    """String sounds together, with silence before each and behind the last."""
    silence = np.zeros(int(pause_s * RATE_HZ))
    return np.concatenate([part for sound in sounds for part in (silence, sound)] + [silence])


@cache
def _hibari() -> Any:
    from hibari import Hibari

    return Hibari()


def _by_hibari(text: str) -> Sound:
    samples = _hibari()(text, seed=1)
    pcm16 = (32767 * samples.clip(-1, 1)).astype(np.int16).tobytes()
    return _as_sound(Resampler(24_000, RATE_HZ).process(pcm16))


def _by_flite(text: str) -> Sound:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speech.wav"
        _run("flite", "-voice", "slt", "-t", text, "-o", str(file))
        return _from_wav(file.read_bytes())


def _by_espeak(text: str) -> Sound:
    return _from_wav(_run("espeak-ng", "--stdout", "-v", "en-us", "-s", "150", text))


_VOICES: dict[str, Callable[[str], Sound]] = {
    "hibari": _by_hibari,
    "flite": _by_flite,
    "espeak-ng": _by_espeak,
}


def _run(*command: str) -> bytes:
    return subprocess.run(command, check=True, capture_output=True, timeout=30).stdout


def _from_wav(file: bytes) -> Sound:
    wav = parse_wav(file)
    return _as_sound(Resampler(wav.rate_hz, RATE_HZ).process(mono_pcm16(wav)))


def _as_sound(pcm16: bytes) -> Sound:
    return np.frombuffer(pcm16, np.int16) / 32768
