import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.audio.resample import Resampler
from evibridge.audio.wav import wav_file
from evibridge.engine.voices.speech_decoder import SpeechDecoder
from evibridge.errors import BadAudio
from tests.engine.chat_parts import tone

RATE_HZ = 24_000
OUT_HZ = 48_000
MS_BYTES = 2 * OUT_HZ // 1000
TONE = tone(700, RATE_HZ)


def decoded(*pieces: bytes, rate_hz: int = RATE_HZ) -> list[bytes]:
    decoder = SpeechDecoder(rate_hz)
    chunks = [chunk for piece in pieces for chunk in decoder.feed(piece)]
    return chunks + decoder.flush()


def converted(pcm16: bytes, rate_hz: int) -> bytes:
    resampler = Resampler(rate_hz, OUT_HZ)
    return resampler.process(pcm16) + resampler.flush()


def cut(data: bytes, places: set[int]) -> list[bytes]:
    ends = [0, *sorted(place % len(data) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(ends)]


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("<4sI", name, len(data)) + data


def wav(*chunks: bytes) -> bytes:
    return b"RIFF\0\0\0\0WAVE" + b"".join(chunks)


def form(channels: int = 1, rate_hz: int = RATE_HZ, bits: int = 16, tag: int = 1) -> bytes:
    frame_bytes = channels * bits // 8
    return chunk(
        b"fmt ",
        struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, bits),
    )


PLACES = st.sets(st.integers(0, 100_000), max_size=20)


@given(PLACES)
def test_raw_audio_is_the_same_however_it_is_cut(places: set[int]) -> None:
    assert b"".join(decoded(*cut(TONE, places))) == converted(TONE, RATE_HZ)


@given(PLACES, st.sampled_from([8000, 22_050, 24_000, 44_100, 48_000]))
def test_a_wav_file_says_its_rate_itself_however_it_is_cut(places: set[int], rate_hz: int) -> None:
    pcm16 = tone(400, rate_hz)

    pieces = cut(wav_file(pcm16, rate_hz), places)

    assert b"".join(decoded(*pieces)) == converted(pcm16, rate_hz)


def test_chunks_are_short_first_and_then_longer() -> None:
    lengths = [len(chunk) / MS_BYTES for chunk in decoded(tone(650, RATE_HZ))]

    assert lengths[:3] == [100, 200, 200]
    assert len(lengths) == 4


def test_the_first_chunk_comes_as_soon_as_its_audio_is_there() -> None:
    decoder = SpeechDecoder(RATE_HZ)

    assert decoder.feed(tone(99, RATE_HZ)) == []
    assert [len(chunk) / MS_BYTES for chunk in decoder.feed(tone(1, RATE_HZ))] == [100]


def test_half_a_sample_at_the_end_is_dropped() -> None:
    assert b"".join(decoded(TONE + b"\1")) == converted(TONE, RATE_HZ)


def test_at_48_khz_nothing_is_left_behind_a_whole_chunk() -> None:
    assert [len(chunk) / MS_BYTES for chunk in decoded(tone(100, OUT_HZ), rate_hz=OUT_HZ)] == [100]


@pytest.mark.parametrize("length", [0, 2, 0xFFFFFFFF])
def test_the_length_in_a_wav_header_is_ignored(length: int) -> None:
    file = wav(form(), struct.pack("<4sI", b"data", length), TONE)

    assert b"".join(decoded(file[:1001], file[1001:])) == converted(TONE, RATE_HZ)


def test_the_word_data_in_a_wav_header_is_not_its_samples() -> None:
    file = wav(chunk(b"LIST", b"data of data!!!!"), form(), chunk(b"data", TONE))

    assert b"".join(decoded(*cut(file, {20, 30, 50, 60}))) == converted(TONE, RATE_HZ)


def test_a_stereo_wav_file_is_mixed() -> None:
    left = np.frombuffer(TONE, np.int16)
    stereo = np.stack([left, np.zeros_like(left)], axis=1).tobytes()
    file = wav(form(channels=2), chunk(b"data", stereo))

    mixed = b"".join(decoded(file[:99], file[99:]))

    assert np.abs(np.frombuffer(mixed, np.int16)).max() == pytest.approx(4000, rel=0.02)


@pytest.mark.parametrize(
    "head",
    [
        b'{"error": "no such voice"}',
        b'{\n "error": 1}',
        b"<!doctype html>",
        b"<html>",
        b"ID3\4\0\0",
        b"OggS\0\2",
        b"fLaC\0\0",
        b"\xff\xfb\x90\x64",
        b"\xff\xf1\x50\x80",
    ],
)
def test_what_is_no_raw_audio_is_refused(head: bytes) -> None:
    decoder = SpeechDecoder(RATE_HZ)

    with pytest.raises(BadAudio, match="not the raw audio"):
        decoder.feed(head + bytes(1000))


@pytest.mark.parametrize(
    "pieces", [[], [b""], [b"\1\0\1"], [wav(form())], [wav_file(b"", RATE_HZ)]]
)
def test_an_answer_without_a_sample_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(BadAudio, match="before its first sample"):
        decoded(*pieces)


@pytest.mark.parametrize(
    "file",
    [
        wav(form(tag=0x55, bits=0), chunk(b"data", bytes(9000))),
        wav(chunk(b"LIST", bytes(9000))),
        wav(form(rate_hz=7), chunk(b"data", bytes(9000))),
    ],
)
def test_a_wav_file_that_cannot_be_played_is_refused(file: bytes) -> None:
    with pytest.raises(BadAudio, match="without samples, or in a form that is not PCM"):
        decoded(*cut(file, {100, 2000, 4000}))


def test_speech_that_never_ends_is_refused() -> None:
    decoder = SpeechDecoder(OUT_HZ)
    for _ in range(12):
        decoder.feed(bytes(10_000 * MS_BYTES))

    with pytest.raises(BadAudio, match="goes on for minutes"):
        decoder.feed(b"\0\0")


def test_a_rate_that_cannot_be_converted_is_refused() -> None:
    with pytest.raises(BadAudio):
        SpeechDecoder(100)
