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
from evibridge.bridges.browser import messages
from evibridge.bridges.browser.allowance import Allowance
from evibridge.bridges.browser.call_audio import BURST_S, RATE_HZ, REAL_TIME
from evibridge.bridges.browser.caller_channel import CallerChannel
from evibridge.bridges.browser.desk import BrowserDesk, CallerRefused, Place, PlaceUnknown
from evibridge.bridges.browser.paced_audio import PacedAudio
from evibridge.bridges.browser.page_audio import (
    AGENT_RATE_HZ,
    MAX_PIECE_S,
    PageAudio,
    check_rates,
)
from evibridge.bridges.browser.sent_marks import SentMarks
from evibridge.bridges.browser.silence_filler import SilenceFiller
from evibridge.bridges.browser.strangers import Strangers
from evibridge.bus import EventBus
from evibridge.errors import BadAudio, BadMessage
from evibridge.sockets import Socket, SocketListener
from evibridge.web_sessions import WebSessionRefused

HELLO_TIMEOUT_S = 5.0
LOST_AFTER_S = 5.0
"""A page sends audio all the time, and a ping every second."""
LEAST_PIECE_S = 0.005
"""A piece is counted as so long at least: each is a message to the EVI server."""
MAX_UNSENT_BYTES = 1024 * 1024
"""More than a connection is ever behind with messages: the link is dead."""
STUCK_AFTER_S = 10.0
"""So long audio waits for a network that takes less than half a second of it."""

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
        strangers: those whose sockets are open and who have not said who they are
    """

    desk: BrowserDesk
    bus: EventBus
    holding: Callable[[str], str | None]
    strangers: Strangers


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
        self._call_id: str | None = None
        self._channel: CallerChannel | None = None
        self._how: HangUp | None = None
        self._heard_s = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._pace: asyncio.TimerHandle | None = None
        self._early: asyncio.TimerHandle | None = None
        self._allowance = Allowance(REAL_TIME, BURST_S)
        self._audio = PageAudio(RATE_HZ, AGENT_RATE_HZ)
        self._silence = SilenceFiller(self._loop, self._hand_silence, RATE_HZ)
        self._paced = PacedAudio(AGENT_RATE_HZ)
        self._marks = SentMarks()
        self._unreadable = 0
        self.tap: Callable[[bytes], None] | None = None

    # From the page

    def on_open(self, socket: Socket) -> None:
        """The handshake was admitted; `hello` has to follow."""
        self._socket = socket
        self._parts.strangers.enter(self)
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
        audio = self._audio
        if len(data) % 2 or not 0 < len(data) <= audio.max_piece_bytes:
            self._count_unreadable(len(data))
            return
        duration_s = len(data) / (2 * audio.capture_hz)
        if self._allowance.take(max(duration_s, LEAST_PIECE_S), now_s):
            self._silence.heard()
            call.caller_audio(audio.for_call(data))

    def on_close(self, code: int, reason: str) -> None:
        """The page or the network ended the connection."""
        del reason  # is whatever a stranger writes
        self._socket = None
        self._parts.strangers.leave(self)
        self._stop_all()
        if self._channel is not None:
            self._channel.close()
            log.info(
                "caller_socket_closed",
                call_id=self._call_id,
                code=code,
                audio_dropped=self._allowance.refused,
                audio_unreadable=self._unreadable,
                agent_audio_dropped_ms=round(self._paced.dropped_ms),
                messages_dropped=self._channel.messages_dropped,
                marks_forgotten=self._marks.forgotten,
            )
        call, self._call = self._call, None
        if call is not None:
            call.caller_lost()

    # To the page

    def play(self, wav: bytes) -> float:
        """Queue one WAV file, and send what is due of it; returns its length in ms."""
        if self._socket is None:
            return 0.0
        duration_ms = self._paced.queue(self._audio.for_page(wav, self.tap))
        self._send_due()
        return duration_ms

    def mark(self, name: str) -> None:
        """Have the page send `name` back once it has played, or dropped, all that is queued.

        The call is not told before the page can have done so.
        """
        self._paced.mark(name)
        self._send_due()

    def clear(self) -> None:
        """Drop what is queued, here and in the page; the next audio starts with clean filters."""
        now_s = self._loop.time()
        self._audio.clear()
        self._marks.clear(now_s)
        # Not from within: the call is about to do what follows from its silence.
        self._loop.call_soon(self._tell_heard)
        for name in self._paced.clear(now_s):
            self._loop.call_soon(self._flushed, name)
        if self._socket is not None:
            self._socket.send_text(messages.CLEAR)

    def hang_up(self, how: HangUp) -> None:
        """Tell the page why, and close the connection."""
        self._call, self._how = None, how
        self._stop(self._pace, self._early)
        self._silence.stop()
        if self._channel is not None:
            self._channel.end(how, self._close)

    def release(self) -> None:
        """Another connection has taken over the call; this one may not know that it is dead."""
        self._call = None
        self._stop_all()
        if self._channel is not None:
            self._channel.close()
        if self._socket is not None:
            self._socket.close(TAKEN_OVER, "The call goes on by another connection.")

    def make_room(self) -> None:
        """There are too many strangers, and this one is the oldest of them."""
        sentence = "Too many connections are being opened: try again in a moment."
        self._refuse("too_many_connections", sentence, REFUSED, 1.0)

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
        """The caller's place; no token is used up if he cannot be understood."""
        desk = self._parts.desk
        capture_hz, playback_hz = hello.capture_rate_hz, hello.playback_rate_hz
        if hello.token is None:
            assert hello.key is not None
            place = desk.come_back(hello.key)
            check_rates(capture_hz, playback_hz)
        else:
            desk.check(hello.token, self._origin)
            check_rates(capture_hz, playback_hz)
            place = desk.arrive(hello.token, self._origin)
        self._audio = PageAudio(capture_hz, playback_hz)
        self._paced = PacedAudio(playback_hz)
        return place

    def _join(self, place: Place, hello: messages.Hello) -> None:
        call = place.join(self)
        if call is None:
            self._refuse(PlaceUnknown.code, str(PlaceUnknown()), REFUSED)
            return
        self._parts.strangers.leave(self)
        self._stop(self._watch)
        self._call_id = place.call_id
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
        self._silence.start()
        self._send_due()

    def _no_hello(self) -> None:
        self._refuse("bad_hello", f"No 'hello' came within {HELLO_TIMEOUT_S:g} s.", PROTOCOL_BROKEN)

    def _refuse(
        self, code: str, sentence: str, close_code: int, retry_after_s: float | None = None
    ) -> None:
        log.warning("caller_socket_refused", why=code)
        self._parts.strangers.leave(self)
        self._stop(self._watch)
        if self._socket is not None:
            self._socket.send_text(messages.refused(code, sentence, retry_after_s=retry_after_s))
            self._socket.close(close_code, code)

    # Inside

    def _transport_message(self, message: messages.Message) -> None:
        if isinstance(message, messages.Mark):
            self._marks.heard(message.name)
            self._tell_heard()
        else:
            self._send_text(messages.refused("bad_message", "hello: it may come only once."))

    def _tell_heard(self) -> None:
        """Tell the call of marks that can have been played by now, and come back for the rest."""
        self._stop(self._early)
        for name in self._marks.take(self._loop.time()):
            self._flushed(name)
        if self._call is not None and self._marks.wake_s is not None:
            self._early = self._loop.call_at(self._marks.wake_s, self._tell_heard)

    def _flushed(self, name: str) -> None:
        if self._call is not None:
            self._call.playback_heard(name)

    def _hand_silence(self, pcm16: bytes) -> None:
        if self._call is not None:
            self._call.caller_audio(pcm16)

    def _send_due(self) -> None:
        """Send what the page may have by now, and come back for the rest."""
        self._stop(self._pace)
        socket = self._socket
        if socket is None or self._channel is None:
            return
        for each in self._paced.take(self._loop.time(), socket.unsent_bytes()):
            if isinstance(each, bytes):
                socket.send_binary(each)
            else:
                self._marks.sent(each)
                socket.send_text(messages.mark(each.name))
        self._abort_if_stuck()
        if self._paced.wake_s is not None:
            self._pace = self._loop.call_at(self._paced.wake_s, self._send_due)

    def _send_text(self, text: bytes) -> None:
        if self._socket is not None:
            self._socket.send_text(text)
            self._abort_if_stuck()

    def _abort_if_stuck(self) -> None:
        if self._socket is None:
            return
        is_full = self._socket.unsent_bytes() > MAX_UNSENT_BYTES
        if is_full or self._paced.blocked_s > STUCK_AFTER_S:
            log.warning("caller_socket_stuck", call_id=self._call_id)
            self._socket.abort()

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
                f"Send audio as whole samples of 16 bits, {MAX_PIECE_S * 1000:g} ms in a message "
                f"at most: 2 to {self._audio.max_piece_bytes} bytes, not {size}."
            )
            self._send_text(messages.refused("bad_audio", sentence))
            log.warning("caller_audio_unreadable", call_id=self._call_id, size=size)

    def _close(self) -> None:
        self._stop(self._watch)
        if self._socket is not None:
            self._socket.close(ENDED)

    def _stop_all(self) -> None:
        self._stop(self._watch, self._pace, self._early)
        self._silence.stop()

    @staticmethod
    def _stop(*timers: asyncio.TimerHandle | None) -> None:
        for timer in timers:
            if timer is not None:
                timer.cancel()
