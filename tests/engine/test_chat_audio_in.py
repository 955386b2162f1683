import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.audio.wav import wav_file
from evibridge.engine.audio_in import (
    BYTES_PER_MS,
    KEPT_MS,
    MAX_WAV_HEAD_BYTES,
    CallerAudio,
    RecentAudio,
    WholeFile,
)
from evibridge.engine.chat_settings import AudioFormat
from evibridge.errors import BadAudio


def tone(rate_hz: int, seconds: float = 0.2) -> bytes:
    """A 440 Hz tone as int16 mono PCM."""
    angle = 2 * np.pi * 440 * np.arange(int(rate_hz * seconds)) / rate_hz
    return (8000 * np.sin(angle)).astype(np.int16).tobytes()


def announced(rate_hz: int, channels: int = 1) -> CallerAudio:
    audio = CallerAudio()
    audio.announce(AudioFormat(rate_hz, channels))
    return audio


def is_the_tone(pcm16: bytes) -> bool:
    """At 16 kHz; the resampler's delay is skipped."""
    spectrum = np.abs(np.fft.rfft(np.frombuffer(pcm16, np.int16)[800:2400]))
    return int(np.argmax(spectrum)) == 44


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000])
def test_any_rate_becomes_16_khz(rate_hz: int) -> None:
    assert is_the_tone(announced(rate_hz).decode(tone(rate_hz)))


def test_channels_are_mixed_into_one() -> None:
    left_right = np.array([[100, 300], [-100, -300]] * 160, np.int16)

    mono = np.frombuffer(announced(16000, 2).decode(left_right.tobytes()), np.int16)

    assert mono.tolist() == [200, -200] * 160


@given(st.lists(st.integers(1, 700), max_size=30), st.sampled_from([1, 2]))
def test_messages_may_be_cut_anywhere(sizes: list[int], channels: int) -> None:
    stream = tone(16000, 0.3)
    audio = announced(16000, channels)
    out, at = b"", 0
    for size in sizes:
        out += audio.decode(stream[at : at + size])
        at += size

    assert announced(16000, channels).decode(stream[: min(at, len(stream))]) == out


def test_a_format_can_change() -> None:
    audio = announced(8000)
    audio.decode(tone(8000))
    audio.announce(AudioFormat(48000, 1))

    assert is_the_tone(audio.decode(tone(48000)))


def test_announcing_the_same_format_again_leaves_the_stream_whole() -> None:
    audio = announced(16000)
    first = audio.decode(tone(16000)[:101])
    audio.announce(AudioFormat(16000, 1))

    assert first + audio.decode(tone(16000)[101:]) == tone(16000)


@pytest.mark.parametrize(
    "audio", [AudioFormat(7999, 1), AudioFormat(96000, 1), AudioFormat(8000, 0)]
)
def test_a_format_out_of_range_is_refused_and_the_one_before_stays(audio: AudioFormat) -> None:
    caller = announced(16000)

    with pytest.raises(BadAudio):
        caller.announce(audio)

    assert is_the_tone(caller.decode(tone(16000)))


def test_audio_of_an_unknown_format_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadAudio, match="session_settings"):
        CallerAudio().decode(tone(16000))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=10))
def test_a_wav_header_announces_the_format_however_it_is_cut(sizes: list[int]) -> None:
    stream = wav_file(tone(8000), 8000)
    stream = stream[:36] + b"LIST\x03\x00\x00\x00abc\x00" + stream[36:]
    audio = CallerAudio()
    out, at = b"", 0
    for size in [*sizes, len(stream)]:
        out += audio.decode(stream[at : at + size])
        at += size

    assert out == announced(8000).decode(tone(8000))


def test_a_stereo_wav_may_be_cut_inside_its_first_frame() -> None:
    stereo = np.array([[100, 300]] * 320, np.int16).tobytes()
    stream = wav_file(stereo, 16000, channels=2)
    audio = CallerAudio()

    out = audio.decode(stream[:47]) + audio.decode(stream[47:])

    assert np.frombuffer(out, np.int16).tolist() == [200] * 320


def test_a_wav_of_other_samples_is_refused() -> None:
    eight_bit = bytearray(wav_file(bytes(100), 8000))
    eight_bit[34] = 8

    with pytest.raises(BadAudio, match="16-bit"):
        CallerAudio().decode(bytes(eight_bit))


def test_an_endless_wav_header_is_given_up() -> None:
    audio = CallerAudio()
    assert audio.decode(b"RIFF" + bytes(MAX_WAV_HEAD_BYTES - 4)) == b""

    with pytest.raises(BadAudio):
        audio.decode(b"\0")


def test_a_whole_file_at_once_is_refused_and_the_stream_goes_on() -> None:
    audio = announced(8000)

    with pytest.raises(WholeFile):
        audio.decode(bytes(2 * 8000 * 10 + 2))

    assert is_the_tone(audio.decode(tone(8000)))


@given(st.lists(st.binary(max_size=60) | st.just(wav_file(bytes(64), 8000)), max_size=6))
def test_rubbish_raises_nothing_but_bad_audio(pieces: list[bytes]) -> None:
    audio = CallerAudio()
    for piece in pieces:
        try:
            out = audio.decode(piece)
        except BadAudio:
            out = b""
        assert len(out) % 2 == 0


def test_recent_audio_is_found_by_its_position() -> None:
    recent = RecentAudio()
    for ms in range(100):
        recent.append(bytes([ms]) * BYTES_PER_MS)

    assert recent.end_ms == 100
    assert recent.between(40, 42) == bytes([40]) * BYTES_PER_MS + bytes([41]) * BYTES_PER_MS

    recent.forget_before(41)
    recent.forget_before(30)
    assert recent.between(40, 42) == bytes([41]) * BYTES_PER_MS
    assert recent.between(0, 20) == b""
    assert recent.end_ms == 100

    recent.forget_before(500)
    assert recent.end_ms == 100
    assert recent.between(0, 100) == b""


def test_no_more_than_the_limit_is_kept() -> None:
    recent = RecentAudio()
    for _ in range(10):
        recent.append(bytes(KEPT_MS * BYTES_PER_MS // 4))

    assert recent.end_ms == KEPT_MS // 4 * 10
    assert len(recent.between(0, recent.end_ms)) == KEPT_MS * BYTES_PER_MS
