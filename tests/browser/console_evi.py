"""An EVI server that holds a conversation with whoever makes a sound, and measures expressions.

Nothing is understood: words come from a list, and time from the wall clock. A sound of the caller's
is transcribed while it lasts; when it is over it is answered. What a conversation is about differs
from chat to chat, in the order in which they are opened.
"""

import asyncio
import base64
import itertools
import random
import time
import uuid
from array import array
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
from aiohttp import WSMsgType, web

from evibridge.audio.wav import wav_file

CHAT_PATH = "/v0/evi/chat"
RATE_HZ = 48_000
"""EVI: audio output is WAV at 48 kHz."""
CHUNK_MS = 200
MS_PER_CHARACTER = 55
LOUD = 400
"""Level of a voice, in int16."""
QUIET_S = 0.5
"""After which a turn of the caller's is over."""
INTERIM_EVERY_S = 0.4
EXPRESSIONS = (
    "Calmness", "Interest", "Annoyance", "Determination", "Anxiety", "Relief", "Concentration",
    "Disappointment", "Satisfaction", "Sympathy", "Tiredness", "Contemplation", "Doubt", "Joy",
)  # fmt: skip
TOLD = (
    "Hello, yes, I ordered a book two weeks ago and it still hasn't come.",
    "It's HB, one oh four eight two.",
    "No, the website has said Leeds for nine days now.",
    "Is there another copy in the shop?",
    "Hm. My sister's birthday is on Saturday, so I can't wait for the post again.",
    "Yes please. And I'd like the money back for the lost one.",
    "That's fine, I'll wait.",
    "And could you tell me whether you're open on Sunday?",
)
ANSWERS = (
    "I'm sorry about the wait. Could you read me the number on the receipt?",
    "Thank you. It left us on the seventh and was seen in Leeds on the tenth. It comes on Friday.",
    "You're right. Nine days without a scan means it is probably lost.",
    "There is one paperback at the harbour shop, and four at the warehouse.",
    "Then the shop is the safe choice. I can hold that copy under your name until Saturday.",
    "The copy is held until six on Saturday, code seven seven three one.",
    "Of course. Is there anything else that I can do for you?",
)
GREETING = "Harbour Books, good afternoon. This is the automated desk. How can I help?"
TOOLS: Sequence[Sequence[tuple[str, dict[str, str]]]] = (
    (
        ("refund_order", {"order_id": "HB-10482", "amount": "12.99"}),
        ("order_status", {"order_id": "HB-10482"}),
    ),
    (("check_stock", {"isbn": "9780099284093"}),),
    (("book_courier", {"order_id": "HB-11004"}), ("order_status", {"order_id": "HB-11004"})),
    (("order_status", {"order_id": "HB-10960"}),),
    (),
)
"""What is called in turns of a chat, one after another and again; chats take their rows in turn."""
TOOL_EACH = 3
"""Turns from one call to the next."""


class Voice:
    """A sound that looks like speech: syllables, and pauses between words.

    Args:
        pitch_hz: of the voice
        rate_hz: of the samples
    """

    def __init__(self, pitch_hz: float, rate_hz: int) -> None:
        self._pitch_hz = pitch_hz
        self._rate_hz = rate_hz

    def says(self, duration_ms: int) -> bytes:
        """Int16 mono PCM."""
        at_s = np.arange(self._rate_hz * duration_ms // 1000) / self._rate_hz
        tone = sum(np.sin(2 * np.pi * self._pitch_hz * n * at_s) / n for n in range(1, 6))
        syllables = np.clip(np.sin(2 * np.pi * 3.6 * at_s) + 0.55, 0.04, 1)
        words = 0.5 + 0.5 * np.abs(np.sin(2 * np.pi * 0.43 * at_s + self._pitch_hz))
        samples: bytes = (6000 * tone * syllables * words).astype("<i2").tobytes()
        return samples


class Chat:
    """One conversation.

    Args:
        socket: of the client
        number: of the chat, from 0
    """

    def __init__(self, socket: web.WebSocketResponse, number: int) -> None:
        self._socket = socket
        self._random = random.Random(number)
        self._voice = Voice(180 + 10 * (number % 4), RATE_HZ)
        self._told = itertools.cycle(TOLD)
        self._answers = itertools.cycle(ANSWERS)
        self._tools = itertools.cycle(TOOLS[number % len(TOOLS)] or (None,))
        self._turns = 0
        self._began_s = time.monotonic()
        self._loud_from_s: float | None = None
        self._loud_at_s = 0.0
        self._told_interim = 0
        self._words = ""
        self._talks_until_s = 0.0
        self._is_paused = False
        self._open_tool = ""
        self._answer: asyncio.Task[None] | None = None

    async def hold(self) -> None:
        """Until the client leaves."""
        chat_id = str(uuid.uuid4())
        await self._send("chat_metadata", chat_id=chat_id, chat_group_id=chat_id)
        watch = asyncio.create_task(self._watch())
        self._begin(self._speak(GREETING))
        try:
            async for message in self._socket:
                if message.type is WSMsgType.BINARY:
                    self._hear(message.data)
                elif message.type is WSMsgType.TEXT:
                    self._take(orjson.loads(message.data))
        finally:
            watch.cancel()
            if self._answer is not None:
                self._answer.cancel()

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "audio_input":
                self._hear(base64.b64decode(message["data"]))
            case "assistant_input":
                self._begin(self._speak(message["text"]))
            case "user_input":
                self._begin(self._typed(message["text"]))
            case "tool_response" | "tool_error" if message["tool_call_id"] == self._open_tool:
                self._open_tool = ""
                self._begin(self._speak(next(self._answers)))
            case "pause_assistant_message":
                self._is_paused = True
                if self._answer is not None:
                    self._answer.cancel()
            case "resume_assistant_message":
                self._is_paused = False

    def _hear(self, pcm16: bytes) -> None:
        if max(array("h", pcm16[: len(pcm16) // 2 * 2]), default=0) < LOUD:
            return
        now_s = time.monotonic()
        self._loud_at_s = now_s
        if self._loud_from_s is None:
            self._loud_from_s, self._told_interim, self._words = now_s, 0, next(self._told)

    async def _watch(self) -> None:
        """What the clock tells of the caller's turn."""
        while True:
            await asyncio.sleep(0.1)
            now_s, begins_s = time.monotonic(), self._loud_from_s
            if begins_s is None:
                continue
            if now_s - self._loud_at_s > QUIET_S:
                self._loud_from_s = None
                await self._transcribe(self._words, begins_s, self._loud_at_s, interim=False)
                self._begin(self._respond())
                continue
            due = int((now_s - begins_s) / INTERIM_EVERY_S)
            if due > self._told_interim:
                if not self._told_interim and now_s < self._talks_until_s:
                    await self._send("user_interruption", time=int(1000 * time.time()))
                    if self._answer is not None:
                        self._answer.cancel()
                    self._talks_until_s = 0.0
                self._told_interim = due
                words = " ".join(self._words.split()[: 2 * due])
                await self._transcribe(words, begins_s, now_s, interim=True)

    async def _transcribe(
        self, words: str, begins_s: float, ends_s: float, *, interim: bool
    ) -> None:
        at_ms = [round(1000 * (at_s - self._began_s)) for at_s in (begins_s, ends_s)]
        await self._send(
            "user_message",
            message={"role": "user", "content": words},
            models={} if interim else {"prosody": {"scores": self._scores()}},
            time={"begin": at_ms[0], "end": at_ms[1]},
            from_text=False,
            interim=interim,
        )

    async def _typed(self, words: str) -> None:
        await self._send(
            "user_message",
            message={"role": "user", "content": words},
            models={},
            time={"begin": 0, "end": 0},
            from_text=True,
            interim=False,
        )
        await self._respond()

    async def _respond(self) -> None:
        if self._is_paused or self._open_tool:
            return
        self._turns += 1
        await asyncio.sleep(self._random.choice((0.1, 0.2, 0.3, 0.9)))
        tool = next(self._tools) if self._turns % TOOL_EACH == 2 else None
        if tool is None:
            await self._speak(next(self._answers))
            return
        name, parameters = tool
        await self._speak("One moment, I look that up.")
        self._open_tool = uuid.uuid4().hex
        await self._send(
            "tool_call",
            tool_call_id=self._open_tool,
            name=name,
            parameters=orjson.dumps(parameters).decode(),
            response_required=True,
            tool_type="function",
        )

    def _begin(self, answer: Coroutine[Any, Any, None]) -> None:
        """Nobody says two things at a time."""
        self._answer = asyncio.create_task(self._after(self._answer, answer))

    @staticmethod
    async def _after(before: asyncio.Task[None] | None, answer: Coroutine[Any, Any, None]) -> None:
        if before is not None:
            await asyncio.wait((before,))
        with suppress(ConnectionError):
            await answer

    async def _speak(self, text: str) -> None:
        if self._is_paused:
            return
        utterance_id = uuid.uuid4().hex
        await self._send(
            "assistant_message",
            id=utterance_id,
            from_text=False,
            is_quick_response=False,
            models={},
            message={"role": "assistant", "content": text},
        )
        audio = self._voice.says(MS_PER_CHARACTER * len(text))
        bytes_a_chunk = RATE_HZ * CHUNK_MS // 1000 * 2
        self._talks_until_s = time.monotonic() + MS_PER_CHARACTER * len(text) / 1000
        for index, start in enumerate(range(0, len(audio), bytes_a_chunk)):
            chunk = wav_file(audio[start : start + bytes_a_chunk], RATE_HZ)
            data = base64.b64encode(chunk).decode()
            await self._send("audio_output", id=utterance_id, index=index, data=data)
            await asyncio.sleep(CHUNK_MS / 4000)
        scores = {"prosody": {"scores": self._scores()}}
        await self._send("assistant_prosody", id=utterance_id, models=scores)
        await self._send("assistant_end")

    def _scores(self) -> dict[str, float]:
        return {name: round(self._random.betavariate(1.4, 5), 3) for name in EXPRESSIONS}

    async def _send(self, kind: str, **members: object) -> None:
        await self._socket.send_str(orjson.dumps({"type": kind, **members}).decode())


async def serve_evi() -> web.AppRunner:
    """Serve chats on a free port of this machine; the caller cleans the runner up."""
    numbers = itertools.count()

    async def accept(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        with suppress(ConnectionError):
            await Chat(socket, next(numbers)).hold()
        return socket

    app = web.Application()
    app.router.add_get(CHAT_PATH, accept)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner
