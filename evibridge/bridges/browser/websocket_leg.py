"""A caller in the browser whose audio comes by WebSocket, where WebRTC cannot be had.

Binary messages are int16 mono PCM, little-endian, at the rates that the page's `hello` names; text
messages are those of `messages`. Audio takes one callback in each direction.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from evibridge.agent.actions import HangUp
from evibridge.agent.call import Call
from evibridge.agent.evi_messages import AudioFormat
from evibridge.audio.resample import Resampler
from evibridge.audio.wav import mono_pcm16, parse_wav
from evibridge.bridges.browser import messages
from evibridge.bridges.browser.allowance import Allowance
from evibridge.bridges.browser.caller_channel import CallerChannel
from evibridge.bridges.browser.desk import BrowserDesk, CallerRefused, Place, PlaceUnknown
from evibridge.bridges.browser.paced_audio import PacedAudio
from evibridge.bus import EventBus
from evibridge.errors import BadAudio, BadMessage
from evibridge.sockets import Socket, SocketListener
from evibridge.web_sessions import WebSessionRefused

RATE_HZ = 16_000
"""Of the caller's audio for the call, on every transport."""
CAPTURE_RATES_HZ = (8_000, 96_000)
PLAYBACK_RATES_HZ = (8_000, 48_000)
AGENT_RATE_HZ = 48_000
"""EVI speaks at this rate; from another one, all that matters is that it can be converted."""
HELLO_TIMEOUT_S = 5.0
LOST_AFTER_S = 5.0
"""A page sends audio all the time, or a ping every 2 s."""
MAX_PIECE_BYTES = 16_384
REAL_TIME = 1.5
"""How fast a page may send audio in the long run: its clock is not ours."""
BURST_S = 2.0
"""Audio that may come at once, when the network has stalled."""
LEAST_PIECE_S = 0.005
"""A piece is counted as so long at least: each is a message to the EVI server."""
SILENCE_S = 0.1
"""Length of a piece of silence for a caller without a microphone; EVI asks for 20 to 100 ms."""
MAX_UNSENT_BYTES = 1024 * 1024
"""More than ten seconds that the network does not take: the link is dead."""

ENDED = 1000
PROTOCOL_BROKEN = 1008
REFUSED = 4001
TAKEN_OVER = 4002

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SocketParts:
    """What all sockets of callers share.

    Attributes:
        desk: lets callers in
        bus: tells what happens in calls
        holding: tells what the caller hears while he waits for the tool of a name
        strangers: legs whose sockets are open and which have not said who they are
    """

    desk: BrowserDesk
    bus: EventBus
    holding: Callable[[str], str | None]
    strangers: "set[WebSocketLeg]"


class WebSocketLeg(SocketListener):
    """A caller's WebSocket from its handshake to its close.

    Args:
        parts: what it shares with others
        origin: of the page, None for a program that is no browser
    """

    audio = AudioFormat(sample_rate=RATE_HZ)
    can_transfer = False

    def __init__(self, parts: SocketParts, origin: str | None) -> None:
        self._parts = parts
        self._origin = origin
        self._loop = asyncio.get_running_loop()
        self._socket: Socket | None = None
        self._call: Call | None = None
        self._channel: CallerChannel | None = None
        self._how: HangUp | None = None
        self._heard_s = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._pace: asyncio.TimerHandle | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._allowance = Allowance(REAL_TIME, BURST_S)
        self._capture_hz = self._playback_hz = RATE_HZ
        self._to_call = Resampler(RATE_HZ, RATE_HZ)
        self._agent_hz = AGENT_RATE_HZ
        self._to_page = Resampler(AGENT_RATE_HZ, RATE_HZ)
        self._to_tap = Resampler(AGENT_RATE_HZ, RATE_HZ)
        self._paced = PacedAudio(RATE_HZ)
        self._unreadable = 0
        self.tap: Callable[[bytes], None] | None = None

    # From the page

    def on_open(self, socket: Socket) -> None:
        """The handshake was admitted; `hello` has to follow."""
        self._socket = socket
        self._parts.strangers.add(self)
        self._watch = self._loop.call_later(HELLO_TIMEOUT_S, self._no_hello)

    def on_text(self, text: bytes) -> None:
        """A message: `hello` first, then those of the call, and marks."""
        self._heard_s = self._loop.time()
        if self._channel is None:
            self._greet(text)
        elif not self._channel.receive(text):
            self._transport_message(messages.parse(text))

    def on_binary(self, data: bytes) -> None:
        """The caller's audio."""
        now_s = self._heard_s = self._loop.time()
        call = self._call
        if call is None:
            if self._channel is None:
                self._refuse("bad_hello", "Send 'hello' before audio.", PROTOCOL_BROKEN)
            return
        if len(data) % 2 or not 0 < len(data) <= MAX_PIECE_BYTES:
            self._count_unreadable(len(data))
            return
        duration_s = len(data) / (2 * self._capture_hz)
        if self._allowance.take(max(duration_s, LEAST_PIECE_S), now_s):
            self._stop(self._silence)
            call.caller_audio(self._to_call.process(data))

    def on_close(self, code: int, reason: str) -> None:
        """The page or the network ended the connection."""
        del reason  # is whatever a stranger writes
        self._socket = None
        self._parts.strangers.discard(self)
        self._stop(self._watch, self._pace, self._silence)
        if self._channel is not None:
            self._channel.close()
            log.info(
                "caller_socket_closed",
                call_id=self._channel.call_id,
                code=code,
                audio_dropped=self._allowance.refused,
                audio_unreadable=self._unreadable,
                agent_audio_dropped_ms=round(self._paced.dropped_ms),
                messages_dropped=self._channel.messages_dropped,
            )
        call, self._call = self._call, None
        if call is not None:
            call.caller_lost()

    # To the page

    def play(self, wav: bytes) -> float:
        """Queue one WAV file, and send what is due of it; returns its length in ms."""
        if self._socket is None:
            return 0.0
        parsed = parse_wav(wav)
        if parsed.rate_hz != self._agent_hz:
            self._to_page = Resampler(parsed.rate_hz, self._playback_hz)
            self._to_tap = Resampler(parsed.rate_hz, RATE_HZ)
            self._agent_hz = parsed.rate_hz
        pcm16 = mono_pcm16(parsed)
        if self.tap is not None:
            self.tap(self._to_tap.process(pcm16))
        duration_ms = self._paced.queue(self._to_page.process(pcm16))
        self._send_due()
        return duration_ms

    def mark(self, name: str) -> None:
        """Have the page send `name` back once it has played, or dropped, all that is queued."""
        self._paced.mark(name)
        self._send_due()

    def clear(self) -> None:
        """Drop what is queued, here and in the page; the next audio starts with clean filters."""
        self._to_page.reset()
        self._to_tap.reset()
        for name in self._paced.clear(self._loop.time()):
            # Not from within: the call is about to do what follows from its silence.
            self._loop.call_soon(self._flushed, name)
        if self._socket is not None:
            self._socket.send_text(messages.CLEAR)

    def hang_up(self, how: HangUp) -> None:
        """Tell the page why, and close the connection."""
        self._call, self._how = None, how
        self._stop(self._pace, self._silence)
        if self._channel is not None:
            self._channel.end(how, self._close)

    def release(self) -> None:
        """Another connection has taken over the call; this one may not know that it is dead."""
        self._call = None
        self._stop(self._watch, self._pace, self._silence)
        if self._channel is not None:
            self._channel.close()
        if self._socket is not None:
            self._socket.close(TAKEN_OVER, "The call goes on by another connection.")

    # Hello

    def _greet(self, text: bytes) -> None:
        try:
            hello = messages.parse(text)
        except BadMessage as error:
            self._refuse("bad_hello", str(error), PROTOCOL_BROKEN)
            return
        if not isinstance(hello, messages.Hello):
            self._refuse("bad_hello", "The first message has to be 'hello'.", PROTOCOL_BROKEN)
            return
        try:
            place = self._place_of(hello)
        except BadAudio as error:
            self._refuse("rate_not_usable", str(error), REFUSED)
        except CallerRefused as error:
            self._refuse(error.code, str(error), REFUSED, error.retry_after_s)
        except (WebSessionRefused, PlaceUnknown) as error:
            self._refuse(error.code, str(error), REFUSED)
        else:
            self._join(place, hello)

    def _place_of(self, hello: messages.Hello) -> Place:
        """The caller's place; nothing is used up if he cannot be understood."""
        desk = self._parts.desk
        if hello.token is None:
            assert hello.key is not None
            place = desk.come_back(hello.key)
            self._tune(hello)
            return place
        desk.check(hello.token, self._origin)
        self._tune(hello)
        return desk.arrive(hello.token, self._origin)

    def _tune(self, hello: messages.Hello) -> None:
        for rate_hz, (least_hz, most_hz) in (
            (hello.capture_rate_hz, CAPTURE_RATES_HZ),
            (hello.playback_rate_hz, PLAYBACK_RATES_HZ),
        ):
            if not least_hz <= rate_hz <= most_hz:
                raise BadAudio(
                    f"Audio at {rate_hz} Hz is not taken: "
                    f"use a rate from {least_hz} to {most_hz} Hz."
                )
        self._capture_hz, self._playback_hz = hello.capture_rate_hz, hello.playback_rate_hz
        self._to_call = Resampler(self._capture_hz, RATE_HZ)
        self._to_page = Resampler(AGENT_RATE_HZ, self._playback_hz)
        self._paced = PacedAudio(self._playback_hz)

    def _join(self, place: Place, hello: messages.Hello) -> None:
        call = place.join(self)
        if call is None:
            self._refuse(PlaceUnknown.code, str(PlaceUnknown()), REFUSED)
            return
        self._parts.strangers.discard(self)
        self._stop(self._watch)
        self._channel = CallerChannel(
            place,
            call,
            self._parts.bus,
            self._send_text,
            self._parts.holding,
            hello.since,
            transport="websocket",
        )
        if self._how is not None:  # that was what the call had waited for
            self._channel.end(self._how, self._close)
            return
        self._call = call
        self._look_again_at(self._heard_s + LOST_AFTER_S)
        self._send_due()
        if not hello.microphone:
            self._hand_silence(self._loop.time())

    def _no_hello(self) -> None:
        self._refuse("bad_hello", f"No 'hello' came within {HELLO_TIMEOUT_S:g} s.", PROTOCOL_BROKEN)

    def _refuse(
        self, code: str, sentence: str, close_code: int, retry_after_s: float | None = None
    ) -> None:
        log.warning("caller_socket_refused", why=code)
        self._stop(self._watch)
        if self._socket is not None:
            self._socket.send_text(messages.refused(code, sentence, retry_after_s=retry_after_s))
            self._socket.close(close_code, code)

    # Inside

    def _transport_message(self, message: messages.Message) -> None:
        if isinstance(message, messages.Mark):
            if self._call is not None:
                self._call.playback_heard(message.name)
        else:
            self._send_text(messages.refused("bad_message", "hello: it may come only once."))

    def _flushed(self, name: str) -> None:
        if self._call is not None:
            self._call.playback_heard(name)

    def _send_due(self) -> None:
        """Send what the page may have by now, and come back for the rest."""
        self._stop(self._pace)
        if self._socket is None or self._channel is None:
            return
        for each in self._paced.take(self._loop.time()):
            if isinstance(each, str):
                self._socket.send_text(messages.mark(each))
            else:
                self._socket.send_binary(each)
        self._abort_if_stuck()
        if self._paced.wake_s is not None:
            self._pace = self._loop.call_at(self._paced.wake_s, self._send_due)

    def _send_text(self, text: bytes) -> None:
        if self._socket is not None:
            self._socket.send_text(text)
            self._abort_if_stuck()

    def _abort_if_stuck(self) -> None:
        if self._socket is not None and self._socket.unsent_bytes() > MAX_UNSENT_BYTES:
            log.warning("caller_socket_stuck")
            self._socket.abort()

    def _hand_silence(self, due_s: float) -> None:
        """Stand for the microphone that the caller has not: EVI's clock is the caller's audio."""
        if self._call is not None:
            self._call.caller_audio(bytes(2 * round(SILENCE_S * RATE_HZ)))
            due_s = max(due_s + SILENCE_S, self._loop.time())
            self._silence = self._loop.call_at(due_s, self._hand_silence, due_s)

    def _look_again_at(self, at_s: float) -> None:
        self._watch = self._loop.call_at(at_s, self._look)

    def _look(self) -> None:
        lost_s = self._heard_s + LOST_AFTER_S
        if lost_s > self._loop.time():
            self._look_again_at(lost_s)
        elif self._socket is not None:
            self._socket.abort()

    def _count_unreadable(self, size: int) -> None:
        self._unreadable += 1
        if self._unreadable == 1:  # one of each connection: a page gone mad must not fill the log
            sentence = (
                f"Send audio as whole samples of 16 bits, 2 to {MAX_PIECE_BYTES} bytes in a "
                f"message, not {size}."
            )
            self._send_text(messages.refused("bad_audio", sentence))
            log.warning("caller_audio_unreadable", size=size)

    def _close(self) -> None:
        self._stop(self._watch)
        if self._socket is not None:
            self._socket.close(ENDED)

    @staticmethod
    def _stop(*timers: asyncio.TimerHandle | None) -> None:
        for timer in timers:
            if timer is not None:
                timer.cancel()
