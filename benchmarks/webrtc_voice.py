"""A voice that codecs take for speech; a tone would be taken for silence after a second."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from evibridge.audio.opus import OpusEncoder

PACKET_RATE_HZ = 48_000
FRAME_MS = 20
LEVEL = 4_000


BURST_EVERY = 25
BURST_GAINS = (*[3.0] * 5, *[0.1] * 3, *[0.7] * 9, *[0.1] * 3, *[0.7] * 5)
"""Of its frames. A voice that goes on without syllables is taken for silence as well."""
BURST_LEVEL = 14_000
"""Between what is loud and the rest."""


@cache
def voice(ms: int, rate_hz: int) -> bytes:
    """Syllables of a changing pitch: int16 mono PCM."""
    syllables = 0.15 + 0.85 * (np.sin(23 * _times_s(ms, rate_hz)) > -0.3)
    return _pcm16(syllables * _vowel(ms, rate_hz))


@cache
def voice_packets(count: int) -> tuple[bytes, ...]:
    """The same as Opus packets of 20 ms."""
    return _packets(voice(FRAME_MS * count, PACKET_RATE_HZ))


@cache
def burst_packets(count: int) -> tuple[bytes, ...]:
    """A voice as Opus packets, that is louder from every 25th packet on for a moment."""
    frame = PACKET_RATE_HZ * FRAME_MS // 1000
    gains = np.repeat(np.resize(BURST_GAINS, count), frame)
    return _packets(_pcm16(gains * _vowel(FRAME_MS * count, PACKET_RATE_HZ)))


def _times_s(ms: int, rate_hz: int) -> NDArray[np.float64]:
    return np.arange(rate_hz * ms // 1000) / rate_hz


def _vowel(ms: int, rate_hz: int) -> NDArray[np.float64]:
    pitch_hz = 150 + 40 * np.sin(8 * _times_s(ms, rate_hz))
    phase = np.cumsum(2 * np.pi * pitch_hz / rate_hz)
    waves: NDArray[np.float64] = np.sum([np.sin(k * phase) / k for k in range(1, 12)], axis=0)
    return LEVEL * waves


def _pcm16(sound: NDArray[np.float64]) -> bytes:
    return sound.astype(np.int16).tobytes()


def _packets(pcm16: bytes) -> tuple[bytes, ...]:
    encoder = OpusEncoder(PACKET_RATE_HZ)
    size = 2 * PACKET_RATE_HZ * FRAME_MS // 1000
    packets = [encoder.encode(pcm16[at : at + size]) for at in range(0, len(pcm16), size)]
    assert all(packets), "the codec took some of it for silence"
    return tuple(packet for packet in packets if packet is not None)
