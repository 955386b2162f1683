"""WAV files in memory: read what strangers send, write what everybody reads."""

import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from evibridge.audio.resample import MAX_RATE_HZ, MIN_RATE_HZ
from evibridge.errors import BadAudio

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_SAMPLE_BITS = {_PCM: (8, 16, 24, 32), _FLOAT: (32,)}
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHI6xH")
_FORMAT_BYTES = 26
"""Of a format chunk, as much as is looked at."""


@dataclass(slots=True)  # not frozen: that doubles what it costs to build one for each chunk
class Wav:
    """Samples as they stand in a WAV file: little-endian, channels interleaved, whole frames.

    Integers are signed, except that `sample_bytes` 1 is unsigned; `is_float` is 32-bit only.
    """

    rate_hz: int
    channels: int
    sample_bytes: int
    data: bytes | memoryview
    is_float: bool = False


def parse_wav(data: bytes) -> Wav:
    """Read a WAV file; its samples are a view of `data`, not a copy.

    The lengths in a header are often wrong, since live streams are written before their length is
    known. So the RIFF length is ignored, and a data chunk of length 0, or longer than what is
    there, goes to the end. Half a frame at the end is dropped.

    Raises:
        BadAudio: not a WAV file, compressed, damaged before the samples, or of an unusable rate
    """
    if not (data.startswith(b"RIFF") and data.startswith(b"WAVE", 8)):
        raise BadAudio("This is not a WAV file: it does not begin with RIFF and WAVE.")
    view = memoryview(data)
    form: tuple[int, int, int, bool] | None = None
    at = 12
    while at + 8 <= len(view):
        name, size = _CHUNK.unpack_from(view, at)
        at += 8
        if name == b"fmt ":
            form = _parse_format(data[at : at + min(size, _FORMAT_BYTES)])
        elif name == b"data":
            if form is None:
                raise BadAudio("This WAV file has no fmt chunk before its samples.")
            end = at + size if size else len(view)
            rate_hz, channels, sample_bytes, is_float = form
            end = min(end, len(view))
            whole_end = end - (end - at) % (channels * sample_bytes)
            return Wav(rate_hz, channels, sample_bytes, view[at:whole_end], is_float)
        at += size + size % 2  # chunks begin at even offsets
    raise BadAudio("This WAV file ends before its data chunk.")


def mono_pcm16(wav: Wav) -> bytes | memoryview:
    """The samples as int16 mono PCM at `wav.rate_hz`; channels are averaged.

    Samples that are int16 mono already are not copied.
    """
    if wav.sample_bytes == 2 and wav.channels == 1:
        return wav.data
    samples = _int16_samples(wav)
    if wav.channels > 1:
        samples = samples.reshape(-1, wav.channels).mean(axis=1).round().astype(np.int16)
    return samples.tobytes()


def wav_file(pcm16: bytes, rate_hz: int, channels: int = 1) -> bytes:
    """A complete WAV file of int16 PCM, channels interleaved, with a 44-byte header.

    Raises:
        BadAudio: half a frame at the end
    """
    frame_bytes = 2 * channels
    if len(pcm16) % frame_bytes:
        raise BadAudio(
            f"16-bit audio of {channels} channels needs a multiple of {frame_bytes} bytes, "
            f"not {len(pcm16)}."
        )
    form = struct.pack("<HHIIHH", _PCM, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, 16)
    riff_bytes = 4 + 8 + len(form) + 8 + len(pcm16)
    return b"".join(
        (
            struct.pack("<4sI4s4sI", b"RIFF", riff_bytes, b"WAVE", b"fmt ", len(form)),
            form,
            struct.pack("<4sI", b"data", len(pcm16)),
            pcm16,
        )
    )


@lru_cache(maxsize=64)  # a server's chunks all begin alike
def _parse_format(chunk: bytes) -> tuple[int, int, int, bool]:
    """Rate, channels, bytes of a sample, and whether these are floats."""
    if len(chunk) < 16:
        raise BadAudio(f"The fmt chunk of this WAV file has {len(chunk)} bytes instead of 16.")
    tag, channels, rate_hz, bits = _FORMAT.unpack_from(chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack_from("<H", chunk, 24)  # the sub-format's GUID begins with the tag
    if bits not in _SAMPLE_BITS.get(tag, ()):
        raise BadAudio(
            f"This WAV file holds {bits}-bit samples of format {tag:#06x}: "
            "use PCM of 8, 16, 24 or 32 bits, or 32-bit float."
        )
    if channels == 0:
        raise BadAudio("This WAV file claims to have 0 channels.")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise BadAudio(
            f"This WAV file claims a rate of {rate_hz} Hz: "
            f"use one from {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz."
        )
    return rate_hz, channels, bits // 8, tag == _FLOAT


def _int16_samples(wav: Wav) -> NDArray[np.int16]:
    """All channels, still interleaved; of more than 16 bits the upper 16 count."""
    if wav.is_float:
        numbers = np.nan_to_num(np.frombuffer(wav.data, np.float32))
        return (np.clip(numbers, -1, 32767 / 32768) * 32768).round().astype(np.int16)
    if wav.sample_bytes == 1:
        return (np.frombuffer(wav.data, np.uint8).astype(np.int16) - 128) << 8
    octets = np.frombuffer(wav.data, np.uint8).reshape(-1, wav.sample_bytes)
    return octets[:, -2:].copy().view(np.int16).reshape(-1)
