"""What operators write, in the agent's voice, while the call's own chat is paused."""

import asyncio
from collections import deque
from contextlib import suppress

import structlog

from evibridge.agent import evi_messages as evi
from evibridge.agent.evi_client import EviServer
from evibridge.agent.operator_host import OperatorHost
from evibridge.agent.side_chat import SideChat
from evibridge.errors import CommandRefused, LinkError, SettingsError

MAX_TEXTS = 16
"""That wait to be spoken; more is a program gone astray."""

log = structlog.get_logger(__name__)


class OperatorSpeech:
    """Has a side chat speak texts word for word, and nothing else.

    Args:
        host: plays what is spoken
        server: of the call's chats: its voice is the agent's
        audio: format of the call
        voice_id: of the agent, if it has one of its own
    """

    def __init__(
        self, host: OperatorHost, server: EviServer, audio: evi.AudioFormat, voice_id: str | None
    ) -> None:
        self._host = host
        self._server = server
        self._audio = audio
        self._voice_id = voice_id
        self._chat: SideChat | None = None
        self._opening = asyncio.Lock()
        self._closings = 0
        """How often it was closed: a chat that was being opened then is not wanted."""
        self._texts: deque[str] = deque()
        """That were told, and are not spoken to their end."""
        self._accepted: set[str] = set()
        """Ids of what is spoken of them."""
        self._accepts_unnamed = False
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    async def get_ready(self) -> None:
        """Have a chat that can speak one more text.

        Raises:
            CommandRefused: the EVI server opens none, or too much waits to be spoken
        """
        if len(self._texts) >= MAX_TEXTS:
            sentence = "Much is being said already: wait until the caller has heard some of it."
            raise CommandRefused("operator_speaks_already", sentence)
        async with self._opening:
            if self._chat is None or self._chat.is_over:
                await self._open()

    def speak(self, text: str) -> None:
        """Speak a text behind those before; `get_ready` has been waited for."""
        if self._chat is None or self._chat.is_over:
            log.warning("operator_speech_lost", call_id=self._host.call_id)
            return
        self._texts.append(text)
        self._is_idle.clear()
        self._chat.send(evi.AssistantInput(text))

    async def finish(self, within_s: float) -> None:
        """Wait until everything was spoken, so long at most; the caller may hear it later."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._is_idle.wait()

    def forget(self) -> None:
        """Nothing that was told so far is spoken any more."""
        self._texts.clear()
        self._accepted.clear()
        self._accepts_unnamed = False
        self._is_idle.set()

    def close(self) -> None:
        """Speak nothing more, until `get_ready` is waited for again."""
        self._closings += 1
        chat, self._chat = self._chat, None
        self.forget()
        if chat is not None:
            chat.close()

    async def _open(self) -> None:
        settings = evi.SessionSettings(voice_id=self._voice_id, tools=(), builtin_tools=())
        chat = SideChat(
            self._server, self._audio, (settings,), self._said, self._sounded, self._lost
        )
        closings = self._closings
        try:
            await chat.open()
        except (LinkError, SettingsError) as error:
            log.warning("operator_speech_unavailable", error=str(error))
            sentence = "The EVI server lends no voice now: speak by microphone, or try again."
            raise CommandRefused("agent_is_away", sentence) from None
        if closings != self._closings:
            chat.close()
            raise CommandRefused("call_is_not_taken_over", "The call is not yours any more.")
        self.forget()
        self._chat = chat
        self._host.side_chat_opened(chat.chat_id)

    def _said(self, message: evi.Message) -> None:
        match message:
            case evi.AssistantMessage(id=said, content=content, from_text=from_text):
                if not (from_text or any(content in text for text in self._texts)):
                    return  # a greeting, which the caller has heard long ago
                if said is None:
                    self._accepts_unnamed = True
                else:
                    self._accepted.add(said)
            case evi.AssistantEnd() if self._accepted or self._accepts_unnamed:
                self._accepted.clear()
                self._accepts_unnamed = False
                if self._texts:
                    self._texts.popleft()
                if not self._texts:
                    self._is_idle.set()
            case _:
                pass

    def _sounded(self, utterance_id: str, wav: bytes) -> None:
        if utterance_id in self._accepted or self._accepts_unnamed:
            self._host.play_for_operator(wav)

    def _lost(self) -> None:
        if self._texts:
            log.warning("operator_speech_lost", call_id=self._host.call_id)
        self.forget()
