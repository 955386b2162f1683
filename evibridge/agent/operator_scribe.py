"""Writes down what an operator says by microphone: a paused chat does nothing but transcribe."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from evibridge.agent import evi_messages as evi
from evibridge.agent.evi_client import EviServer
from evibridge.agent.operator_host import OperatorHost
from evibridge.agent.operator_line import RATE_HZ
from evibridge.agent.side_chat import SideChat
from evibridge.audio.kept_audio import KeptAudio
from evibridge.audio.level import is_sound
from evibridge.errors import LinkError, SettingsError

AGAIN_S = 2.0
"""How often a chat that is not there is tried."""
KEPT_S = 4.0
"""Of the voice, kept until there is a chat."""
PIECE_MS = 100
TAIL_MS = 2000
"""Of silence behind the last word: a server waits for it before it takes a sentence for over."""
LAST_WORDS_S = 3.0
"""How long what was said last may take to be written down."""

log = structlog.get_logger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class OperatorScribe:
    """Follows one microphone from its first sound until its last words are written down.

    Args:
        host: is told the words
        server: of the call's chats
        by: name of the operator
        spawn: begins a task of the call
    """

    def __init__(self, host: OperatorHost, server: EviServer, by: str, spawn: Spawn) -> None:
        self._host = host
        self._server = server
        self._by = by
        self._kept = KeptAudio(round(KEPT_S * RATE_HZ) * 2)
        self._chat: SideChat | None = None
        self._is_on = True
        self._owes_words = False
        """Whether something was said that is not written down."""
        self._is_done = asyncio.Event()
        self._has_opened = asyncio.Event()
        self._is_missed = False
        """Whether the log tells already that nobody writes."""
        self._has_interim = False
        self._task = spawn(self._write())

    def hear(self, pcm16: bytes) -> None:
        """The next piece of the voice, int16 mono PCM at `RATE_HZ`."""
        self._owes_words |= is_sound(pcm16)
        if self._chat is None or self._chat.is_over:
            self._kept.add(pcm16)
        else:
            self._chat.send_audio(pcm16)

    async def finish(self) -> None:
        """The microphone is off: return when the last words are written down, or soon anyhow."""
        self._is_on = False
        try:
            if self._owes_words:
                await self._last_words()
        finally:
            self.close()

    async def _last_words(self) -> None:
        silence = bytes(RATE_HZ * 2 * PIECE_MS // 1000)
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await self._has_opened.wait()
                for _ in range(TAIL_MS // PIECE_MS):
                    self.hear(silence)
                await self._is_done.wait()
        except TimeoutError:
            log.info("operator_words_unknown", call_id=self._host.call_id)

    def close(self) -> None:
        """Write nothing more."""
        self._is_on = False
        self._task.cancel()
        if self._chat is not None:
            self._chat.close()

    async def _write(self) -> None:
        while True:
            chat = await self._open()
            if chat is not None:
                await chat.ended()
            await asyncio.sleep(AGAIN_S)

    async def _open(self) -> SideChat | None:
        audio = evi.AudioFormat(sample_rate=RATE_HZ)
        settings = evi.SessionSettings(audio=audio, tools=(), builtin_tools=())
        first = (evi.PauseAssistant(), settings)
        chat = SideChat(self._server, audio, first, self._said, _nothing_sounds, _nothing)
        try:
            await chat.open()
        except (LinkError, SettingsError) as error:
            if not self._is_missed:
                self._is_missed = True
                log.warning("operator_words_unheard", call_id=self._host.call_id, error=str(error))
            return None
        self._chat = chat
        self._is_missed = False
        self._has_opened.set()
        self._host.side_chat_opened(chat.chat_id)
        for pcm16 in self._kept.take():
            chat.send_audio(pcm16)
        return chat

    def _said(self, message: evi.Message) -> None:
        if not isinstance(message, evi.UserMessage):
            return
        self._owes_words = message.interim
        if message.content or self._has_interim:
            self._host.operator_transcribed(message.content, self._by, interim=message.interim)
        self._has_interim = message.interim
        if not message.interim and not self._is_on:
            self._is_done.set()


def _nothing_sounds(utterance_id: str, wav: bytes) -> None:
    """A greeting, which nobody is to hear."""


def _nothing() -> None:
    """It is opened again."""
