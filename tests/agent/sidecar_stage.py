"""A whole sidecar without sockets: the real `SidecarCall` beside a chat in memory.

Everything keeps time by the running loop, so that a virtual clock drives it.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, TypeVar

import orjson

from evibridge.agent import evi_messages as evi
from evibridge.agent.call_plan import CallPlan
from evibridge.agent.commands import Via
from evibridge.agent.control_plane import ControlPlane, DeliveryUnknown
from evibridge.agent.course import CallLimits
from evibridge.agent.evi_client import EviServer
from evibridge.agent.evi_codec import encode
from evibridge.agent.sidecar_call import SidecarCall
from evibridge.errors import LinkRefused, LinkUnreachable
from evibridge.events import CallEvent, EndReason, ToolPath
from evibridge.sockets import Socket, SocketListener
from evibridge.tools_registry.registry import Tools
from evibridge.tools_registry.runner import ToolRunner

E = TypeVar("E", bound=CallEvent)

CHAT_ID = "2c3a8636-2dde-47f1-8f9e-cea27791fd2e"
GROUP_ID = "8859a139-d98a-4e2f-af54-9dd66d8c96e1"


class MemoryMirror:
    """One mirror, at the server's end."""

    def __init__(self, chat: "MirroredChat", listener: SocketListener) -> None:
        self._chat = chat
        self._listener = listener
        self.is_open = True

    def unsent_bytes(self) -> int:
        return 0

    def send_text(self, text: bytes, /) -> None:
        if self.is_open:
            self._chat.take(Via.CHAT_SOCKET, json.loads(text))

    def send_binary(self, data: bytes) -> None:
        raise AssertionError(f"nothing binary is sent to EVI: {data!r}")

    def close(self, code: int = 1000, reason: str = "") -> None:
        del reason
        self.end(code)

    def abort(self) -> None:
        self.end(1006)

    def end(self, code: int) -> None:
        """The mirror is gone; the client hears of it a little later."""
        if self.is_open:
            self.is_open = False
            asyncio.get_running_loop().call_soon(self._listener.on_close, code, "")

    def tell(self, message: dict[str, Any]) -> None:
        if self.is_open:
            self._listener.on_text(orjson.dumps(message))


class MirroredChat:
    """A chat that somebody else has opened, its mirrors and its control plane.

    Attributes:
        refuses: HTTP status for mirrors; 0 leaves them without an answer
        is_up: whether mirrors can be opened
        history: what the chat has said
        told: what it was told, and how
    """

    def __init__(self) -> None:
        self.refuses: int | None = None
        self.is_up = True
        self.history: list[dict[str, Any]] = [
            {"type": "chat_metadata", "chat_id": CHAT_ID, "chat_group_id": GROUP_ID}
        ]
        self.mirrors: list[MemoryMirror] = []
        self.told: list[tuple[Via, dict[str, Any]]] = []

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
        del headers, max_message_bytes, ping_after_s
        assert url == f"ws://evi.example/v0/evi/chat/{CHAT_ID}/connect"
        await asyncio.sleep(0.05)
        if not self.is_up:
            raise LinkUnreachable("Nobody is there.")
        if self.refuses == 0:
            await asyncio.sleep(timeout_s)
            raise LinkUnreachable("Nobody has answered.")
        if self.refuses is not None:
            raise LinkRefused(url, self.refuses)
        mirror = MemoryMirror(self, listener)
        self.mirrors.append(mirror)
        listener.on_open(mirror)
        for message in self.history:
            mirror.tell(message)
        return mirror

    def say(self, **message: Any) -> None:
        """Tell every mirror, and those that will come."""
        self.history.append(message)
        for mirror in self.mirrors:
            mirror.tell(message)

    def hear(self, text: str, **more: Any) -> None:
        """Tell what the caller said."""
        self.say(type="user_message", message={"role": "user", "content": text}, **more)

    def speak(self, utterance_id: str | None, text: str, **more: Any) -> None:
        """Tell a sentence of the agent."""
        said = {"role": "assistant", "content": text}
        self.say(type="assistant_message", id=utterance_id, message=said, **more)

    def call_tool(self, tool_call_id: str, name: str, parameters: str = "{}") -> None:
        """The model uses a tool."""
        self.say(type="tool_call", tool_call_id=tool_call_id, name=name, parameters=parameters)

    def lose_mirrors(self, code: int = 1006) -> None:
        """Every mirror is gone."""
        for mirror in self.mirrors:
            mirror.end(code)

    def take(self, via: Via, message: dict[str, Any]) -> None:
        self.told.append((via, message))

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """What it was told, of one type."""
        return [message for _, message in self.told if message["type"] == kind]

    @property
    def kinds(self) -> list[str]:
        """Types of what it was told."""
        return [message["type"] for _, message in self.told]


class MemoryControlPlane(ControlPlane):
    """The control plane of one chat.

    Attributes:
        latency_s: of an answer
        is_up: whether it can be reached
        is_silent: whether it gives no answer, though it takes the message
        refuses: HTTP status for everything
    """

    def __init__(self, chat: MirroredChat) -> None:
        super().__init__("http://evi.example", None)
        self._chat = chat
        self.latency_s = 0.01
        self.is_up = True
        self.is_silent = False
        self.refuses: int | None = None

    async def send(
        self, chat_id: str, message: evi.ClientMessage, *, is_only_way: bool = False
    ) -> None:
        del is_only_way
        assert chat_id == CHAT_ID
        await asyncio.sleep(self.latency_s)
        if not self.is_up:
            raise LinkUnreachable("Nobody is there.")
        if self.refuses is not None:
            raise LinkRefused("the control plane", self.refuses)
        self._chat.take(Via.CONTROL_PLANE, json.loads(encode(message)))
        if self.is_silent:
            await asyncio.sleep(2)
            raise DeliveryUnknown("No answer has come.")


class SidecarStage:
    """A sidecar from its beginning to its end.

    Args:
        tools: what the agent may call
        limits: of the sidecar
        has_webhooks: whether webhooks come for the chat
        chat: beside which it is
    """

    def __init__(
        self,
        tools: Tools | None = None,
        limits: CallLimits | None = None,
        *,
        has_webhooks: bool = False,
        chat: MirroredChat | None = None,
    ) -> None:
        self.chat = chat or MirroredChat()
        self.control_plane = MemoryControlPlane(self.chat)
        self.events: list[CallEvent] = []
        self.unpublishable: set[type] = set()
        """Kinds of events whose reader fails."""
        tools = tools or Tools()
        offers = tuple(evi.ToolOffer(tool.name, "{}") for tool in tools.definitions())
        plan = CallPlan(
            server=EviServer("http://evi.example", dial=self.chat.dial),
            control_plane=self.control_plane,
            settings=lambda: evi.SessionSettings(
                system_prompt="Be brief.", voice_id="a-voice", tools=offers or None
            ),
            tools=ToolRunner(tools, default_timeout_s=5),
            limits=limits or CallLimits(),
            publish=self._publish,
        )
        self.call = SidecarCall(CHAT_ID, plan)
        if has_webhooks:
            self.call.webhooks_come(GROUP_ID, "+14155550100", None)
        self.running = asyncio.create_task(self.call.run())

    def deliver(self, tool_call_id: str, name: str, parameters: str = "{}") -> None:
        """A webhook tells of a tool call."""
        call = evi.ToolCall(tool_call_id, name, parameters)
        self.call.tool_called(call, ToolPath.WEBHOOK)

    async def leave(self) -> EndReason:
        """The chat ends."""
        self.call.webhook_ended()
        return await self.running

    def _publish(self, call_id: str, event: CallEvent) -> None:
        assert call_id == CHAT_ID
        if type(event) in self.unpublishable:
            raise BrokenPipeError("nobody reads the log any more")
        self.events.append(event)

    def of_type(self, kind: type[E]) -> list[E]:
        """What was published, of one type."""
        return [event for event in self.events if isinstance(event, kind)]
