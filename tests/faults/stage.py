"""A service in a process of its own, between a carrier and an EVI server that a test plays.

One `Stage` is shared by the tests of a module; each test has a `Scene` with calls of its own.
"""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import aiohttp

from tests.faults.gate import Errand, Gate, gate
from tests.faults.proxy import Line, Proxy, proxy
from tests.parties import PATIENCE_S, TinyChat, TinyEvi, TinyTwilio, ticket_in, tiny_evi
from tests.processes import Running, running

AGENTS = Path(__file__).parent / "agents.py"
RESUME_S = 3.0
HTTP_TIMEOUT = aiohttp.ClientTimeout(total=10)
SILENCE = b"\xff" * 160
OF_PICOWS = "WS parser error"
"""How picows tells that a peer broke the protocol."""
NOT_WANTED = ("Traceback", "never retrieved", "was destroyed", "Exception ignored", "never awaited")


def pcm16(mulaw: int) -> bytes:
    """One sample of G.711 as linear PCM: each of the 256 codes but the two zeros is its own."""
    code = ~mulaw & 0xFF
    level = ((((code & 15) << 3) + 132) << (code >> 4 & 7)) - 132
    return (-level if code & 128 else level).to_bytes(2, "little", signed=True)


@dataclass
class Stage:
    """What all calls of a module share."""

    service: Running
    evi: TinyEvi
    to_evi: Proxy
    to_service: Proxy
    gate: Gate
    http: aiohttp.ClientSession

    async def ready(self) -> int:
        """Status of `/readyz`."""
        async with self.http.get(f"{self.service.origin}/readyz") as answer:
            return answer.status

    def assert_that_nothing_went_wrong_unseen(self) -> None:
        """The log, once the service has ended."""
        assert not self.evi.complaints
        log = "".join(self.service.log)
        assert not [words for words in NOT_WANTED if words in log], log
        events = [json.loads(line) for line in self.service.log if line.startswith("{")]
        faults = [
            e
            for e in events
            if "exception" in e
            or (e["level"] in ("error", "critical") and not e["event"].startswith(OF_PICOWS))
        ]
        assert not faults, faults
        began = Counter(e["call_id"] for e in events if e["event"] == "call_began")
        ended = Counter(e["call_id"] for e in events if e["event"] == "call_ended")
        assert began == ended, (began - ended, ended - began)
        assert set(began.values()) <= {1}, began


@asynccontextmanager
async def staged(agent: str = "agent", **variables: str) -> AsyncIterator[Stage]:
    """A running stage; its service has to end well, and its log has to be clean."""
    async with AsyncExitStack() as stack:
        evi = await stack.enter_async_context(tiny_evi())
        to_evi = await stack.enter_async_context(proxy(evi.origin))
        doors = await stack.enter_async_context(gate())
        settings = {
            "EVIBRIDGE_DRAIN_SECONDS": "0",
            "EVIBRIDGE_EVI_URL": to_evi.origin,
            "EVIBRIDGE_FALLBACK_NUMBER": "",
            "EVIBRIDGE_RESUME_SECONDS": str(RESUME_S),
            "FAULTS_GATE": str(doors.port),
            "TWILIO_ACCOUNT_SID": "",
            **variables,
        }
        service = await stack.enter_async_context(
            running(
                "run", f"{AGENTS}:{agent}", "--port", "0", announced_by="phone webhook", **settings
            )
        )
        to_service = await stack.enter_async_context(proxy(service.origin))
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=HTTP_TIMEOUT))
        stage = Stage(service, evi, to_evi, to_service, doors, http)
        yield stage
        code = await service.stop()
        assert code == 0, code
        stage.assert_that_nothing_went_wrong_unseen()


@dataclass
class Talk:
    """A call that has come as far as a conversation."""

    stage: Stage
    twilio: TinyTwilio
    chat: TinyChat
    sentences: int = 0
    fences: int = 0

    @property
    def call_sid(self) -> str:
        """Its id."""
        return self.twilio.call_sid

    @property
    def line_to_evi(self) -> Line:
        """The connection of its chat."""
        return self.stage.to_evi.line_to(self.chat.peer_port)

    @property
    def line_to_service(self) -> Line:
        """The connection of its stream."""
        port: int = self.twilio.socket.get_extra_info("sockname")[1]
        return self.stage.to_service.line_from(port)

    async def next_chat(self, *, within_s: float = PATIENCE_S) -> TinyChat:
        """The chat that goes on with this call's group, before it has begun."""
        group = self.chat.group_id
        try:
            self.chat = await self.stage.evi.next_chat(
                lambda chat: chat.query.get("resumed_chat_group_id") == group, within_s=within_s
            )
        except TimeoutError:
            told = "".join(line for line in self.stage.service.log if self.call_sid in line)
            raise AssertionError(f"the group is not resumed:\n{told}") from None
        return self.chat

    async def fresh_chat(self, *, within_s: float = PATIENCE_S) -> TinyChat:
        """A chat of a new group, before it has begun; no other call may be opening one."""
        self.chat = await self.stage.evi.next_chat(is_first, within_s=within_s)
        return self.chat

    async def resumed(self, *, within_s: float = PATIENCE_S) -> dict[str, Any]:
        """The chat that goes on with this call's group has begun; returns what it was told."""
        await self.next_chat(within_s=within_s)
        await self.chat.open()
        return await self.chat.expect("session_settings")

    async def lost(self) -> None:
        """The service knows that the chat is lost; asked before the next one."""
        await self.stage.service.told("chat_lost", call_id=self.call_sid)

    async def reads_all(self) -> None:
        """Everything that the caller's side has sent so far was read by the service."""
        before = len(self.stage.service.logged("digits_entered", call_id=self.call_sid))
        await self.twilio.press("#")
        await self.stage.service.told("digits_entered", times=before + 1, call_id=self.call_sid)

    async def agent_says(self, text: str, ms: int = 100, *, end: bool = True) -> str:
        """A sentence that reaches the phone; returns the id of its utterance."""
        self.sentences += 1
        utterance = f"{self.chat.chat_id}-{self.sentences}"
        await self.chat.say(utterance, text, ms, end=end)
        media = await self.twilio.expect("media")
        assert media["streamSid"] == self.twilio.stream_sid
        assert len(base64.b64decode(media["media"]["payload"])) == ms * 8
        return utterance

    async def caller_is_understood(self, text: str) -> None:
        """The server has told what the caller said, and the service has taken it in."""
        before = len(self.stage.service.logged("caller_said", call_id=self.call_sid))
        await self.chat.hear_user(text)
        await self.stage.service.told("caller_said", times=before + 1, call_id=self.call_sid)

    async def goes_on(self) -> None:
        """Both sides hear each other, and marks go to and fro."""
        await self.agent_says("We go on.")
        await self.twilio.echo((await self.twilio.expect("mark"))["mark"]["name"])
        await self.twilio.speak(SILENCE)
        await self.chat.expect("audio_input")

    async def reason(self, *, within_s: float = 10.0) -> str:
        """Why the call has ended, once it has."""
        ended = await self.stage.service.told(
            "call_ended", call_id=self.call_sid, within_s=within_s
        )
        reason: str = ended["reason"]
        return reason

    async def asks_what_comes_next(self, attempt: int = 1) -> str:
        """Twilio's question after a stream; returns the document."""
        status, document = await self.twilio.post(f"/twilio/stream-ended?attempt={attempt}")
        assert status == 200
        return document

    async def comes_back(self, document: str | None = None) -> TinyTwilio:
        """The caller is connected by the stream that the document wants."""
        document = document or await self.asks_what_comes_next()
        before, self.twilio = self.twilio, self.twilio.again()
        await self.twilio.connect()
        await self.twilio.start(ticket_in(document))
        return before


async def ordering(talk: Talk, tool_call_id: str = "first") -> Errand:
    """The tool that orders a book has been called, and runs."""
    await talk.chat.call_tool(tool_call_id, "order_book", '{"title": "Emma"}')
    return await talk.stage.gate.next(talk.call_sid)


async def told_until_now(talk: Talk, kind: str) -> list[dict[str, Any]]:
    """The messages of this kind that the chat has got, those on their way included."""
    talk.fences += 1
    fence = f"fence-{talk.fences}"
    await talk.chat.call_tool(fence, "order_status", '{"order_id": "7"}')
    messages = []
    async with asyncio.timeout(PATIENCE_S):
        while (message := await talk.chat.received.get()).get("tool_call_id") != fence:
            if message["type"] == kind:
                messages.append(message)
    return messages


def is_first(chat: TinyChat) -> bool:
    """Whether a chat begins a new group."""
    return "resumed_chat_group_id" not in chat.query


@asynccontextmanager
async def speaking(talk: Talk) -> AsyncIterator[None]:
    """Meanwhile the phone sends a frame every 20 ms, as phones do also when nobody speaks."""

    async def speak() -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            await talk.twilio.speak(SILENCE)
            due_s += 0.02
            await asyncio.sleep(max(0.0, due_s - loop.time()))

    task = asyncio.ensure_future(speak())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def verbs(document: str) -> list[tuple[str, str]]:
    """The verbs of a document, each with its text."""
    return [(verb.tag, "".join(verb.itertext())) for verb in ET.fromstring(document)]


HANG_UP = [("Hangup", "")]
APOLOGY = [("Say", "Sorry!"), ("Hangup", "")]
CLOSING = [("Say", "We close."), ("Hangup", "")]


def heard(message: dict[str, Any]) -> bytes:
    """Audio of an `audio_input`."""
    return base64.b64decode(message["data"])


@dataclass
class Scene:
    """One test's calls."""

    stage: Stage
    talks: list[Talk] = field(default_factory=list)
    carriers: list[TinyTwilio] = field(default_factory=list)
    spare: list[Talk] = field(default_factory=list)
    """Calls that were opened in advance."""

    def carrier(self) -> TinyTwilio:
        """A new call at the carrier's end, by a way that can be broken."""
        self.carriers.append(TinyTwilio(self.stage.to_service.origin, self.stage.http))
        return self.carriers[-1]

    async def ring(self) -> TinyTwilio:
        """A call whose stream has started; no chat of it has begun."""
        twilio = self.carrier()
        token = await twilio.ring()
        await twilio.connect()
        await twilio.start(token)
        return twilio

    async def talk(self) -> Talk:
        """A call that has come as far as a conversation."""
        twilio = await self.ring()
        chat = await self.stage.evi.next_chat(is_first)
        await chat.open()
        await chat.expect("session_settings")
        self.talks.append(Talk(self.stage, twilio, chat))
        return self.talks[-1]

    async def close(self) -> None:
        """End every call, whatever became of it."""
        self.stage.evi.refusals.clear()
        carriers = {id(each): each for each in self.carriers}
        carriers |= {id(talk.twilio): talk.twilio for talk in self.talks}
        began = self.stage.service.logged("call_began")
        calls = {line["call_id"] for line in began} & {each.call_sid for each in carriers.values()}
        for call_sid in {each.call_sid for each in carriers.values()}:
            await self._hang_up(call_sid)
        for call_sid in calls:
            await self.stage.service.told("call_ended", call_id=call_sid)
        self.stage.to_service.end()  # else a socket whose other end is gone is waited for
        self.stage.to_evi.end()
        for twilio in carriers.values():
            await twilio.close()
        self.stage.evi.forget_chats()

    async def _hang_up(self, call_sid: str) -> None:
        if self.stage.service.process.returncode is None:
            twilio = TinyTwilio(self.stage.service.origin, self.stage.http)
            twilio.call_sid = call_sid
            with suppress(aiohttp.ClientError):  # it may be about to end
                await twilio.post("/twilio/call-status", CallStatus="completed")
