"""What there is to tell about a simulated call."""

import audioop
from dataclasses import dataclass, field
from enum import StrEnum

from evibridge.audio.g711 import mulaw_to_pcm16
from evibridge.audio.wav import wav_file
from evibridge.emulators.speech_detector import Span
from evibridge.emulators.twilio_media import CarrierWarning

MARGIN_MS = 100
"""Kept on both sides of a speech: quiet consonants are below the detector's threshold."""
RATE_HZ = 8000


class CallEnd(StrEnum):
    """Why a simulated call ended, in words for a person."""

    CALLER_HUNG_UP = "the caller hung up"
    AGENT_HUNG_UP = "the agent hung up"
    TRANSFERRED = "the agent transferred the call"
    REJECTED = "the service rejected the call"
    LINE_LOST = "the line broke"
    TIME_LIMIT = "the time limit was reached"
    APPLICATION_ERROR = "an application error ended the call"
    """Twilio: a document could not be fetched or run, and there is no fallback URL."""


class CallEventKind(StrEnum):
    """What happened; `CallEvent.detail` says more, as noted here."""

    STREAM_STARTED = "stream started"
    STREAM_STOPPED = "stream stopped"
    """By whom."""
    CALLER_SPEAKS = "caller speaks"
    """The text, if it is known."""
    CALLER_PRESSES = "caller presses"
    """The key."""
    AGENT_STARTED = "agent started speaking"
    AGENT_STOPPED = "agent stopped speaking"
    MARK_PLAYED = "mark played"
    """The mark's name."""
    MARK_FLUSHED = "mark flushed"
    """The mark's name."""
    CLEARED = "buffer cleared"
    """How much audio is never heard; the audio itself is in `CallEvent.unheard_pcm16_8k`."""
    CUT_OFF = "agent cut off"
    """How much audio the service had sent that was not heard yet when the stream ended."""
    WARNING = "warning"
    """Twilio's code and a sentence."""
    CARRIER_SPEAKS = "carrier speaks"
    """The text of a `<Say>` or the address of a `<Play>`, which are not simulated as sound."""
    TRANSFER = "transfer"
    """To whom."""


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something that happened at a point of the recording."""

    at_ms: int
    kind: CallEventKind
    detail: str = ""
    unheard_pcm16_8k: bytes = field(default=b"", repr=False)
    """Of the agent, int16 mono PCM at 8 kHz: what a `clear` kept from the caller's ear."""


@dataclass(frozen=True, slots=True)
class AgentSpeech:
    """A stretch of the agent's voice as the caller heard it, int16 mono PCM at 8 kHz."""

    start_ms: int
    end_ms: int
    pcm16_8k: bytes


@dataclass(frozen=True, slots=True)
class CallReport:
    """A whole call. Both sides of the recording are int16 mono PCM at 8 kHz and equally long.

    Its clock runs while a stream is open, so `at_ms` of events counts recorded time. A call of
    several streams is one recording, without what lay between them.
    """

    call_sid: str
    end: CallEnd
    events: tuple[CallEvent, ...]
    warnings: tuple[CarrierWarning, ...]
    caller_pcm16_8k: bytes
    agent_pcm16_8k: bytes
    agent_speech: tuple[AgentSpeech, ...]
    """What the agent said, stretch by stretch, with a margin around each."""

    @property
    def agent_was_heard(self) -> bool:
        """Whether a voice, not just messages, reached the caller."""
        return bool(self.agent_speech)

    def recording_wav(self) -> bytes:
        """The call as a stereo WAV file: the caller left, the agent right."""
        left = audioop.tostereo(self.caller_pcm16_8k, 2, 1, 0)
        right = audioop.tostereo(self.agent_pcm16_8k, 2, 0, 1)
        return wav_file(audioop.add(left, right, 2), RATE_HZ, channels=2)


class CallRecording:
    """Both sides of a call as mu-law while it runs; its length is the call's time limit."""

    def __init__(self) -> None:
        self._caller = bytearray()
        self._agent = bytearray()

    def add(self, caller_mulaw: bytes, agent_mulaw: bytes) -> None:
        """Append a frame of each side."""
        self._caller += caller_mulaw
        self._agent += agent_mulaw

    def sides_pcm16(self) -> tuple[bytes, bytes]:
        """The caller's side and the agent's."""
        return mulaw_to_pcm16(bytes(self._caller)), mulaw_to_pcm16(bytes(self._agent))

    def agent_speech(self, span: Span) -> AgentSpeech:
        """A stretch of the agent's side, as far as it is recorded."""
        bytes_per_ms = RATE_HZ // 1000
        begin = max(0, span.start_ms - MARGIN_MS) * bytes_per_ms
        mulaw = self._agent[begin : (span.end_ms + MARGIN_MS) * bytes_per_ms]
        return AgentSpeech(span.start_ms, span.end_ms, mulaw_to_pcm16(bytes(mulaw)))
