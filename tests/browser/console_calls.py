"""Calls to look at in the console: a real service, an emulated phone, and a scripted EVI server.

What the EVI server says is up to the test: nothing depends on what a recogniser understands.
"""

import asyncio
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import numpy as np

from evibridge.emulators.call_report import AgentSpeech, CallEvent, CallEventKind, CallReport
from evibridge.emulators.caller import Listen, Say, Speech, Step
from evibridge.emulators.twilio import TwilioPhone
from evibridge.engine.hearing.ears import WhisperEars
from tests.browser.sound import Heard
from tests.browser.visitor import PATIENCE_S
from tests.parties import TinyChat, TinyEvi, tiny_evi
from tests.processes import Running, running

ADA, SAM, WALL = "ada-longs-for-tea", "sam-likes-his-coffee", "wall-has-many-eyes"
TOKENS = f"ada:control={ADA},sam:control={SAM},wall:read={WALL}"
TARGETS = {"Workshop": "+442079460100", "Accounts": "+442079460101"}
AGENT = Path(__file__).with_name("console_agent.py")
MODULE = "tests.browser.loopback_service"
RATE_HZ = 8000
PIECE = RATE_HZ // 100
"""Samples; see `Heard`."""
FRAME_MS = 20
EACH_S = 0.1
"""How often something is looked for of which nobody tells."""
AGENT_HZ = 500.0
"""Of the tone that stands for the agent's voice; see `tests.parties.wav`."""
CALLER_HZ = 1250.0
LEVEL = 8000


Found = TypeVar("Found")


def tone(hz: float, ms: int) -> bytes:
    """Int16 mono PCM at 8 kHz."""
    at_s = np.arange(RATE_HZ * ms // 1000) / RATE_HZ
    pcm16: bytes = (LEVEL * np.sin(2 * np.pi * hz * at_s)).astype("<i2").tobytes()
    return pcm16


class Phone:
    """Somebody who calls, and does what he is told to do while the call goes on.

    Attributes:
        number: of the caller
        events: what his phone has noticed so far
        heard: what came to his ear, one stretch of sound after another, as far as they are over
    """

    def __init__(self, origin: str, number: str) -> None:
        self.number = number
        self.events: list[CallEvent] = []
        self.heard: list[AgentSpeech] = []
        self._todo: deque[Step] = deque()
        self._is_done = False
        self._news = asyncio.Event()
        phone = TwilioPhone(f"{origin}/twilio/voice", from_number=number, limit_s=120)
        calling = phone.call(self._script(), on_event=self._noticed, on_agent_speech=self._finished)
        self._call = asyncio.create_task(calling)

    def speaks(self, pcm16: bytes) -> None:
        """Make a sound: int16 mono PCM at 8 kHz."""
        self._todo.append(Say(Speech(pcm16)))

    async def hangs_up(self) -> CallReport:
        """Leave, if the call is not over yet."""
        self._is_done = True
        return await self.ended()

    async def ended(self) -> CallReport:
        """Wait for the end of the call."""
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.shield(self._call)

    async def notices(self, kind: CallEventKind, *, after: int = 0) -> CallEvent:
        """Wait for an event of this kind.

        Args:
            kind: of the event
            after: how many events had come before; see `now`
        """
        return await self._until(
            lambda: next((each for each in self.events[after:] if each.kind is kind), None)
        )

    async def hears(self, *words: str, ears: WhisperEars, since: int = 0) -> str:
        """Wait until a voice has said one of these words; returns all that it has said.

        Args:
            words: in small letters
            ears: that understand the voice
            since: how many stretches of sound were over before
        """
        said = ""
        for at in itertools.count(since):
            speech = await self._until(partial(self._stretch, at))
            pieces = np.frombuffer(speech.pcm16_8k, np.int16)
            pieces = pieces[: len(pieces) // PIECE * PIECE].reshape(-1, PIECE)
            said += " " + await Heard(RATE_HZ, pieces, np.zeros(len(pieces))).words(ears)
            if any(word in said.lower() for word in words):
                break
        return said

    @property
    def now(self) -> int:
        """How many events there were so far."""
        return len(self.events)

    def _script(self) -> Iterator[Step]:
        while not self._is_done:
            yield self._todo.popleft() if self._todo else Listen(FRAME_MS)

    def _stretch(self, at: int) -> AgentSpeech | None:
        return self.heard[at] if at < len(self.heard) else None

    def _noticed(self, event: CallEvent) -> None:
        self.events.append(event)
        self._news.set()

    def _finished(self, speech: AgentSpeech) -> None:
        self.heard.append(speech)
        self._news.set()

    async def _until(self, find: Callable[[], Found | None]) -> Found:
        async with asyncio.timeout(PATIENCE_S):
            while (found := find()) is None:
                self._news.clear()
                await self._news.wait()
        return found


class ConsoleCall:
    """A call whose caller and whose agent do what a test wants.

    Attributes:
        phone: the caller's end
        chat: the agent's end
        call_id: as the service names it
    """

    def __init__(self, phone: Phone, chat: TinyChat, call_id: str) -> None:
        self.phone = phone
        self.chat = chat
        self.call_id = call_id
        self._utterances = itertools.count()
        self._tools = itertools.count()

    @property
    def number(self) -> str:
        """Of the caller."""
        return self.phone.number

    async def agent_says(self, text: str, ms: int = 600) -> None:
        """The agent speaks for so long: a tone."""
        await self.chat.say(f"utterance-{next(self._utterances)}", text, ms)

    async def caller_says(self, text: str) -> None:
        """The EVI server has understood this."""
        await self.chat.hear_user(text)

    async def calls_tool(self, name: str, **parameters: str) -> str:
        """The model wants a function to run; returns the id of this wish."""
        tool_call_id = f"tool-{next(self._tools)}"
        await self.chat.call_tool(tool_call_id, name, json.dumps(parameters))
        return tool_call_id

    async def expects(self, kind: str) -> dict[str, Any]:
        """The next message of this type that comes by the chat's socket."""
        return await self.chat.expect(kind, within_s=PATIENCE_S)


class ConsoleCalls:
    """A service, and whoever calls it."""

    def __init__(self, service: Running, evi: TinyEvi, folder: Path) -> None:
        self.service = service
        self.evi = evi
        self.folder = folder
        self._numbers = itertools.count(100)
        self._phones: list[Phone] = []

    async def call(self) -> ConsoleCall:
        """Somebody calls from a number of his own, and is answered."""
        phone = Phone(self.service.origin, f"+447700900{next(self._numbers)}")
        self._phones.append(phone)
        chat = await self.next_chat()
        for call in await self._live():
            if call["caller"] == phone.number:
                return ConsoleCall(phone, chat, call["call_id"])
        raise AssertionError("the service does not know the call")

    async def next_chat(self) -> TinyChat:
        """The next chat that the service opens."""
        chat = await self.evi.next_chat(within_s=PATIENCE_S)
        await chat.open()
        return chat

    async def evi_is_told(self, call: ConsoleCall, kind: str, **members: Any) -> dict[str, Any]:
        """Wait for a message about this call that comes by the control plane."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                chat_id, message = await self.evi.posted.get()
                is_wanted = chat_id == call.chat.chat_id and message["type"] == kind
                if is_wanted and members.items() <= message.items():
                    return message

    async def context_of(self, call: ConsoleCall, words: str) -> str:
        """Wait until the model is told of these words in its context; returns all of that."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                settings = await self.evi_is_told(call, "session_settings")
                text = str((settings.get("context") or {}).get("text", ""))
                if words in text:
                    return text

    async def clear(self) -> None:
        """All callers leave."""
        phones, self._phones = self._phones, []
        await asyncio.gather(*(phone.hangs_up() for phone in phones))
        self.evi.forget_chats()

    async def puts_through(self, call: ConsoleCall, to: str) -> None:
        """Sam has the carrier dial a number for the caller."""
        path = f"/v1/calls/{call.call_id}/transfer"
        async with self._as(SAM) as http, http.post(path, json={"to": to}) as answer:
            assert answer.status == 200, await answer.text()

    async def record_of(self, call: ConsoleCall) -> dict[str, Any]:
        """Wait until the record of a call that has ended is written, and can be found."""
        path = f"/v1/calls/{call.call_id}"
        async with self._as(WALL) as http, asyncio.timeout(PATIENCE_S):
            while True:
                async with http.get(path) as answer:
                    known = await answer.json()
                if known.get("ended") is not None:
                    break
                await asyncio.sleep(EACH_S)
            async with http.get(f"{path}/record") as answer:
                assert answer.status == 200, await answer.text()
                record: dict[str, Any] = await answer.json()
        return record

    async def _live(self) -> list[dict[str, Any]]:
        async with self._as(WALL) as http, http.get("/v1/calls") as answer:
            calls: list[dict[str, Any]] = (await answer.json())["calls"]
            return calls

    def _as(self, token: str) -> aiohttp.ClientSession:
        headers = {"Authorization": f"Bearer {token}"}
        return aiohttp.ClientSession(self.service.origin, headers=headers)


@asynccontextmanager
async def open_console_calls(folder: Path) -> AsyncIterator[ConsoleCalls]:
    """A running service with operators, which records calls in a folder."""
    async with AsyncExitStack() as leaving:
        evi = await leaving.enter_async_context(tiny_evi())
        service = await leaving.enter_async_context(
            running(
                *("run", str(AGENT), "--port", "0", "--evi-url", evi.origin),
                announced_by="phone webhook",
                module=MODULE,
                EVIBRIDGE_OPERATOR_TOKEN=TOKENS,
                EVIBRIDGE_TRANSFER_TARGETS=",".join(f"{k}={v}" for k, v in TARGETS.items()),
                EVIBRIDGE_DATA_DIR=str(folder),
                EVIBRIDGE_RECORD="true",
                EVIBRIDGE_DRAIN_SECONDS="0",
                HUME_API_KEY="any",
            )
        )
        yield ConsoleCalls(service, evi, folder)
