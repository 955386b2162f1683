"""Somebody who talks to an engine over its chat socket, in real time, and times the answers."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import orjson
import pybase64

from benchmarks.caller_lines import CONNECT_TIMEOUT_S, RATE_HZ, chat_url
from benchmarks.evi_stand_in import MAX_MESSAGE_BYTES
from benchmarks.heard import FRAME_MS, Ear
from benchmarks.sound import AUDIBLE
from evibridge.audio.wav import mono_pcm16, parse_wav
from evibridge.sockets import Socket, SocketListener, connect

FRAME_BYTES = 2 * RATE_HZ * FRAME_MS // 1000
SILENCE = bytes(FRAME_BYTES)
ANSWER_TIMEOUT_S = 20.0
"""From the start of a question to the end of its answer."""
PAUSE_S = 0.5
"""How long the agent must be silent after its last word until its answer counts as over."""


@dataclass(slots=True)
class Turn:
    """What became of a question; times are in ms from the end of its last word.

    Attributes:
        understood_ms: until its transcript was there; the silence that ends a turn comes first
        words_ms: until the text of the answer's first sentence was there
        response_ms: until the answer could be heard, played as soon as it came
        holes_ms: silence inside the answer because its audio came too late
    """

    understood_as: str = ""
    understood_ms: float = 0.0
    words_ms: float = 0.0
    response_ms: float = 0.0
    holes_ms: float = 0.0


class EngineCaller(SocketListener):
    """Sends 20 ms of audio every 20 ms, speech or silence, by a clock that does not drift.

    Attributes:
        late_ms: how late each frame was sent: noise of the machine
    """

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        self._socket: Socket
        self._to_say = deque[bytes]()
        self._ear = Ear(AUDIBLE)
        self._turn = Turn()  # of the greeting
        self._asked_at_s = time.perf_counter()
        self._answer_has_begun = False
        self._answer_is_complete = False
        self._answer_is_over = asyncio.Event()
        self._gone = False

    def on_open(self, socket: Socket) -> None:
        """The URL has announced the format."""
        self._socket = socket

    def on_text(self, text: bytes) -> None:
        """Play audio; note what came when."""
        now_s = time.perf_counter()
        since_question_ms = (now_s - self._asked_at_s) * 1000
        message = orjson.loads(text)
        match message["type"]:
            case "audio_output":
                self._hear(pybase64.b64decode(message["data"]), now_s)
            case "user_message" if not message["interim"]:
                self._turn.understood_as += message["message"]["content"]
                self._turn.understood_ms = since_question_ms
            case "assistant_message" if not self._turn.words_ms:
                self._turn.words_ms = since_question_ms
            case "assistant_end":
                self._answer_is_complete = True

    def on_close(self, code: int, reason: str) -> None:
        """Whoever waits for an answer waits in vain."""
        del code, reason
        self._gone = True
        self._answer_is_over.set()

    async def ask(self, question: bytes, *, ends_at_s: float | None = None) -> Turn:
        """Say something that ends with its last sample, and listen to the whole answer.

        Args:
            question: int16 mono PCM at 8 kHz
            ends_at_s: when its last word is over, on `time.perf_counter`'s clock; else say it now

        Raises:
            RuntimeError: there is no answer
        """
        whole = bytes(-len(question) % FRAME_BYTES) + question
        frames = [whole[at : at + FRAME_BYTES] for at in range(0, len(whole), FRAME_BYTES)]
        if ends_at_s is not None:
            begins_at_s = ends_at_s - len(frames) * FRAME_MS / 1000
            await asyncio.sleep(begins_at_s - time.perf_counter())
        self._turn = Turn()
        self._answer_has_begun = self._answer_is_complete = False
        self._answer_is_over.clear()
        self._to_say.extend(frames)
        await self.listen()
        if not self._answer_has_begun:
            raise RuntimeError("The engine has answered without a sound.")
        self._turn.response_ms = self._ear.waited_ms[-1]
        return self._turn

    async def listen(self) -> None:
        """Wait until all that the agent says has been heard, and a moment more.

        Raises:
            RuntimeError: it does not
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._answer_is_over.wait(), ANSWER_TIMEOUT_S)
        if self._gone:
            raise RuntimeError("The engine has ended the chat.")
        if not self._answer_is_over.is_set():
            raise RuntimeError(
                f"The engine has not answered within {ANSWER_TIMEOUT_S:g} s; it has understood "
                f"{self._turn.understood_as!r}."
            )

    async def talk(self) -> None:
        """Send one frame after the other, for ever."""
        due_s = time.perf_counter()
        while True:
            due_s += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            now_s = time.perf_counter()
            self.late_ms.append((now_s - due_s) * 1000)
            frame = self._to_say.popleft() if self._to_say else SILENCE
            data = pybase64.b64encode(frame)
            self._socket.send_text(b'{"type":"audio_input","data":"%b"}' % data)
            if frame is not SILENCE and not self._to_say:
                self._asked_at_s = now_s
                self._ear.ask(now_s)
            elif self._answer_is_complete and now_s > self._ear.played_until_s + PAUSE_S:
                self._answer_is_over.set()

    def hang_up(self) -> None:
        """End the chat."""
        self._socket.close()

    def _hear(self, file: bytes, now_s: float) -> None:
        if self._answer_has_begun:
            self._turn.holes_ms += max(0.0, now_s - self._ear.played_until_s) * 1000
        answers = len(self._ear.waited_ms)
        wav = parse_wav(file)
        self._ear.hear(bytes(mono_pcm16(wav)), wav.rate_hz, now_s)
        self._answer_has_begun |= len(self._ear.waited_ms) > answers


@asynccontextmanager
async def calling(origin: str) -> AsyncIterator[EngineCaller]:
    """Call an engine; its greeting has been heard when the context opens."""
    caller = EngineCaller()
    # As the bridge calls: provisional transcripts are work for the ears while somebody speaks.
    url = f"{chat_url(origin)}&verbose_transcription=true"
    await connect(url, caller, max_message_bytes=MAX_MESSAGE_BYTES, timeout_s=CONNECT_TIMEOUT_S)
    talking = asyncio.create_task(caller.talk())
    try:
        await caller.listen()
        yield caller
    finally:
        talking.cancel()
        caller.hang_up()
