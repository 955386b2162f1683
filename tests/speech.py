"""A caller's voice for tests: espeak-ng, which is not the engine's own voice."""

import subprocess
from functools import cache

from evibridge.audio.resample import Resampler
from evibridge.audio.wav import mono_pcm16, parse_wav


@cache
def espeak_wav(text: str, *, voice: str = "en-us", words_per_minute: int = 150) -> bytes:
    """The text as a WAV file, as espeak-ng speaks it."""
    command = ["espeak-ng", "--stdout", "-v", voice, "-s", str(words_per_minute), text]
    return subprocess.run(command, check=True, capture_output=True, timeout=20).stdout


def spoken(text: str, rate_hz: int, *, voice: str = "en-us", words_per_minute: int = 150) -> bytes:
    """The text as int16 mono PCM at `rate_hz`."""
    wav = parse_wav(espeak_wav(text, voice=voice, words_per_minute=words_per_minute))
    return Resampler(wav.rate_hz, rate_hz).process(mono_pcm16(wav))
