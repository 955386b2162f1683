"""Quiet and loud sound, and how to tell them apart: a loud answer is to a loud question."""

import struct
from math import ceil

import numpy as np

LOUD = 12_000
"""Level of a loud sound, in int16."""
MIDWAY = LOUD // 2
"""A filter that smooths an edge leaves its middle where it was."""
AUDIBLE = 500
"""Level of speech: 36 dB below the loudest."""
_TONE_HZ = 400


def sound(duration_ms: int, rate_hz: int, *, loud: bool) -> bytes:
    """Int16 mono PCM: a square wave if loud, silence if not."""
    samples = rate_hz * duration_ms // 1000
    if not loud:
        return bytes(2 * samples)
    half = rate_hz // _TONE_HZ // 2
    period = struct.pack("<h", LOUD) * half + struct.pack("<h", -LOUD) * half
    return (period * ceil(samples / half))[: 2 * samples]


def louder_from_ms(pcm16: bytes, rate_hz: int, level: int) -> float | None:
    """Where in int16 mono PCM the level is first exceeded; None if it never is."""
    above = np.flatnonzero(np.frombuffer(pcm16, np.int16) > level)
    return int(above[0]) * 1000 / rate_hz if len(above) else None


def without_silent_end(pcm16: bytes) -> bytes:
    """Int16 mono PCM up to its last audible sample."""
    audible = np.flatnonzero(np.abs(np.frombuffer(pcm16, np.int16).astype(np.int32)) > AUDIBLE)
    return pcm16[: 2 * (int(audible[-1]) + 1)] if len(audible) else b""
