"""What a speech service streams, turned into chunks of audio as it comes. Pure."""

from contextlib import suppress
from dataclasses import replace

from evibridge.audio.resample import Resampler
from evibridge.audio.wav import Wav, mono_pcm16, parse_wav
from evibridge.engine.voices.voice import RATE_HZ
from evibridge.errors import BadAudio

_BYTES_PER_MS = 2 * RATE_HZ // 1000
_FIRST_CHUNK_BYTES = 100 * _BYTES_PER_MS  # heard as early as may be
_CHUNK_BYTES = 200 * _BYTES_PER_MS

# Ten times what a piece of `sentences` lasts: a service that never ends is broken.
_MAX_BYTES = 120_000 * _BYTES_PER_MS

# What services send who ignore that raw audio was asked for: text, MP3, AAC, Ogg, FLAC. Raw audio
# begins with near silence and never looks like these.
_NOT_RAW = (
    b'{"', b"{\n", b"{ ", b"<!", b"<h", b"ID3", b"OggS", b"fLaC",
    b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1", b"\xff\xf9",
)  # fmt: skip
_SIGNATURE_BYTES = 4
_MAX_HEADER_BYTES = 4096


class SpeechDecoder:
    """Takes the bytes of an answer, cut anywhere, and gives int16 mono PCM at 48 kHz.

    The answer is raw int16 mono PCM, or a WAV file, which says its rate itself. The lengths in a
    WAV header are ignored: those of a file that is streamed are wrong.

    Args:
        rate_hz: of raw audio

    Raises:
        BadAudio: a rate that cannot be converted
    """

    def __init__(self, rate_hz: int) -> None:
        self._form = Wav(rate_hz, 1, 2, b"")
        self._resampler = Resampler(rate_hz, RATE_HZ)
        self._begun = False  # it is known where the samples begin
        self._undecoded = b""
        self._ready = b""
        self._decoded_bytes = 0
        self._chunk_bytes = _FIRST_CHUNK_BYTES

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; return the chunks that are complete with them.

        Returns:
            a first chunk of 100 ms, then chunks of 200 ms

        Raises:
            BadAudio: this is no audio, or not in a form that can be read, or it never ends
        """
        self._undecoded += data
        if not self._begun:
            self._begin()
        if self._begun:
            self._decode()
        chunks = []
        while len(self._ready) >= self._chunk_bytes:
            chunks.append(self._ready[: self._chunk_bytes])
            self._ready = self._ready[self._chunk_bytes :]
            self._chunk_bytes = _CHUNK_BYTES
        return chunks

    def flush(self) -> list[bytes]:
        """Return what is left of an answer that is complete, at most one chunk.

        Raises:
            BadAudio: there was no sample at all
        """
        if not self._decoded_bytes:
            raise BadAudio("The answer ends before its first sample.")
        rest, self._ready = self._ready + self._resampler.flush(), b""
        return [rest] if rest else []

    def _begin(self) -> None:
        """Find out where the samples begin, and in what form they are."""
        head = self._undecoded
        if len(head) < _SIGNATURE_BYTES:
            return
        if head.startswith(_NOT_RAW):
            raise BadAudio("The answer is not the raw audio that was asked for.")
        if head.startswith(b"RIFF"):
            begin = _samples_begin(head)
            if begin is None:
                return
            self._form = parse_wav(head[:begin])
            self._resampler = Resampler(self._form.rate_hz, RATE_HZ)
            self._undecoded = head[begin:]
        self._begun = True

    def _decode(self) -> None:
        frame_bytes = self._form.channels * self._form.sample_bytes
        whole = len(self._undecoded) // frame_bytes * frame_bytes
        pcm16 = mono_pcm16(replace(self._form, data=self._undecoded[:whole]))
        self._undecoded = self._undecoded[whole:]
        decoded = self._resampler.process(pcm16)
        self._decoded_bytes += len(decoded)
        if self._decoded_bytes > _MAX_BYTES:
            raise BadAudio("The speech of one sentence goes on for minutes.")
        self._ready += decoded


def _samples_begin(head: bytes) -> int | None:
    """Where the samples of a WAV file begin, None if that has not come yet.

    Raises:
        BadAudio: they should have begun by now
    """
    at = head.find(b"data")
    while at >= 0:
        begin = at + 8  # behind the length
        with suppress(BadAudio):  # the header is not complete, or the letters stand elsewhere in it
            parse_wav(head[:begin])
            return begin
        at = head.find(b"data", at + 1)
    if len(head) > _MAX_HEADER_BYTES:
        raise BadAudio("The answer is a WAV file without samples, or in a form that is not PCM.")
    return None
