import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.audio.wav import wav_file
from evibridge.engine.chat.chat_settings import AudioFormat
from evibridge.engine.hearing.audio_in import (
    BYTES_PER_MS,
    KEPT_MS,
    MAX_WAV_HEAD_BYTES,
    CallerAudio,
    RecentAudio,
    WholeFile,
)
from evibridge.errors import BadAudio
from tests.engine.recorded import chromium_webm, firefox_ogg, firefox_webm

CLUSTER = b"\x1f\x43\xb6\x75"
"""The element of WebM that begins a run of audio."""
RECORDINGS = [chromium_webm(), firefox_webm(), firefox_ogg()]


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


def wav_of(samples: bytes, sample_bits: int, *, is_float: bool = False) -> bytes:
    """16 kHz mono with samples that `wav_file` does not write."""
    wav = bytearray(wav_file(b"", 16000) + samples)
    wav[20] = 3 if is_float else 1
    wav[34] = sample_bits
    return bytes(wav)


@pytest.mark.parametrize(
    "wav",
    [
        wav_of(bytes([128 + 64, 128 - 64]), 8),
        wav_of(b"\x00\x00\x40\x00\x00\xc0", 24),
        wav_of(np.array([0.5, -0.5], np.float32).tobytes(), 32, is_float=True),
    ],
)
def test_a_wav_may_hold_other_samples_than_16_bits(wav: bytes) -> None:
    audio = CallerAudio()

    out = audio.decode(wav[:47]) + audio.decode(wav[47:])

    assert np.frombuffer(out, np.int16).tolist() == [16384, -16384]


def test_a_wav_of_a_rate_out_of_range_is_refused() -> None:
    with pytest.raises(BadAudio, match="8000 to 48000"):
        CallerAudio().decode(wav_file(bytes(100), 96000))


def test_an_endless_wav_header_is_given_up() -> None:
    audio = CallerAudio()
    header = wav_file(b"", 8000)[:36]
    assert audio.decode(header + bytes(MAX_WAV_HEAD_BYTES - len(header))) == b""

    with pytest.raises(BadAudio):
        audio.decode(b"\0")


def test_a_stream_with_a_fault_is_refused_until_the_next_header() -> None:
    audio = CallerAudio()
    with pytest.raises(BadAudio) as first:
        audio.decode(wav_file(bytes(100), 96000))
    with pytest.raises(BadAudio) as second:
        audio.decode(bytes(100))

    assert str(first.value) == str(second.value)
    assert is_the_tone(audio.decode(wav_file(tone(16000), 16000)))


def test_a_stream_with_a_fault_is_refused_until_the_next_announcement() -> None:
    audio = announced(16000)
    with pytest.raises(BadAudio):
        audio.decode(wav_file(bytes(100), 96000))
    audio.announce(AudioFormat(16000, 1))

    assert is_the_tone(audio.decode(tone(16000)))


@pytest.mark.parametrize("recording", RECORDINGS)
def test_what_browsers_record_needs_no_announcement(recording: list[bytes]) -> None:
    audio = CallerAudio()

    assert is_the_tone(b"".join(audio.decode(piece) for piece in recording))


@pytest.mark.parametrize("recording", [chromium_webm(), firefox_webm()])
def test_each_piece_of_a_recording_is_heard_at_once(recording: list[bytes]) -> None:
    audio = CallerAudio()
    heard_ms = [len(audio.decode(piece)) // BYTES_PER_MS for piece in recording]

    assert min(heard_ms[1:-1]) >= 100  # as much as each piece was recorded in
    assert heard_ms[0] >= 60


@given(st.sampled_from(RECORDINGS), st.lists(st.integers(0, 2800), max_size=20))
def test_a_recording_may_be_cut_anywhere(recording: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(recording)
    audio = CallerAudio()
    out = b"".join(
        audio.decode(stream[begin:end]) for begin, end in pairwise(sorted([0, *cuts, len(stream)]))
    )

    assert out == CallerAudio().decode(stream)


@pytest.mark.parametrize("header", [wav_file(tone(8000), 8000), b"".join(firefox_webm())])
def test_a_header_is_believed_more_than_an_announcement(header: bytes) -> None:
    assert is_the_tone(announced(48000, 2).decode(header))


def test_repeated_settings_leave_a_recording_whole() -> None:
    audio = announced(48000)
    recording = chromium_webm()
    out = audio.decode(recording[0])
    audio.announce(AudioFormat(48000, 1))

    out += b"".join(audio.decode(piece) for piece in recording[1:])

    assert out == CallerAudio().decode(b"".join(recording))


def test_a_new_announcement_ends_a_recording() -> None:
    audio = announced(48000)
    audio.decode(chromium_webm()[0])
    audio.announce(AudioFormat(16000, 1))

    assert is_the_tone(audio.decode(tone(16000)))


@pytest.mark.parametrize("recording", RECORDINGS)
def test_a_restarted_recorder_is_followed(recording: list[bytes]) -> None:
    whole = b"".join(recording)
    audio = CallerAudio()
    audio.decode(whole[:-10])

    assert audio.decode(whole) == CallerAudio().decode(whole)


def test_each_message_may_be_a_wav_of_its_own() -> None:
    audio = CallerAudio()
    samples = tone(16000)

    out = b"".join(
        audio.decode(wav_file(samples[at : at + 640], 16000)) for at in range(0, len(samples), 640)
    )

    assert out == samples


def test_a_first_message_too_short_to_tell_is_kept() -> None:
    audio = CallerAudio()
    assert audio.decode(b"RIFF") == b""

    with pytest.raises(BadAudio, match="session_settings"):
        audio.decode(b"\0\0\0\0AVI ")


def test_two_recordings_in_one_message_are_refused() -> None:
    with pytest.raises(BadAudio, match="message of its own"):
        CallerAudio().decode(b"".join(chromium_webm()) * 2)


@pytest.mark.parametrize("recording", [chromium_webm(), firefox_webm()])
def test_a_whole_recording_at_once_is_refused_before_it_is_read_to_its_end(
    recording: list[bytes],
) -> None:
    head, cluster, audio = b"".join(recording).partition(CLUSTER)

    with pytest.raises(WholeFile):
        CallerAudio().decode(head + (cluster + audio) * 12 + bytes(16_000_000))


def test_without_an_opus_decoder_each_piece_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opuslib_next", None)
    audio = CallerAudio()

    for piece in chromium_webm():
        with pytest.raises(BadAudio, match="opuslib-next-bundled"):
            audio.decode(piece)


def test_a_whole_file_at_once_is_refused_and_the_stream_goes_on() -> None:
    audio = announced(8000)

    with pytest.raises(WholeFile):
        audio.decode(bytes(2 * 8000 * 10 + 2))

    assert is_the_tone(audio.decode(tone(8000)))


HEADERS = [wav_file(bytes(64), 8000), chromium_webm()[0], b"".join(firefox_ogg())]


@given(st.lists(st.binary(max_size=60) | st.sampled_from(HEADERS), max_size=6))
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
