"""The caller's audio on its way in: any PCM the client sends to 16 kHz mono. Pure."""

import numpy as np

from evibridge.audio.resample import Resampler
from evibridge.audio.wav import parse_wav
from evibridge.engine.chat_settings import AudioFormat
from evibridge.errors import BadAudio

HEARING_RATE_HZ = 16_000
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


class WholeFile(BadAudio):
    """One message holds more audio than a live stream could."""


class CallerAudio:
    """Decodes the wire's audio, whatever its rate, channels and message length."""

    def __init__(self) -> None:
        self._format: AudioFormat | None = None
        self._resampler = Resampler(HEARING_RATE_HZ, HEARING_RATE_HZ)
        self._part = b""
        """Bytes of a WAV header or of a sample that the next message completes."""

    def announce(self, audio: AudioFormat) -> None:
        """Take all that follows as PCM of this format, also in mid-stream (UNCONFIRMED U19).

        Raises:
            BadAudio: the format cannot be decoded; the one before stays
        """
        if audio == self._format:
            return
        if not MIN_RATE_HZ <= audio.rate_hz <= MAX_RATE_HZ:
            raise BadAudio(f"sample_rate must be {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz.")
        if not 1 <= audio.channels <= MAX_CHANNELS:
            raise BadAudio(f"channels must be 1 to {MAX_CHANNELS}.")
        self._resampler = Resampler(audio.rate_hz, HEARING_RATE_HZ)
        self._format = audio
        self._part = b""

    def decode(self, data: bytes) -> bytes:
        """Turn the next bytes of the stream into int16 mono PCM at 16 kHz.

        Without an announced format the stream must begin with the header of a 16-bit WAV.

        Raises:
            WholeFile: more than `MAX_MESSAGE_S` of audio at once; it is dropped
            BadAudio: the bytes cannot be understood; they are dropped
        """
        data = self._part + data
        self._part = b""
        if self._format is None:
            data = self._behind_wav_header(data)
        if self._format is None:
            return b""
        frame_bytes = 2 * self._format.channels
        if len(data) > MAX_MESSAGE_S * self._format.rate_hz * frame_bytes:
            raise WholeFile(f"Stream audio as it is spoken, not {MAX_MESSAGE_S:g} s at once.")
        whole = len(data) - len(data) % frame_bytes
        data, self._part = data[:whole], data[whole:]
        if self._format.channels > 1:
            frames = np.frombuffer(data, np.int16).reshape(-1, self._format.channels)
            data = frames.mean(axis=1).astype(np.int16).tobytes()
        return self._resampler.process(data)

    def _behind_wav_header(self, data: bytes) -> bytes:
        if not data.startswith(b"RIFF"[: len(data)]):
            raise BadAudio(
                "Send session_settings with audio (encoding linear16, sample_rate, channels) "
                "before the first audio, or begin with a WAV header."
            )
        try:
            wav = parse_wav(data)
        except BadAudio:
            if len(data) > MAX_WAV_HEAD_BYTES:
                raise
            self._part = data
            return b""
        if wav.sample_bytes != 2:
            raise BadAudio("A WAV stream must hold 16-bit PCM.")
        self.announce(AudioFormat(wav.rate_hz, wav.channels))
        start = 12
        while start < len(data) and data[start : start + 4] != b"data":
            size = int.from_bytes(data[start + 4 : start + 8], "little")
            start += 8 + size + size % 2
        return data[start + 8 :]


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
