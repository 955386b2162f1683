import io
import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.audio.wav import Wav, mono_pcm16, parse_wav, wav_file
from evibridge.errors import BadAudio

PCM, FLOAT, MULAW, EXTENSIBLE = 1, 3, 7, 0xFFFE
GUID_REST = bytes.fromhex("000000001000800000aa00389b71")
SPEECH = struct.pack("<4h", 1, -2, 300, -400)


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return (
        name + struct.pack("<I", len(body) if size is None else size) + body + bytes(len(body) % 2)
    )


def format_chunk(tag: int = PCM, channels: int = 1, rate_hz: int = 48_000, bits: int = 16) -> bytes:
    frame_bytes = channels * bits // 8
    rates = (rate_hz, rate_hz * frame_bytes % 2**32, frame_bytes % 2**16)
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, *rates, bits))


def extensible_format_chunk(tag: int, channels: int, rate_hz: int, bits: int) -> bytes:
    plain = format_chunk(EXTENSIBLE, channels, rate_hz, bits)[8:]
    extension = struct.pack("<HHIH", 22, bits, 0, tag) + GUID_REST
    return chunk(b"fmt ", plain + extension)


def riff(*chunks: bytes, size: int = 0) -> bytes:
    return b"RIFF" + struct.pack("<I", size) + b"WAVE" + b"".join(chunks)


def mono(samples: bytes, *, tag: int = PCM, bits: int = 16, channels: int = 1) -> list[int]:
    file = riff(format_chunk(tag, channels, 16_000, bits), chunk(b"data", samples))
    pcm16 = mono_pcm16(parse_wav(file))
    return list(struct.unpack(f"<{len(pcm16) // 2}h", pcm16))


def test_the_header_says_how_to_read_the_samples() -> None:
    wav = parse_wav(riff(format_chunk(channels=2, rate_hz=44_100), chunk(b"data", SPEECH)))

    assert wav == Wav(rate_hz=44_100, channels=2, sample_bytes=2, data=SPEECH)


def test_chunks_before_and_after_the_samples_are_passed_over() -> None:
    odd_sized = chunk(b"LIST", b"INFOx")
    file = riff(
        odd_sized,
        format_chunk(),
        chunk(b"fact", bytes(4)),
        odd_sized,
        chunk(b"data", SPEECH),
        odd_sized,
    )

    assert parse_wav(file).data == SPEECH


def test_the_extensible_format_names_its_sub_format() -> None:
    file = riff(extensible_format_chunk(FLOAT, 1, 48_000, 32), chunk(b"data", bytes(8)))

    assert parse_wav(file) == Wav(48_000, 1, 4, bytes(8), is_float=True)


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFDB, len(SPEECH) + 2])
def test_a_file_that_lies_about_its_length_is_read_to_its_end(claimed: int) -> None:
    file = riff(format_chunk(), chunk(b"data", SPEECH, size=claimed), size=claimed)

    assert parse_wav(file).data == SPEECH


def test_a_header_without_samples_is_an_empty_recording() -> None:
    wav = parse_wav(riff(format_chunk(), chunk(b"data", b"")))

    assert wav.rate_hz == 48_000
    assert mono_pcm16(wav) == b""


@pytest.mark.parametrize(("there", "whole"), [(8, 8), (7, 4), (6, 4), (5, 4), (3, 0)])
def test_half_a_frame_at_the_end_is_dropped(there: int, whole: int) -> None:
    file = riff(format_chunk(channels=2)) + struct.pack("<4sI", b"data", 8) + SPEECH[:there]

    assert parse_wav(file).data == SPEECH[:whole]


def test_samples_are_not_copied_while_parsing() -> None:
    file = riff(format_chunk(), chunk(b"data", SPEECH))

    view = parse_wav(file).data

    assert isinstance(view, memoryview)
    assert view.obj is file


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"", "does not begin with RIFF and WAVE"),
        (b"RIFF", "does not begin with RIFF and WAVE"),
        (b"OggS" + bytes(40), "does not begin with RIFF and WAVE"),
        (b"RIFF\0\0\0\0AVI " + bytes(40), "does not begin with RIFF and WAVE"),
        (riff(), "ends before its data chunk"),
        (riff(format_chunk()), "ends before its data chunk"),
        (riff(format_chunk(), b"data\x04"), "ends before its data chunk"),
        (riff(format_chunk(), chunk(b"LIST", b"", size=9999)), "ends before its data chunk"),
        (riff(chunk(b"data", SPEECH), format_chunk()), "no fmt chunk before its samples"),
        (riff(chunk(b"fmt ", bytes(14)), chunk(b"data", SPEECH)), "14 bytes instead of 16"),
        (riff(format_chunk(tag=MULAW, bits=8)), "8-bit samples of format 0x0007"),
        (riff(format_chunk(tag=EXTENSIBLE)), "16-bit samples of format 0xfffe"),
        (riff(extensible_format_chunk(MULAW, 1, 8_000, 8)), "8-bit samples of format 0x0007"),
        (riff(format_chunk(bits=12)), "12-bit samples of format 0x0001"),
        (riff(format_chunk(tag=FLOAT, bits=64)), "64-bit samples of format 0x0003"),
        (riff(format_chunk(channels=0)), "0 channels"),
        (riff(format_chunk(rate_hz=0)), "rate of 0 Hz"),
        (riff(format_chunk(rate_hz=7_999)), "rate of 7999 Hz"),
        (riff(format_chunk(rate_hz=4_000_000_000)), "rate of 4000000000 Hz"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(file: bytes, reason: str) -> None:
    with pytest.raises(BadAudio, match=reason):
        parse_wav(file)


def test_16_bit_mono_is_taken_as_it_is() -> None:
    assert mono(SPEECH) == [1, -2, 300, -400]


def test_8_bit_samples_are_unsigned() -> None:
    assert mono(bytes([0, 127, 128, 255]), bits=8) == [-32768, -256, 0, 32512]


def test_of_24_and_32_bit_samples_the_upper_16_bits_count() -> None:
    wide = struct.pack("<3i", 0x12345678, -0x12345678, -(2**31))
    packed = b"".join(wide[at + 1 : at + 4] for at in range(0, 12, 4))

    assert mono(wide, bits=32) == [0x1234, -0x1235, -32768]
    assert mono(packed, bits=24) == [0x1234, -0x1235, -32768]


def test_float_samples_are_scaled_and_clipped() -> None:
    samples = struct.pack("<6f", 0.5, -0.5, 1.0, -1.0, 7.0, -7.0)

    assert mono(samples, tag=FLOAT, bits=32) == [16384, -16384, 32767, -32768, 32767, -32768]


def test_a_float_that_is_no_number_is_silent() -> None:
    samples = struct.pack("<3f", float("nan"), float("inf"), float("-inf"))

    assert mono(samples, tag=FLOAT, bits=32) == [0, 32767, -32768]


def test_channels_are_averaged() -> None:
    assert mono(struct.pack("<4h", 100, 200, -32768, -32768), channels=2) == [150, -32768]
    assert mono(struct.pack("<6h", 32767, 32767, 32767, 1, 1, 0), channels=3) == [32767, 1]
    assert mono(bytes([0, 255]), bits=8, channels=2) == [-128]


@given(st.lists(st.integers(-32768, 32767)), st.sampled_from([8_000, 16_000, 48_000]))
def test_what_is_written_is_read_back(values: list[int], rate_hz: int) -> None:
    pcm16 = np.array(values, np.int16).tobytes()

    assert parse_wav(wav_file(pcm16, rate_hz)) == Wav(rate_hz, 1, 2, pcm16)


def test_other_programs_read_what_is_written() -> None:
    with wave.open(io.BytesIO(wav_file(SPEECH, 8_000, channels=2))) as reader:
        assert reader.getparams()[:4] == (2, 2, 8_000, 2)
        assert reader.readframes(2) == SPEECH


def test_the_header_that_is_written_is_true() -> None:
    file = wav_file(SPEECH, 48_000)

    assert struct.unpack_from("<HHIIHH", file, 20) == (PCM, 1, 48_000, 96_000, 2, 16)
    assert struct.unpack_from("<I", file, 4) == (len(file) - 8,)
    assert struct.unpack_from("<I", file, 40) == (len(SPEECH),)
    assert len(file) == 44 + len(SPEECH)


def test_half_a_frame_is_not_written() -> None:
    with pytest.raises(BadAudio, match="of 2 channels needs a multiple of 4 bytes, not 6"):
        wav_file(SPEECH[:6], 48_000, channels=2)


READABLE = [
    wav_file(SPEECH, 48_000),
    riff(format_chunk(PCM, 2, 16_000, 24), chunk(b"fact", bytes(4)), chunk(b"data", bytes(12))),
    riff(extensible_format_chunk(FLOAT, 3, 44_100, 32), chunk(b"data", bytes(24))),
    riff(chunk(b"LIST", b"odd"), format_chunk(PCM, 1, 8_000, 8), chunk(b"data", bytes(3), size=0)),
]


@given(
    st.sampled_from(READABLE),
    st.dictionaries(st.integers(0, 99), st.integers(0, 255), max_size=6),
    st.integers(0, 100),
    st.binary(max_size=40),
)
def test_a_damaged_file_is_either_read_or_refused(
    file: bytes, damage: dict[int, int], length: int, appended: bytes
) -> None:
    damaged = bytearray(file)
    for position, octet in damage.items():
        damaged[position % len(damaged)] = octet

    try:
        wav = parse_wav(bytes(damaged[:length]) + appended)
    except BadAudio:
        return

    assert len(mono_pcm16(wav)) * wav.channels * wav.sample_bytes == len(wav.data) * 2


@given(st.binary(max_size=200))
def test_any_bytes_as_float_samples_become_samples(samples: bytes) -> None:
    assert len(mono(samples, tag=FLOAT, bits=32)) == len(samples) // 4
