"""A chat beside a call's own one: the agent's conversation knows nothing of it.

While an operator speaks in the agent's place, the call's chat is paused: EVI then speaks nothing at
all, and hears the caller alone. So another chat lends the agent's voice for what the operator
writes, and one more writes down what he says.
"""

import asyncio
from collections.abc import Callable

from evibridge.agent import evi_messages as evi
from evibridge.agent.evi_client import EviChat, EviServer
from evibridge.errors import LinkUnreachable

OPEN_TIMEOUT_S = 4.0
NUMBER = 0
"""Each has an owner of its own, so that they need no numbers."""


class SideChat:
    """One chat, from `open` to `close` or to its end.

    Args:
        server: where it is opened
        audio: format of what it hears
        settings: what it is told first, and whether it is only to write down what it hears
        on_message: gets everything but audio
        on_audio: gets the id of an utterance and a WAV file
        on_lost: is told if it ends otherwise than by `close`
    """

    def __init__(
        self,
        server: EviServer,
        audio: evi.AudioFormat,
        settings: tuple[evi.ClientMessage, ...],
        on_message: Callable[[evi.Message], None],
        on_audio: Callable[[str, bytes], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._server = server
        self._settings = settings
        self._on_message = on_message
        self._on_audio = on_audio
        self._on_lost = on_lost
        self._chat = EviChat(self, NUMBER, audio)
        self._is_ready = asyncio.Event()
        self._has_ended = asyncio.Event()
        self.is_over = False
        """Whether it is of no use any more."""
        self.chat_id = ""
        """As the server calls it; "" before it is open."""
        self.send_audio: Callable[[bytes], None] = self._chat.send_audio
        """Takes a piece of what it is to hear."""

    async def open(self) -> None:
        """Open the chat, and tell it its settings.

        Raises:
            LinkError: it is not there in time, or was refused
            SettingsError: the key or the address cannot be sent
        """
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self._chat.open(self._server, None, timeout_s=OPEN_TIMEOUT_S)
                await self._is_ready.wait()
        except TimeoutError:
            self.close()
            raise LinkUnreachable("The EVI server opens no other chat.") from None
        except BaseException:
            self.close()
            raise
        if self.is_over:
            raise LinkUnreachable("The EVI server has closed the other chat.")

    async def ended(self) -> None:
        """Wait until it is of no use any more."""
        await self._has_ended.wait()

    def send(self, message: evi.ClientMessage) -> None:
        """Tell the chat something."""
        self._chat.send(message)

    def close(self) -> None:
        """End it; nothing of it is told any more."""
        self._end()
        self._chat.close()

    # From the chat: `EviChatOwner`

    def on_evi_message(self, chat: int, message: evi.Message) -> None:
        """Any message but audio; EVI: the metadata are the first."""
        del chat
        if isinstance(message, evi.ChatMetadata):
            self.chat_id = message.chat_id
            for setting in self._settings:
                self._chat.send(setting)
            self._is_ready.set()
        elif not self.is_over:
            self._on_message(message)

    def on_evi_audio(self, chat: int, utterance_id: str, wav: bytes) -> None:
        """A chunk of the agent's voice."""
        del chat
        if not self.is_over:
            self._on_audio(utterance_id, wav)

    def on_evi_closed(self, chat: int, code: int) -> None:
        """The socket is gone."""
        del chat, code
        if not self.is_over:
            self._end()
            self._on_lost()

    def _end(self) -> None:
        self.is_over = True
        self._has_ended.set()
        self._is_ready.set()  # nobody has to wait for what will not come
