"""The caller's audio on its way in: whatever the client sends to 16 kHz mono.

A stream either begins with a header that describes it (WAV, WebM/Opus, Ogg/Opus), or is PCM whose
format was announced. Where the two disagree the header is right: the program that made the bytes
wrote it, while an announcement is a line in somebody's settings.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from evibridge.audio.resample import Resampler
from evibridge.audio.wav import Wav, mono_pcm16, parse_wav
from evibridge.engine.chat.chat_settings import AudioFormat
from evibridge.engine.hearing.ogg import OggReader
from evibridge.engine.hearing.opus import DECODED_RATE_HZ, OpusDecoder, OpusHead, packet_samples
from evibridge.engine.hearing.webm import WebmReader
from evibridge.errors import BadAudio

HEARING_RATE_HZ = DECODED_RATE_HZ
BYTES_PER_MS = 2 * HEARING_RATE_HZ // 1000
MIN_RATE_HZ = 8_000
MAX_RATE_HZ = 48_000
"""The rates seen in official code lie between these two (UNCONFIRMED U18)."""
MAX_CHANNELS = 8
MAX_MESSAGE_S = 10.0
"""More audio in one message is a file, not a stream; decoding it would hold up other chats."""
MAX_WAV_HEAD_BYTES = 4096
KEPT_MS = 32_000
"""A recogniser takes 30 s at most; the rest covers the silence that ends an utterance."""

_HEADER = re.compile(rb"RIFF....WAVE|\x1A\x45\xDF\xA3|OggS\0\x02", re.DOTALL)
"""The first bytes of WAV, of WebM, and of the first page of Ogg."""
_HEADER_BYTES = 12
_MAGIC = (b"RIFF", b"\x1a\x45\xdf\xa3", b"OggS\0\x02")
_NO_FORMAT = (
    "Send session_settings with audio (encoding linear16, sample_rate, channels) before the first "
    "audio, or begin with the header of a WAV, WebM/Opus or Ogg/Opus stream."
)


class WholeFile(BadAudio):
    """One message holds more audio than a live stream could."""

    def __init__(self) -> None:
        super().__init__(f"Stream audio as it is spoken, not {MAX_MESSAGE_S:g} s at once.")


class CallerAudio:
    """Decodes the wire's audio, whatever its rate, channels and message length."""

    def __init__(self) -> None:
        self._announced: AudioFormat | None = None
        self._stream: _Stream | None = None
        self._head = b""
        """Less than `_HEADER_BYTES`, which the next message may complete to a header."""
        self._fault = _NO_FORMAT
        """What is said of audio while there is no stream."""

    def announce(self, audio: AudioFormat) -> None:
        """Take all that follows as PCM of this format, also in mid-stream (UNCONFIRMED U19).

        A stream with a header goes on when the same format is announced again: clients repeat all
        their settings to change one.

        Raises:
            BadAudio: the format cannot be decoded; the one before stays
        """
        if audio == self._announced and self._stream is not None:
            return
        self._stream = _PcmStream(Wav(audio.rate_hz, audio.channels, 2, b""))
        self._announced = audio
        self._head = b""

    def decode(self, data: bytes) -> bytes:
        """Turn the next bytes of the stream into int16 mono PCM at 16 kHz.

        A message that begins with a header begins a new stream, whatever came before it. A fault
        ends a stream that has a header: its place in the bytes is lost. What follows is refused
        with the same sentence until the next header or announcement. Announced PCM goes on.

        Raises:
            WholeFile: more than `MAX_MESSAGE_S` of audio at once; it is dropped
            BadAudio: the bytes cannot be understood; they are dropped
        """
        if self._stream is None:
            data = self._head + data
            self._head = b""
        if _HEADER.match(data):
            self._stream = _stream_with_header(data)
        elif self._stream is None:
            if not _may_become_header(data):
                raise BadAudio(self._fault)
            self._head = data
            return b""
        try:
            return self._stream.decode(data)
        except BadAudio as fault:
            if not isinstance(self._stream, _PcmStream):
                self._stream = None
                self._fault = str(fault)
            raise


def _stream_with_header(data: bytes) -> "_Stream":
    if data.startswith(b"RIFF"):
        return _WavStream()
    return _OpusStream(OggReader() if data.startswith(b"OggS") else WebmReader())


def _may_become_header(data: bytes) -> bool:
    return len(data) < _HEADER_BYTES and any(
        magic.startswith(data[: len(magic)]) for magic in _MAGIC
    )


class _Stream(Protocol):
    def decode(self, data: bytes) -> bytes:
        """Turn the next bytes into int16 mono PCM at 16 kHz."""


class _PcmStream:
    """Interleaved samples without a header, in messages that may be cut anywhere."""

    def __init__(self, form: Wav) -> None:
        if not MIN_RATE_HZ <= form.rate_hz <= MAX_RATE_HZ:
            raise BadAudio(f"sample_rate must be {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz.")
        if not 1 <= form.channels <= MAX_CHANNELS:
            raise BadAudio(f"channels must be 1 to {MAX_CHANNELS}.")
        self._form = form
        self._resampler = Resampler(form.rate_hz, HEARING_RATE_HZ)
        self._part = b""
        """Bytes of a frame that the next message completes."""

    def decode(self, data: bytes) -> bytes:
        data = self._part + data
        self._part = b""
        frame_bytes = self._form.channels * self._form.sample_bytes
        if len(data) > MAX_MESSAGE_S * self._form.rate_hz * frame_bytes:
            raise WholeFile
        whole = len(data) - len(data) % frame_bytes
        self._part = data[whole:]
        return self._resampler.process(mono_pcm16(replace(self._form, data=data[:whole])))


class _WavStream:
    """A WAV file without an end, of any samples that WAV can hold uncompressed."""

    def __init__(self) -> None:
        self._head = b""
        self._samples: _PcmStream | None = None

    def decode(self, data: bytes) -> bytes:
        if self._samples is not None:
            return self._samples.decode(data)
        data = self._head + data
        try:
            form = parse_wav(data)
        except BadAudio:
            if len(data) > MAX_WAV_HEAD_BYTES:
                raise
            self._head = data
            return b""
        self._samples = _PcmStream(form)
        return self._samples.decode(data[_samples_at(data) :])


def _samples_at(wav: bytes) -> int:
    at = 12
    while wav[at : at + 4] != b"data":
        size = int.from_bytes(wav[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return at + 8


class _OpusStream:
    """Opus packets out of a container."""

    def __init__(self, reader: OggReader | WebmReader) -> None:
        self._reader = reader
        self._decoder: OpusDecoder | None = None

    def decode(self, data: bytes) -> bytes:
        return b"".join(self._decoded(data))

    def _decoded(self, data: bytes) -> Iterator[bytes]:
        samples_left = MAX_MESSAGE_S * DECODED_RATE_HZ
        begun = False
        for item in self._reader.feed(data):
            if isinstance(item, OpusHead):
                if begun:
                    raise BadAudio("Begin each recording in a message of its own.")
                begun = True
                self._decoder = OpusDecoder(item)
            else:
                samples_left -= packet_samples(item)
                if samples_left < 0:
                    raise WholeFile
                assert self._decoder is not None  # readers tell the head before any packet
                yield self._decoder.decode(item)


class RecentAudio:
    """The last seconds of what was heard, addressed by position in the audio of the chat."""

    def __init__(self) -> None:
        self._pcm16 = bytearray()
        self._begin_ms = 0

    @property
    def end_ms(self) -> int:
        """How much audio the chat has had so far."""
        return self._begin_ms + len(self._pcm16) // BYTES_PER_MS

    def append(self, pcm16: bytes) -> None:
        """Add int16 mono PCM at 16 kHz; the oldest beyond `KEPT_MS` is forgotten."""
        self._pcm16 += pcm16
        self.forget_before(self.end_ms - KEPT_MS)

    def forget_before(self, position_ms: int) -> None:
        """Free what is older than a position."""
        position_ms = min(position_ms, self.end_ms)
        if position_ms > self._begin_ms:
            del self._pcm16[: (position_ms - self._begin_ms) * BYTES_PER_MS]
            self._begin_ms = position_ms

    def between(self, begin_ms: int, end_ms: int) -> bytes:
        """The audio between two positions, as far as it is still kept."""
        first = max(begin_ms - self._begin_ms, 0) * BYTES_PER_MS
        last = max(end_ms - self._begin_ms, 0) * BYTES_PER_MS
        return bytes(self._pcm16[first:last])
