"""Change of sample rate for a stream, a chunk at a time.

A windowed-sinc low-pass at the lower of the two rates, in polyphase form: only the output samples
that are kept are computed, each as one dot product. The filter is causal, so nothing is held back:
20 ms in give 20 ms out at once, and the sound is 24 samples of the lower rate late (3 ms at 8 kHz).

The pass band, up to 85 % of the lower rate's Nyquist frequency, is flat within 0.1 dB; from that
frequency on everything is at least 60 dB down.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, gcd

import numpy as np
from numpy.typing import NDArray

from evibridge.errors import BadAudio

MIN_RATE_HZ = 8_000
MAX_RATE_HZ = 192_000

# The three go together: a longer filter could be steeper, a larger beta deeper, at a lower cutoff.
_DELAY_SAMPLES = 24  # half the filter's length, in samples of the lower rate
_CUTOFF = 0.46  # as a share of the lower rate
_KAISER_BETA = 5.8

# 2 MiB: enough for 11025 -> 16000 Hz, little enough for a rate that a stranger names.
_MAX_COEFFICIENTS = 2**19


class Resampler:
    """Converts one stream of int16 mono PCM from `from_hz` to `to_hz`.

    Chunks may be cut anywhere between two samples: the output is the same as for the whole stream
    in one piece. What would exceed int16 is clipped.

    Raises:
        BadAudio: a rate out of range, or two rates without a usable common divisor
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        for rate_hz in (from_hz, to_hz):
            if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
                raise BadAudio(
                    f"Audio at {rate_hz} Hz cannot be converted: "
                    f"use a rate from {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz."
                )
        self._filter = None if from_hz == to_hz else _design(from_hz, to_hz)
        self.reset()

    def reset(self) -> None:
        """Forget the stream; the next chunk begins a new one."""
        self._kept = np.zeros(self._filter.history if self._filter else 0, np.float32)
        self._already_out = 0

    def process(self, pcm16: bytes | memoryview) -> bytes:
        """Convert the next chunk: int16 mono PCM at `from_hz` in, at `to_hz` out.

        Once n samples of a stream have gone in, `ceil(n * to_hz / from_hz)` have come out.

        Raises:
            BadAudio: half a sample at the end
        """
        if len(pcm16) % 2:
            raise BadAudio(f"16-bit audio needs an even number of bytes, not {len(pcm16)}.")
        if self._filter is None:
            return bytes(pcm16)
        history, block_in = self._filter.history, self._filter.block_in
        kernel = self._filter.kernel
        block_out, width = kernel.shape

        # The last block may be short: it is completed with zeros, which only reach outputs that are
        # not due yet, and computed again when the rest of it has come.
        arrived = len(self._kept) - history + len(pcm16) // 2
        blocks = ceil(arrived / block_in)
        samples = np.zeros(history + blocks * block_in, np.float32)
        samples[: len(self._kept)] = self._kept
        samples[len(self._kept) : history + arrived] = np.frombuffer(pcm16, np.int16)

        # Overlapping rows without a copy. `vecdot` and not a matrix product, which would first copy
        # the rows and then occupy further cores for large chunks, at more CPU in sum.
        item = samples.itemsize
        windows = np.ndarray((blocks, 1, width), np.float32, samples, 0, (block_in * item, 0, item))
        due = ceil(arrived * block_out / block_in)
        out: NDArray[np.float32] = np.vecdot(windows, kernel).reshape(-1)[self._already_out : due]

        whole_blocks = arrived // block_in
        self._kept = samples[whole_blocks * block_in : history + arrived].copy()
        self._already_out = due - whole_blocks * block_out
        return out.clip(-32768, 32767).round().astype(np.int16).tobytes()

    def flush(self) -> bytes:
        """End the stream: the part of it that the filter's delay still holds. Then `reset`."""
        delay = self._filter.delay if self._filter else 0
        tail = self.process(bytes(2 * delay))
        self.reset()
        return tail


@dataclass(frozen=True, slots=True)
class _Filter:
    """The smallest block that repeats, `block_in` samples in for `len(kernel)` samples out.

    Row j of the kernel weighs `history` samples before the block, then those of the block, for the
    block's output j.
    """

    block_in: int
    history: int
    delay: int  # in input samples
    kernel: NDArray[np.float32]


@lru_cache(maxsize=16)  # a service meets few pairs of rates, but callers may name any
def _design(from_hz: int, to_hz: int) -> _Filter:
    divisor = gcd(from_hz, to_hz)
    block_in, block_out = from_hz // divisor, to_hz // divisor
    lower_hz = min(from_hz, to_hz)
    delay = _DELAY_SAMPLES * from_hz / lower_hz
    history = ceil(2 * delay)
    width = history + block_in
    if block_out * width > _MAX_COEFFICIENTS:
        raise BadAudio(
            f"Audio at {from_hz} Hz cannot be converted to {to_hz} Hz: "
            "the two rates have no simple ratio."
        )
    # How far each input sample lies from the centre of each output's filter, in input samples.
    inputs = np.arange(width) - history
    outputs = np.arange(block_out)[:, None] * block_in / block_out
    distance = inputs - (outputs - delay)

    kernel = np.zeros(distance.shape, np.float32)
    inside = np.abs(distance) < delay
    near = distance[inside]
    cutoff = 2 * _CUTOFF * lower_hz / from_hz
    window = np.i0(_KAISER_BETA * np.sqrt(1 - (near / delay) ** 2)) / np.i0(_KAISER_BETA)
    kernel[inside] = cutoff * np.sinc(cutoff * near) * window
    return _Filter(block_in, history, ceil(delay), kernel)
