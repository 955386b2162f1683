"""A caller's connection in both protocols: a phone at Twilio's end, and a plain EVI client."""

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar, TypeVar
from urllib.parse import urlencode, urlsplit

import aiohttp
import orjson
import pybase64

from benchmarks.evi_stand_in import (
    ANSWER_MS,
    CHAT_PATH,
    MAX_MESSAGE_BYTES,
    SILENT_ANSWER_ENDING,
)
from benchmarks.heard import FRAME_MS, Ear
from benchmarks.sound import MIDWAY, sound
from benchmarks.webhooks import MEDIA_PATH, new_call_sid, ring
from evibridge.audio.g711 import mulaw_to_pcm16, pcm16_to_mulaw
from evibridge.audio.wav import mono_pcm16, parse_wav
from evibridge.sockets import Socket, SocketListener, connect, origin_to_ws

RATE_HZ = 8_000
CONNECT_TIMEOUT_S = 10.0
_CONNECTING = aiohttp.ClientTimeout(total=CONNECT_TIMEOUT_S)
OPENED_AT_ONCE = 16
"""Calls that are opened at the same time: as many as come in a second to a busy bridge."""
FRAMES_PER_QUESTION = 50
"""One loud frame a second; it is the last of the 200 ms that the stand-in answers together."""
assert FRAMES_PER_QUESTION * FRAME_MS % ANSWER_MS == 0

_PCM = {loud: sound(FRAME_MS, RATE_HZ, loud=loud) for loud in (False, True)}
_PAYLOAD = {loud: pybase64.b64encode(pcm16_to_mulaw(pcm16)) for loud, pcm16 in _PCM.items()}
_AUDIO_INPUT = {
    loud: b'{"type":"audio_input","data":"%b"}' % pybase64.b64encode(pcm16)
    for loud, pcm16 in _PCM.items()
}


def _asks(frame: int) -> bool:
    return (frame + 1) % FRAMES_PER_QUESTION == 0


class TwilioLine(SocketListener):
    """A call in Twilio's Media Streams protocol.

    Args:
        call_sid: Twilio's name of the call
        parameters: that the webhook's answer asks for; none without a webhook
    """

    listens_always: ClassVar[bool] = False
    """Whether it matters how all of the agent's audio sounds, not only that of an answer."""

    def __init__(self, call_sid: str, parameters: Mapping[str, str]) -> None:
        self.ear = Ear(MIDWAY)
        self.frames_sent = 0
        self._call_sid = call_sid
        self._parameters = parameters
        self._stream_sid = f"MZ{uuid.uuid4().hex}"
        self._end_of_media = b'"},"streamSid":"%b"}' % self._stream_sid.encode()
        self._sequence = 0
        self._socket: Socket
        self._marks: deque[tuple[float, str]] = deque()

    def on_open(self, socket: Socket) -> None:
        """Introduce the stream."""
        self._socket = socket
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        socket.send_text(orjson.dumps(connected))
        self.start()

    def start(self) -> None:
        """Say which call the stream belongs to."""
        self._send(
            "start",
            {
                "accountSid": f"AC{'0' * 32}",
                "callSid": self._call_sid,
                "streamSid": self._stream_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": dict(self._parameters),
            },
        )

    def send_frame(self, now_s: float) -> None:
        """The caller's next 20 ms."""
        loud = _asks(self.frames_sent)
        if loud:
            self.ear.ask(now_s)
        self.send_payload(_PAYLOAD[loud], now_s)

    def breathe(self, now_s: float) -> None:
        """20 ms of silence that ask for nothing: a sign of life from one who waits."""
        self.send_payload(_PAYLOAD[False], now_s)

    def send_payload(self, payload: bytes, now_s: float) -> None:
        """20 ms of mu-law in base64; Twilio numbers messages and frames in strings."""
        while self._marks and self._marks[0][0] <= now_s:
            self._echo_mark()
        self.frames_sent += 1
        self._sequence += 1
        self._socket.send_text(
            b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d",'
            b'"timestamp":"%d","payload":"%b%b'
            % (
                self._sequence,
                self.frames_sent,
                self.frames_sent * FRAME_MS,
                payload,
                self._end_of_media,
            )
        )

    def on_text(self, text: bytes) -> None:
        """Play audio; Twilio: a mark is echoed when what came before it was played."""
        now_s = time.perf_counter()
        message = orjson.loads(text)
        if message["event"] == "media":
            payload = message["media"]["payload"]
            if self.ear.is_waiting or self.listens_always:
                self.hear(mulaw_to_pcm16(pybase64.b64decode(payload)), now_s)
            else:
                self.ear.play(_decoded_bytes(payload) * 1000 / RATE_HZ, now_s)
        elif message["event"] == "mark":
            self._marks.append((self.ear.played_until_s, message["mark"]["name"]))
        elif message["event"] == "clear":
            self.clear(now_s)

    def hear(self, pcm16: bytes, now_s: float) -> None:
        """Audio of the agent has come in, and it matters how it sounds."""
        self.ear.hear(pcm16, RATE_HZ, now_s)

    def clear(self, now_s: float) -> None:
        """Twilio: what is not played yet never is, and its marks are echoed at once."""
        self.ear.forget(now_s)
        while self._marks:
            self._echo_mark()

    def hang_up(self) -> None:
        """End the call as a caller does."""
        self.stop()
        self._socket.close()

    def stop(self) -> None:
        """Twilio: the last message of a stream whose caller has hung up."""
        self._send("stop", {"accountSid": f"AC{'0' * 32}", "callSid": self._call_sid})

    def _echo_mark(self) -> None:
        self._send("mark", {"name": self._marks.popleft()[1]})

    def _send(self, event: str, body: dict[str, object]) -> None:
        self._sequence += 1
        number = str(self._sequence)
        message = {
            "event": event,
            "sequenceNumber": number,
            event: body,
            "streamSid": self._stream_sid,
        }
        self._socket.send_text(orjson.dumps(message))


class EviLine(SocketListener):
    """A call straight to an EVI server: what there is without a bridge."""

    def __init__(self) -> None:
        self.ear = Ear(MIDWAY)
        self.frames_sent = 0
        self._socket: Socket

    def on_open(self, socket: Socket) -> None:
        """The URL has announced everything."""
        self._socket = socket

    def send_frame(self, now_s: float) -> None:
        """The caller's next 20 ms."""
        loud = _asks(self.frames_sent)
        if loud:
            self.ear.ask(now_s)
        self.frames_sent += 1
        self._socket.send_text(_AUDIO_INPUT[loud])

    def breathe(self, now_s: float) -> None:
        """20 ms of silence that ask for nothing: a sign of life from one who waits."""
        del now_s
        self.frames_sent += 1
        self._socket.send_text(_AUDIO_INPUT[False])

    def on_text(self, text: bytes) -> None:
        """Play audio; most of it is silence that is known byte by byte."""
        now_s = time.perf_counter()
        if text.endswith(SILENT_ANSWER_ENDING):
            self.ear.play(ANSWER_MS, now_s)
            return
        message = orjson.loads(text)
        if message["type"] == "audio_output":
            wav = parse_wav(pybase64.b64decode(message["data"]))
            self.hear(bytes(mono_pcm16(wav)), wav.rate_hz, now_s)
        elif message["type"] == "user_interruption":
            self.interrupted(now_s)

    def hear(self, pcm16: bytes, rate_hz: int, now_s: float) -> None:
        """Audio of the agent has come in."""
        self.ear.hear(pcm16, rate_hz, now_s)

    def interrupted(self, now_s: float) -> None:
        """The caller has cut in, and the agent has to fall silent."""

    def hang_up(self) -> None:
        """End the chat."""
        self._socket.close()


LineT = TypeVar("LineT", bound=TwilioLine)
ChatT = TypeVar("ChatT", bound=EviLine)
AnyT = TypeVar("AnyT", bound=TwilioLine | EviLine)


async def dial_twilio(url: str, calls: int) -> list[TwilioLine]:
    """Calls that come in by the webhook."""
    return await call_in(url, calls, TwilioLine)


async def call_in(
    url: str, calls: int, line: Callable[[str, Mapping[str, str]], LineT]
) -> list[LineT]:
    """Calls that come in by the webhook, with lines of a kind of their own.

    Args:
        url: of the webhook; an origin alone stands for that of evibridge
        calls: how many
        line: makes one, of the name of the call and the parameters of its stream
    """
    async with aiohttp.ClientSession(timeout=_CONNECTING) as http:

        async def open_one() -> LineT:
            call_sid = new_call_sid()
            stream = await ring(http, url, call_sid)
            return await open_stream(url, stream.path, line(call_sid, stream.parameters))

        return await _open_all(open_one, calls)


async def dial_stream(url: str, calls: int) -> list[TwilioLine]:
    """Media streams for a program that has no webhook."""
    return await open_streams(url, calls, TwilioLine)


async def open_streams(
    url: str, calls: int, line: Callable[[str, Mapping[str, str]], LineT]
) -> list[LineT]:
    """Media streams for a program that has no webhook, with lines of a kind of their own.

    Args:
        url: of the media socket; an origin alone stands for that of evibridge
        calls: how many
        line: makes one, of the name of the call and no parameters
    """
    path = urlsplit(url).path.rstrip("/") or MEDIA_PATH

    async def open_one() -> LineT:
        return await open_stream(url, path, line(new_call_sid(), {}))

    return await _open_all(open_one, calls)


async def dial_evi(origin: str, calls: int) -> list[EviLine]:
    """Chats without a bridge."""
    return await open_chats(chat_url(origin), calls, EviLine)


async def open_chats(url: str, calls: int, line: Callable[[], ChatT]) -> list[ChatT]:
    """Chats without a bridge, with lines of a kind of their own."""

    async def open_one() -> ChatT:
        chat = line()
        await _connect(url, chat)
        return chat

    return await _open_all(open_one, calls)


def chat_url(origin: str) -> str:
    """URL of a chat that announces the telephone's format."""
    audio_format = {
        "session_settings[audio][encoding]": "linear16",
        "session_settings[audio][sample_rate]": RATE_HZ,
        "session_settings[audio][channels]": 1,
    }
    return f"{origin_to_ws(origin)}{CHAT_PATH}?{urlencode(audio_format)}"


async def open_stream(url: str, path: str, line: LineT) -> LineT:
    """Open the media socket of a call: it is at this path, where the bridge of this URL is."""
    await _connect(f"{origin_to_ws(url)}{path}", line)
    return line


async def _open_all(open_one: Callable[[], Awaitable[AnyT]], calls: int) -> list[AnyT]:
    """Open so many calls, some at the same time; all are hung up if one cannot be opened."""
    places = asyncio.Semaphore(OPENED_AT_ONCE)

    async def open_in_turn() -> AnyT:
        async with places:
            return await open_one()

    opened = await asyncio.gather(*(open_in_turn() for _ in range(calls)), return_exceptions=True)
    lines = [line for line in opened if not isinstance(line, BaseException)]
    for fault in opened:
        if isinstance(fault, BaseException):
            hang_up(lines)
            raise fault
    return lines


def hang_up(lines: Sequence[TwilioLine | EviLine]) -> None:
    """End all these calls."""
    for line in lines:
        line.hang_up()


async def _connect(url: str, line: SocketListener) -> None:
    await connect(url, line, max_message_bytes=MAX_MESSAGE_BYTES, timeout_s=CONNECT_TIMEOUT_S)


def _decoded_bytes(base64: str) -> int:
    return len(base64) // 4 * 3 - base64[-2:].count("=")
