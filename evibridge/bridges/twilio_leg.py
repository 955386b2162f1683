"""One Twilio media stream: the caller's side of a call.

The data path is `on_text` on the way in and `play` on the way out; both run to the end of their
work inside the callback that brought the data.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from evibridge.agent.actions import HangUp
from evibridge.agent.call import Call
from evibridge.agent.evi_messages import AudioFormat
from evibridge.audio.g711 import mulaw_to_pcm16, pcm16_to_mulaw
from evibridge.audio.resample import Resampler
from evibridge.audio.wav import mono_pcm16, parse_wav
from evibridge.bridges import twilio_messages as twilio
from evibridge.errors import BadMessage
from evibridge.sockets import Socket, SocketListener

RATE_HZ = 8000
MULAW = "audio/x-mulaw"
START_TIMEOUT_S = 5.0
"""A socket without a valid `start` by then is closed: nothing was spent on it."""
SILENT_STREAM_S = 10.0
"""Twilio sends a frame every 20 ms, silence included: a stream without any is dead."""
ALIVE_S = 0.5
"""Gaps between frames of up to 233 ms were measured on streams that live."""
KEYS = frozenset("0123456789*#ABCD")
MAX_UNSENT_BYTES = 1024 * 1024
"""About 90 s of audio that the network does not take: the link is dead."""

log = structlog.get_logger(__name__)


class Reception(Protocol):
    """Who decides what becomes of a stream."""

    def stream_opened(self, leg: "TwilioLeg") -> None:
        """The socket is open and has not shown yet which call it belongs to."""

    def stream_started(self, leg: "TwilioLeg", start: twilio.Start) -> Call | None:
        """Begin the call that this stream belongs to, or go on with it; None refuses the stream."""

    def stream_closed(self, leg: "TwilioLeg") -> None:
        """The socket is gone."""

    def caller_hung_up(self, call_sid: str) -> None:
        """Twilio says that the call is over."""

    def call_ended(self, call_sid: str, how: HangUp) -> None:
        """Our side ends the call, or hands it on: Twilio will ask what to do next."""


class TwilioLeg(SocketListener):
    """A stream from its handshake to its close.

    Args:
        reception: decides about the stream's `start`
    """

    audio = AudioFormat(sample_rate=RATE_HZ)
    can_transfer = True

    __slots__ = (
        "_call",
        "_last_frame_s",
        "_loop",
        "_reception",
        "_resampler",
        "_resampler_from_hz",
        "_socket",
        "_timer",
        "_unreadable",
        "attempt",
        "call_sid",
        "is_over",
        "stream_sid",
        "tap",
    )

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._socket: Socket | None = None
        self._call: Call | None = None
        self.call_sid = ""
        self.stream_sid = ""
        self.attempt = 1
        """Number of the stream among those of its call."""
        self.is_over = False
        """Whether Twilio has said so, whatever the socket still brings."""
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._last_frame_s = 0.0
        self._unreadable = 0
        self._resampler = Resampler(RATE_HZ, RATE_HZ)
        self._resampler_from_hz = RATE_HZ
        self.tap: Callable[[bytes], None] | None = None

    @property
    def has_started(self) -> bool:
        """Whether the stream has shown which call it belongs to."""
        return bool(self.stream_sid)

    @property
    def brings_audio(self) -> bool:
        """Whether the caller's frames still come by this stream: one every 20 ms, if it lives."""
        is_ours = self._call is not None and not self.is_over
        return is_ours and self._loop.time() - self._last_frame_s < ALIVE_S

    # From Twilio

    def on_open(self, socket: Socket) -> None:
        """The handshake was admitted; `start` has to follow."""
        self._socket = socket
        self._reception.stream_opened(self)
        self._timer = self._loop.call_later(START_TIMEOUT_S, self._no_start)

    def on_text(self, text: bytes) -> None:
        """Every message of Twilio, the caller's voice among them."""
        mulaw = twilio.caller_audio(text)
        if mulaw is None:
            mulaw = self._read(text)
            if mulaw is None:
                return
        self._last_frame_s = self._loop.time()
        if mulaw and self._call is not None:
            self._call.caller_audio(mulaw_to_pcm16(mulaw))

    def on_close(self, code: int, reason: str) -> None:
        """Twilio or the network ended the stream."""
        log.debug("stream_socket_closed", code=code, reason=reason, call_id=self.call_sid)
        self._socket = None
        if self._timer is not None:
            self._timer.cancel()
        self._reception.stream_closed(self)
        self._lose_caller()

    # To Twilio

    def play(self, wav: bytes) -> float:
        """Send one WAV file as mu-law at 8 kHz; returns its length in ms."""
        if self._socket is None:
            return 0.0
        parsed = parse_wav(wav)
        if parsed.rate_hz != self._resampler_from_hz:
            self._resampler = Resampler(parsed.rate_hz, RATE_HZ)
            self._resampler_from_hz = parsed.rate_hz
        pcm16 = self._resampler.process(mono_pcm16(parsed))
        if self.tap is not None:
            self.tap(pcm16)
        mulaw = pcm16_to_mulaw(pcm16)
        self._socket.send_text(twilio.media(self.stream_sid, mulaw))
        if self._socket.unsent_bytes() > MAX_UNSENT_BYTES:
            log.warning("caller_link_stuck", call_id=self.call_sid)
            self._socket.abort()
        return len(mulaw) * 1000 / RATE_HZ

    def mark(self, name: str) -> None:
        """Twilio: a mark is echoed when the audio before it was played or cleared."""
        if self._socket is not None:
            self._socket.send_text(twilio.mark(self.stream_sid, name))

    def clear(self) -> None:
        """Drop what is queued at Twilio; the next audio starts with a clean filter."""
        self._resampler.reset()
        if self._socket is not None:
            self._socket.send_text(twilio.clear(self.stream_sid))

    def hang_up(self, how: HangUp) -> None:
        """Close the stream; Twilio then asks `stream-ended` what to do, and is told."""
        self._reception.call_ended(self.call_sid, how)
        self._call = None
        if self._socket is not None:
            self._socket.close(1000)

    def release(self) -> None:
        """Another stream has taken over the call; this one may not know yet that it is dead."""
        self._call = None
        if self._socket is not None:
            self._socket.close(1000)

    def abort(self) -> None:
        """Twilio reported that the stream has failed."""
        if self._socket is not None:
            self._socket.abort()

    # Inside

    def _read(self, text: bytes) -> bytes | None:
        """Act on a message; the caller's voice, written in an unusual way, is returned."""
        try:
            message = twilio.decode(text)
        except BadMessage as error:
            self._count_unreadable(error)
            return None
        if isinstance(message, twilio.CallerAudio):
            return message
        if isinstance(message, twilio.Start):
            self._start(message)
        elif self._call is not None:
            self._control(self._call, message)
        return None

    def _start(self, start: twilio.Start) -> None:
        if self.stream_sid:
            log.warning("stream_started_twice", call_id=self.call_sid)
            return
        if start.encoding != MULAW:
            self._refuse("the stream is not mu-law at 8 kHz")
            return
        self.stream_sid, self.call_sid = start.stream_sid, start.call_sid
        self._call = self._reception.stream_started(self, start)
        if self._call is None:
            self._refuse("the stream's token is not valid")
            return
        assert self._timer is not None
        self._timer.cancel()
        self._look_again_at(self._loop.time() + SILENT_STREAM_S)

    def _control(self, call: Call, message: twilio.Message) -> None:
        match message:
            case twilio.Mark(name):
                call.playback_heard(name)
            case twilio.Dtmf(digit) if digit in KEYS:
                call.caller_pressed(digit)
            case twilio.Stop():
                self._reception.caller_hung_up(self.call_sid)
            case _:
                pass

    def _lose_caller(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.caller_lost()

    def _no_start(self) -> None:
        self._refuse("no start within the time allowed")

    def _refuse(self, why: str) -> None:
        log.warning("stream_refused", why=why, call_id=self.call_sid)
        if self._socket is not None:
            self._socket.close(1008, why)

    def _look_again_at(self, at_s: float) -> None:
        self._timer = self._loop.call_at(at_s, self._look)

    def _look(self) -> None:
        silent_from_s = self._last_frame_s + SILENT_STREAM_S
        if silent_from_s > self._loop.time():
            self._look_again_at(silent_from_s)
        elif self._socket is not None:
            log.warning("stream_fell_silent", call_id=self.call_sid)
            self._socket.abort()

    def _count_unreadable(self, error: BadMessage) -> None:
        self._unreadable += 1
        if self._unreadable == 1:  # one line per stream: a peer gone mad must not fill the log
            log.warning("stream_message_unreadable", call_id=self.call_sid, error=str(error))
