"""A whole call without sockets: the real `Call` between a telephone and an EVI server in memory.

Both keep time by the running loop, so that a virtual clock drives them.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import HangUp
from evibridge.agent.call import Call
from evibridge.agent.call_plan import CallerFacts, CallPlan
from evibridge.agent.control_plane import ControlPlane
from evibridge.agent.course import CallLimits
from evibridge.agent.evi_client import EviServer
from evibridge.agent.manners import Manners
from evibridge.audio.wav import parse_wav
from evibridge.errors import LinkUnreachable
from evibridge.events import CallEvent, EndReason
from evibridge.sockets import Socket, SocketListener
from evibridge.tools_registry.registry import Tools
from evibridge.tools_registry.runner import ToolRunner
from tests.parties import wav

E = TypeVar("E", bound=CallEvent)

BYTES_PER_MS = 16
"""int16 mono PCM at 8 kHz."""
PIECE_MS = 200
LOUD = b"\x00\x20" * (PIECE_MS * 8)
SILENT = bytes(PIECE_MS * BYTES_PER_MS)
CHAT_LASTS_S = 1800.0
HOLD = "One moment, I ask a colleague."


class MemoryPhone:
    """The caller's leg: plays in real time out of a buffer, as a carrier does."""

    audio = evi.AudioFormat(sample_rate=8000)
    can_transfer = True

    def __init__(self) -> None:
        self.tap: Callable[[bytes], None] | None = None
        self.call: Call | None = None
        self.hung_up_for: EndReason | None = None
        self.transferred_to: str | None = None
        self.carrier_says: str | None = None
        self.was_released = False
        self.plays_until_s = 0.0
        self.sounds: list[tuple[float, float]] = []
        """When something was heard, from and to."""
        self._marks: list[tuple[asyncio.TimerHandle, str]] = []

    def play(self, sound: bytes) -> float:
        parsed = parse_wav(sound)
        duration_ms = len(parsed.data) / 2 / parsed.rate_hz * 1000
        begin_s = max(asyncio.get_running_loop().time(), self.plays_until_s)
        self.plays_until_s = begin_s + duration_ms / 1000
        self.sounds.append((begin_s, self.plays_until_s))
        if self.tap is not None:  # whatever it is, it is heard as a hum
            self.tap(b"\x00\x20" * round(duration_ms * BYTES_PER_MS / 2))
        return duration_ms

    def mark(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        self._marks.append((loop.call_at(self.plays_until_s, self._echo, name), name))

    def clear(self) -> None:
        now_s = asyncio.get_running_loop().time()
        self.plays_until_s = now_s
        self.sounds = [(begin_s, min(end_s, now_s)) for begin_s, end_s in self.sounds]
        marks, self._marks = self._marks, []
        for timer, name in marks:
            timer.cancel()
            self._echo(name)

    def hang_up(self, how: HangUp) -> None:
        self.hung_up_for, self.transferred_to = how.reason, how.transfer_to
        self.carrier_says = how.last_words

    def release(self) -> None:
        self.was_released = True

    def _echo(self, name: str) -> None:
        if self.call is not None and not self.was_released:
            self.call.playback_heard(name)


@dataclass
class MemoryChat:
    """One chat, at the server's end."""

    server: "MemoryEvi"
    listener: SocketListener
    group: str
    resumes: bool
    told: list[dict[str, Any]] = field(default_factory=list)
    audio: bytearray = field(default_factory=bytearray)
    is_open: bool = True
    backlog: int = 0

    def unsent_bytes(self) -> int:
        return self.backlog

    def send_text(self, text: bytes, /) -> None:
        message = json.loads(text)
        if message["type"] == "audio_input":
            self.audio += base64.b64decode(message["data"])
        else:
            self.told.append(message)
            self.server.on_message(self, message)

    def send_binary(self, data: bytes) -> None:
        raise AssertionError(f"nothing binary is sent to EVI: {data!r}")

    def close(self, code: int = 1000, reason: str = "") -> None:
        del reason
        self.end(code)

    def abort(self) -> None:
        self.end(1006)

    def end(self, code: int) -> None:
        """The chat is over; the client hears of it a little later."""
        if self.is_open:
            self.is_open = False
            asyncio.get_running_loop().call_soon(self.listener.on_close, code, "")

    def say(self, **message: Any) -> None:
        """Send a message of the server's."""
        if self.is_open:
            self.listener.on_text(json.dumps(message).encode())

    def speak(self, utterance_id: str, text: str, ms: int) -> None:
        """A sentence with its audio, and the end of the turn."""
        said = {"role": "assistant", "content": text}
        self.say(type="assistant_message", id=utterance_id, message=said)
        data = base64.b64encode(wav(ms)).decode()
        self.say(type="audio_output", id=utterance_id, index=0, data=data)
        self.say(type="assistant_end")

    def hear(self, text: str) -> None:
        """Tell what the caller said."""
        self.say(type="user_message", message={"role": "user", "content": text}, interim=False)

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """What it was told, of one type."""
        return [message for message in self.told if message["type"] == kind]


def _ignore(chat: MemoryChat, message: dict[str, Any]) -> None:
    del chat, message


class MemoryEvi:
    """An EVI server that can be reached, or not; it ends every chat after half an hour."""

    def __init__(self) -> None:
        self.chats: list[MemoryChat] = []
        self.is_up = True
        self.on_message: Callable[[MemoryChat, dict[str, Any]], None] = _ignore

    async def dial(
        self,
        url: str,
        listener: SocketListener,
        *,
        headers: Mapping[str, str] | None = None,
        max_message_bytes: int,
        timeout_s: float,
        ping_after_s: float,
    ) -> Socket:
        del headers, max_message_bytes, timeout_s, ping_after_s
        await asyncio.sleep(0.05)
        if not self.is_up:
            raise LinkUnreachable("Nobody is there.")
        resumed = parse_qs(urlsplit(url).query).get("resumed_chat_group_id")
        group = resumed[0] if resumed else f"group-{len(self.chats)}"
        chat = MemoryChat(self, listener, group, resumes=resumed is not None)
        self.chats.append(chat)
        listener.on_open(chat)
        number = len(self.chats)
        chat.say(type="chat_metadata", chat_id=f"chat-{number}", chat_group_id=group)
        asyncio.get_running_loop().call_later(CHAT_LASTS_S, self._too_long, chat)
        return chat

    def go_down(self) -> None:
        """Every connection breaks, and no new one is to be had."""
        self.is_up = False
        for chat in self.chats:
            chat.end(1006)

    @property
    def open_chats(self) -> list[MemoryChat]:
        return [chat for chat in self.chats if chat.is_open]

    @staticmethod
    def _too_long(chat: MemoryChat) -> None:
        chat.say(type="error", code="E0715", slug="max_duration_timeout", message="too long")
        chat.end(1000)


class Stage:
    """A call from its beginning to its end.

    Args:
        tools: what the agent may call
        manners: how the call is held
        call_s: its longest duration
        filler: sound for who waits
        control_plane: of the server
        facts: who calls
    """

    def __init__(
        self,
        tools: Tools | None = None,
        manners: Manners | None = None,
        *,
        call_s: float = 4 * 3600.0,
        filler: bytes | None = None,
        control_plane: ControlPlane | None = None,
        facts: CallerFacts | None = None,
    ) -> None:
        self.evi = MemoryEvi()
        self.phone = MemoryPhone()
        self.events: list[CallEvent] = []
        self.unpublishable: set[type] = set()
        """Kinds of events whose reader fails."""
        self.spoken_ms = 0
        plan = CallPlan(
            server=EviServer("http://evi.example", dial=self.evi.dial),
            control_plane=control_plane or ControlPlane("http://evi.example", None),
            settings=lambda: evi.SessionSettings(
                system_prompt="Be brief.", variables={"shop": "Lantern"}
            ),
            tools=ToolRunner(tools or Tools(), default_timeout_s=5),
            limits=CallLimits(call_s=call_s, resume_s=20),
            publish=self._publish,
            manners=manners or Manners(filler=None),
            filler=lambda: filler,
        )
        self.call = Call(facts or CallerFacts("CA1"), self.phone, plan)
        self.phone.call = self.call
        self._running = asyncio.create_task(self.call.run())

    async def talk(self, seconds: float, *, loud: bool = False) -> None:
        """The caller's line carries sound or silence for a while."""
        for _ in range(round(seconds * 1000 / PIECE_MS)):
            await asyncio.sleep(PIECE_MS / 1000)
            self.call.caller_audio(LOUD if loud else SILENT)
            self.spoken_ms += PIECE_MS

    async def ended(self) -> EndReason:
        """Wait for the end."""
        return await self._running

    async def leave(self) -> EndReason:
        """The caller hangs up."""
        self.call.caller_left(EndReason.CALLER_HUNG_UP)
        return await self._running

    def _publish(self, _: str, event: CallEvent) -> None:
        if type(event) in self.unpublishable:
            raise BrokenPipeError("nobody reads the log any more")
        self.events.append(event)

    def of_type(self, kind: type[E]) -> list[E]:
        """What was published, of one type."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def heard_ms(self) -> float:
        """Audio of the caller that reached some chat."""
        return sum(len(chat.audio) for chat in self.evi.chats) / BYTES_PER_MS
