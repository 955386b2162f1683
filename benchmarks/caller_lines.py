"""A caller's connection in both protocols: a phone at Twilio's end, and a plain EVI client."""

import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import aiohttp
import orjson
import pybase64

from benchmarks.evi_stand_in import ANSWER_MS, CHAT_PATH, MAX_MESSAGE_BYTES
from benchmarks.heard import Ear
from benchmarks.sound import MIDWAY, sound
from evibridge.audio.g711 import mulaw_to_pcm16, pcm16_to_mulaw
from evibridge.audio.wav import mono_pcm16, parse_wav
from evibridge.sockets import Socket, SocketListener, connect, origin_to_ws

FRAME_MS = 20
RATE_HZ = 8_000
CONNECT_TIMEOUT_S = 10.0
VOICE_PATH = "/twilio/voice"
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
        token: the ticket from the webhook's answer; empty without a webhook
    """

    def __init__(self, call_sid: str, token: str) -> None:
        self.ear = Ear(MIDWAY)
        self.frames_sent = 0
        self._call_sid = call_sid
        self._token = token
        self._stream_sid = f"MZ{uuid.uuid4().hex}"
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
                "customParameters": {"token": self._token},
            },
        )

    def send_frame(self, now_s: float) -> None:
        """The caller's next 20 ms."""
        loud = _asks(self.frames_sent)
        if loud:
            self.ear.ask(now_s)
        self.send_payload(_PAYLOAD[loud], now_s)

    def send_payload(self, payload: bytes, now_s: float) -> None:
        """20 ms of mu-law in base64; Twilio numbers messages and frames in strings."""
        while self._marks and self._marks[0][0] <= now_s:
            self._echo_mark()
        self.frames_sent += 1
        self._sequence += 1
        self._socket.send_text(
            b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d",'
            b'"timestamp":"%d","payload":"%b"},"streamSid":"%b"}'
            % (
                self._sequence,
                self.frames_sent,
                self.frames_sent * FRAME_MS,
                payload,
                self._stream_sid.encode(),
            )
        )

    def on_text(self, text: bytes) -> None:
        """Play audio; Twilio: a mark is echoed when what came before it was played."""
        now_s = time.perf_counter()
        message = orjson.loads(text)
        if message["event"] == "media":
            mulaw = pybase64.b64decode(message["media"]["payload"])
            self.hear(mulaw_to_pcm16(mulaw), now_s)
        elif message["event"] == "mark":
            self._marks.append((self.ear.played_until_s, message["mark"]["name"]))
        elif message["event"] == "clear":
            self.clear(now_s)

    def hear(self, pcm16: bytes, now_s: float) -> None:
        """Audio of the agent has come in."""
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

    def on_text(self, text: bytes) -> None:
        """Play audio."""
        now_s = time.perf_counter()
        message = orjson.loads(text)
        if message["type"] == "audio_output":
            wav = parse_wav(pybase64.b64decode(message["data"]))
            self.hear(mono_pcm16(wav), wav.rate_hz, now_s)
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


async def dial_twilio(origin: str, calls: int) -> list[TwilioLine]:
    """Calls that come in by the webhook."""
    return await ring(origin, calls, TwilioLine)


async def ring(origin: str, calls: int, line: Callable[[str, str], LineT]) -> list[LineT]:
    """Calls that come in by the webhook, with lines of a kind of their own."""
    lines = []
    async with aiohttp.ClientSession() as http:
        for _ in range(calls):
            call_sid = new_call_sid()
            token = token_in(await ask(http, f"{origin}{VOICE_PATH}", call_sid))
            lines.append(await open_stream(origin, line(call_sid, token)))
    return lines


async def dial_stream(origin: str, calls: int) -> list[TwilioLine]:
    """Media streams for a program that has no webhook."""
    return [await open_stream(origin, TwilioLine(new_call_sid(), "")) for _ in range(calls)]


async def dial_evi(origin: str, calls: int) -> list[EviLine]:
    """Chats without a bridge."""
    return await open_chats(chat_url(origin), [EviLine() for _ in range(calls)])


async def open_chats(url: str, lines: list[ChatT]) -> list[ChatT]:
    """Chats without a bridge, with lines of a kind of their own."""
    for line in lines:
        await _connect(url, line)
    return lines


def chat_url(origin: str) -> str:
    """URL of a chat that announces the telephone's format."""
    audio_format = {
        "session_settings[audio][encoding]": "linear16",
        "session_settings[audio][sample_rate]": RATE_HZ,
        "session_settings[audio][channels]": 1,
    }
    return f"{origin_to_ws(origin)}{CHAT_PATH}?{urlencode(audio_format)}"


def new_call_sid() -> str:
    """Twilio's name of a call."""
    return f"CA{uuid.uuid4().hex}"


async def ask(http: aiohttp.ClientSession, url: str, call_sid: str, **fields: str) -> str:
    """Twilio's question what to do with a call; returns the document."""
    form = {"CallSid": call_sid, "From": "+14155550100", "To": "+14155550199", **fields}
    async with http.post(url, data=form) as answer:
        return await answer.text()


async def open_stream(origin: str, line: LineT) -> LineT:
    """Open the media socket of a call."""
    await _connect(f"{origin_to_ws(origin)}/twilio/media", line)
    return line


async def _connect(url: str, line: SocketListener) -> None:
    await connect(url, line, max_message_bytes=MAX_MESSAGE_BYTES, timeout_s=CONNECT_TIMEOUT_S)


def token_in(twiml: str) -> str:
    """The ticket in the webhook's answer.

    Raises:
        RuntimeError: the answer connects no stream
    """
    parameter = ET.fromstring(twiml).find("./Connect/Stream/Parameter[@name='token']")
    if parameter is None:
        raise RuntimeError(f"The webhook's answer connects no stream: {twiml}")
    return parameter.attrib["value"]
