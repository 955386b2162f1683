"""Sounds for the tests: int16 mono PCM and mu-law at 8 kHz."""

import math
import struct

from evibridge.audio.g711 import pcm16_to_mulaw


def tone_pcm16(duration_ms: int, *, peak: int = 8000) -> bytes:
    """A 400 Hz tone, so that every 20 ms frame of it is the same."""
    period = [round(peak * math.sin(2 * math.pi * n / 20)) for n in range(20)]
    return struct.pack("<20h", *period) * (duration_ms * 8 // 20)


def tone_mulaw(duration_ms: int, *, peak: int = 8000) -> bytes:
    return pcm16_to_mulaw(tone_pcm16(duration_ms, peak=peak))
