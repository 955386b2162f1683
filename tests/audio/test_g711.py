import struct
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from evibridge.audio import g711
from evibridge.errors import BadAudio

ALL_CODES = bytes(range(256))
ALL_SAMPLES = np.arange(-32768, 32768).astype(np.int16)
MULAW_MINUS_ZERO = 0x7F


def mulaw_level(code: int) -> int:
    """G.711 table 2: a 4-bit mantissa behind a leading one, with a bias, in 8 segments."""
    inverted = ~code & 0xFF
    magnitude = (((inverted & 0x0F) << 3) + 0x84) << ((inverted & 0x70) >> 4)
    return 0x84 - magnitude if inverted & 0x80 else magnitude - 0x84


def alaw_level(code: int) -> int:
    """G.711 table 1: as mu-law without the bias, every other bit inverted, segment 0 linear."""
    even = code ^ 0x55
    segment, mantissa = (even & 0x70) >> 4, even & 0x0F
    half_step = (mantissa << 4) + 8
    magnitude = half_step if segment == 0 else (half_step + 0x100) << (segment - 1)
    return magnitude if even & 0x80 else -magnitude


def samples(pcm16: bytes) -> NDArray[np.int64]:
    return np.frombuffer(pcm16, np.int16).astype(np.int64)


def test_every_mulaw_code_decodes_to_its_level() -> None:
    decoded = samples(g711.mulaw_to_pcm16(ALL_CODES))

    assert decoded.tolist() == [mulaw_level(code) for code in range(256)]


def test_every_alaw_code_decodes_to_its_level() -> None:
    decoded = samples(g711.alaw_to_pcm16(ALL_CODES))

    assert decoded.tolist() == [alaw_level(code) for code in range(256)]


def test_mulaw_survives_a_round_trip_but_for_minus_zero() -> None:
    expected = bytearray(ALL_CODES)
    expected[MULAW_MINUS_ZERO] = g711.MULAW_SILENCE[0]

    assert g711.pcm16_to_mulaw(g711.mulaw_to_pcm16(ALL_CODES)) == expected


def test_alaw_survives_a_round_trip() -> None:
    assert g711.pcm16_to_alaw(g711.alaw_to_pcm16(ALL_CODES)) == ALL_CODES


def mulaw_step(code: int) -> int:
    return 8 << ((~code & 0x70) >> 4)


def alaw_step(code: int) -> int:
    return 16 << max(((code ^ 0x55) & 0x70) >> 4, 1) - 1


@pytest.mark.parametrize(
    ("encode", "level", "step", "lost_bits"),
    [
        pytest.param(g711.pcm16_to_mulaw, mulaw_level, mulaw_step, 2, id="mu-law of 14 bits"),
        pytest.param(g711.pcm16_to_alaw, alaw_level, alaw_step, 3, id="A-law of 13 bits"),
    ],
)
def test_every_sample_is_encoded_within_half_a_step(
    encode: Callable[[bytes], bytes],
    level: Callable[[int], int],
    step: Callable[[int], int],
    lost_bits: int,
) -> None:
    levels = np.array([level(code) for code in range(256)])
    half_steps = np.array([step(code) // 2 for code in range(256)])
    codes = np.frombuffer(encode(ALL_SAMPLES.tobytes()), np.uint8)
    loudest = int(levels.max()) + int(half_steps.max())

    errors = np.abs(levels[codes] - ALL_SAMPLES.astype(np.int64).clip(-loudest, loudest))

    assert (errors <= half_steps[codes] + 2**lost_bits).all()


def test_mulaw_silence_is_silent() -> None:
    assert g711.mulaw_to_pcm16(g711.MULAW_SILENCE * 3) == bytes(6)


@pytest.mark.parametrize("encode", [g711.pcm16_to_mulaw, g711.pcm16_to_alaw])
def test_half_a_sample_is_refused(encode: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadAudio, match="even number of bytes, not 3"):
        encode(struct.pack("<hb", 1, 1))
