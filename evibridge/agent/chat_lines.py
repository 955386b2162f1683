"""The chats of one call as connections: which of them speaks with the caller, which hears him."""

import asyncio
from collections.abc import Callable

import structlog

from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Connect
from evibridge.agent.course import KEPT_AUDIO_S
from evibridge.agent.evi_client import EviChat, EviChatOwner, EviServer
from evibridge.audio.kept_audio import KeptAudio
from evibridge.errors import LinkError, LinkRefused, SettingsError

SILENCE_MS = 100
"""Length of a piece of silence in place of a caller who is away; EVI asks for 20 to 100."""

log = structlog.get_logger(__name__)


class ChatLines:
    """Opens and closes the chats that the session numbers, and carries the caller's voice to one.

    Args:
        owner: gets what the chats say
        server: where they are opened
        audio: format of the caller's voice
    """

    def __init__(self, owner: EviChatOwner, server: EviServer, audio: evi.AudioFormat) -> None:
        self._owner = owner
        self._server = server
        self._audio = audio
        self._chats: dict[int, EviChat] = {}
        self._connecting: dict[int, asyncio.Task[None]] = {}
        self._hearing: EviChat | None = None
        bytes_per_ms = audio.sample_rate * audio.channels * 2 // 1000
        self._kept = KeptAudio(round(KEPT_AUDIO_S * 1000) * bytes_per_ms)
        self._silence = bytes(SILENCE_MS * bytes_per_ms)
        self._silence_timer: asyncio.TimerHandle | None = None
        self._frames_dropped = 0
        self.carry: Callable[[bytes], None] = self._kept.add
        """Takes the next piece of the caller's voice: the chat that hears him, or it is kept."""
        self.in_use = 0
        """Number of the chat that speaks with the caller."""

    @property
    def frames_dropped(self) -> int:
        """Of the caller's voice, by chats that are closed, and while there was none."""
        return self._frames_dropped + self._kept.dropped

    def hear_caller(self) -> None:
        """From now on the chat in use hears the caller, first what was kept."""
        self._hearing = self._chats[self.in_use]
        for pcm16 in self._kept.take():
            self._hearing.send_kept_audio(pcm16)
        self.carry = self._hearing.send_audio

    def tell(self, message: evi.ClientMessage) -> bool:
        """Send a message by the chat in use; returns whether there is one."""
        chat = self._chats.get(self.in_use)
        if chat is not None:
            chat.send(message)
        return chat is not None

    def connect(
        self,
        attempt: Connect,
        tasks: asyncio.TaskGroup,
        *,
        unavailable: Callable[[int, LinkError | SettingsError], None],
    ) -> None:
        """Open a chat; `unavailable` is told its number if that fails, and why."""
        # The chat is ours before it is open: its first message can come before `open` returns.
        chat = self._chats[attempt.chat] = EviChat(self._owner, attempt.chat, self._audio)

        async def open_chat() -> None:
            try:
                await chat.open(self._server, attempt.group_id, timeout_s=attempt.timeout_s)
            except (LinkError, SettingsError) as error:
                self._chats.pop(attempt.chat, None)
                unavailable(attempt.chat, error)
            finally:
                self._connecting.pop(attempt.chat, None)

        self._connecting[attempt.chat] = tasks.create_task(open_chat())

    def disconnect(self, number: int) -> None:
        """Close a chat, open or not; nothing of it is told any more."""
        chat = self.forget(number)
        if chat is not None:
            chat.close()
        connecting = self._connecting.get(number)
        if connecting is not None and connecting is not asyncio.current_task():
            connecting.cancel()

    def forget(self, number: int) -> EviChat | None:
        """A chat is gone; returns it, if it was there."""
        chat = self._chats.pop(number, None)
        if chat is not None:
            self._frames_dropped += chat.frames_dropped
            if chat is self._hearing:
                self._hearing = None
                self.carry = self._kept.add
        return chat

    def send_silence(self) -> None:
        """Until `stop_silence`, the server gets silence: EVI's clock is the caller's audio."""
        if self._hearing is not None:
            self._hearing.send_audio(self._silence)
        loop = asyncio.get_running_loop()
        self._silence_timer = loop.call_later(SILENCE_MS / 1000, self.send_silence)

    def stop_silence(self) -> None:
        """The caller is there again, or the call is over."""
        if self._silence_timer is not None:
            self._silence_timer.cancel()
            self._silence_timer = None

    def close(self) -> None:
        """Close everything."""
        self.stop_silence()
        for number in [*self._chats, *self._connecting]:
            self.disconnect(number)


def with_advice(error: LinkError | SettingsError) -> str:
    """Why a chat could not be opened, for the owner of the service."""
    refused = isinstance(error, LinkRefused) and error.status in (401, 403)
    return f"{error} Check HUME_API_KEY." if refused else str(error)
