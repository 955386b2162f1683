import array
import math

import pytest

from evibridge.audio.level import SOUND_RMS, is_sound

RATE_HZ = 8000


def tone(dbfs: float, *, duration_ms: int = 20) -> bytes:
    """A sine whose effective value is so far below that of a constant full scale."""
    peak = 32768 * 10 ** (dbfs / 20) * math.sqrt(2)
    samples = range(RATE_HZ * duration_ms // 1000)
    return array.array(
        "h", [round(peak * math.sin(2 * math.pi * 440 * n / RATE_HZ)) for n in samples]
    ).tobytes()


def constant(value: int) -> bytes:
    return array.array("h", [value] * 160).tobytes()


@pytest.mark.parametrize("dbfs", [-39, -30, -20, -6])
def test_speech_is_sound_however_quiet_its_speaker(dbfs: float) -> None:
    assert is_sound(tone(dbfs))


@pytest.mark.parametrize("dbfs", [-41, -50, -70])
def test_the_noise_of_a_line_is_no_sound(dbfs: float) -> None:
    assert not is_sound(tone(dbfs))


def test_the_limit_itself_is_sound() -> None:
    assert is_sound(constant(SOUND_RMS))
    assert not is_sound(constant(SOUND_RMS - 1))


def test_loudness_has_no_sign() -> None:
    assert is_sound(constant(-SOUND_RMS))


@pytest.mark.parametrize("pcm16", [b"", bytes(320)])
def test_silence_is_no_sound_nor_is_no_audio_at_all(pcm16: bytes) -> None:
    assert not is_sound(pcm16)
