"""Sound that says a number: which utterance audio belongs to, after any conversion on its way.

A bit is 10 ms of constant level, high for 1 and low for 0: a telephone's codec and a change of the
sample rate leave it what it is.
"""

import numpy as np

from benchmarks.sound import LOUD

BITS = 20
BIT_MS = 10
LENGTH_MS = BITS * BIT_MS
FILTER_DELAY_MS = 3
"""Of the bridge's resampler; half a bit is longer."""


def numbered(number: int, rate_hz: int) -> bytes:
    """Int16 mono PCM of `LENGTH_MS`."""
    bits = [number >> at & 1 for at in range(BITS)]
    levels = np.where(np.array(bits) == 1, LOUD, -LOUD).astype(np.int16)
    return np.repeat(levels, rate_hz * BIT_MS // 1000).tobytes()


def number_in(pcm16: bytes, rate_hz: int) -> int:
    """Read the number again, from sound that may be late by `FILTER_DELAY_MS`."""
    first = rate_hz * (BIT_MS // 2 + FILTER_DELAY_MS // 2) // 1000
    bits = np.frombuffer(pcm16, np.int16)[first :: rate_hz * BIT_MS // 1000] > 0
    return sum(1 << at for at, bit in enumerate(bits.tolist()) if bit)
