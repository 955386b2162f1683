"""A mirror socket: what is said in a chat that somebody else has opened, and a way to tell it more.

EVI: the history of the chat comes first, and nothing marks where it ends. It is over when nothing
but audio has come for a moment.
"""

import asyncio
from typing import Protocol
from urllib.parse import quote

import structlog

from evibridge.agent.evi_client import (
    CHAT_PATH,
    MAX_MESSAGE_BYTES,
    MAX_UNSENT_BYTES,
    PING_AFTER_IDLE_S,
    EviServer,
)
from evibridge.agent.evi_codec import decode, encode
from evibridge.agent.evi_messages import AudioOutput, ClientMessage, Message
from evibridge.errors import BadMessage
from evibridge.sockets import Socket, SocketListener, origin_to_ws

QUIET_S = 0.2
"""A pause of the server's, which sends its history in one go: the end of the history."""
LOOK_AGAIN_S = 0.01
"""After a pause the socket is read once more: what has come may lie there, if the loop was busy."""
REPLAY_S = 2.0
"""From the handshake on: a chat in which somebody speaks all the time leaves no pause, and a server
that sends no history, not even the chat's metadata, no beginning of one."""

_AUDIO = (b'{"type":"audio_output"', b'{"type": "audio_output"')
"""How messages with audio begin, as servers write them; they are most of all bytes."""

log = structlog.get_logger(__name__)


class MirrorOwner(Protocol):
    """Who is told what happens; `mirror` is the mirror's number."""

    def on_mirror_open(self, mirror: int) -> None:
        """The handshake is done."""

    def on_mirror_message(self, mirror: int, message: Message, *, is_replay: bool) -> None:
        """Any message but audio; `is_replay` tells that it was sent before the mirror was open."""

    def on_replay_ended(self, mirror: int) -> None:
        """From here on everything has just happened."""

    def on_mirror_closed(self, mirror: int, code: int) -> None:
        """The socket is gone; nothing more comes."""


class EviMirror(SocketListener):
    """One mirror, from `open` to its end.

    Args:
        owner: gets every message, in order
        number: by which the owner knows it
    """

    def __init__(self, owner: MirrorOwner, number: int) -> None:
        self._owner = owner
        self._number = number
        self._socket: Socket | None = None
        self._is_closed = False
        self._is_replay = True
        self._replay_ends_s = 0.0
        self._quiet: asyncio.TimerHandle | None = None
        self._unreadable = 0

    async def open(self, server: EviServer, chat_id: str, *, timeout_s: float) -> None:
        """Connect. Messages can reach the owner before this returns.

        Raises:
            LinkRefused: the server answered with an HTTP status: 401 for bad credentials, 403 for a
                chat that was opened without `allow_connection`, 404 for one that is over
            LinkUnreachable: nobody answered in time
            SettingsError: the key or the address cannot be sent
        """
        await server.dial(
            f"{origin_to_ws(server.origin)}{CHAT_PATH}/{quote(chat_id, safe='')}/connect",
            self,
            headers=server.headers,
            max_message_bytes=MAX_MESSAGE_BYTES,
            timeout_s=timeout_s,
            ping_after_s=PING_AFTER_IDLE_S,
        )

    @property
    def is_open(self) -> bool:
        """Whether `send` reaches anybody."""
        return self._socket is not None

    def send(self, message: ClientMessage) -> None:
        """Send a message to the chat: anything but audio."""
        if self._socket is None:
            return
        self._socket.send_text(encode(message))
        if self._socket.unsent_bytes() > MAX_UNSENT_BYTES:
            log.warning("evi_mirror_stuck", unsent_bytes=self._socket.unsent_bytes())
            self._socket.abort()

    def close(self) -> None:
        """Leave the chat, which goes on; the owner is told nothing more."""
        self._is_closed = True
        self._stop_waiting()
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close(1000)

    def on_open(self, socket: Socket) -> None:
        """The handshake is done."""
        if self._is_closed:
            socket.close(1000)
            return
        self._socket = socket
        self._replay_ends_s = asyncio.get_running_loop().time() + REPLAY_S
        self._await_quiet(REPLAY_S)
        self._owner.on_mirror_open(self._number)

    def on_text(self, text: bytes) -> None:
        """A message of the server; audio, and what cannot be read, is passed over."""
        if self._socket is None or text.startswith(_AUDIO):
            return
        try:
            message = decode(text)
        except BadMessage as error:
            self._unreadable += 1
            if self._unreadable == 1:  # one line a mirror: a server gone mad must not fill the log
                log.warning("evi_message_unreadable", error=str(error))
            return
        if isinstance(message, AudioOutput):
            return
        if self._is_replay:
            self._await_quiet(QUIET_S)
        self._owner.on_mirror_message(self._number, message, is_replay=self._is_replay)

    def on_close(self, code: int, reason: str) -> None:
        """The server or the network ended it."""
        log.debug("evi_mirror_closed", code=code, reason=reason)
        self._stop_waiting()
        if self._socket is not None:
            self._socket = None
            self._owner.on_mirror_closed(self._number, code)

    def _await_quiet(self, seconds: float) -> None:
        self._stop_waiting()
        loop = asyncio.get_running_loop()
        at_s = min(loop.time() + seconds, self._replay_ends_s)
        self._quiet = loop.call_at(at_s, self._look_again)

    def _stop_waiting(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None

    def _look_again(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._replay_ends_s:
            self._quiet = loop.call_later(LOOK_AGAIN_S, self._end_replay)
        else:
            self._end_replay()

    def _end_replay(self) -> None:
        self._quiet = None
        self._is_replay = False
        self._owner.on_replay_ended(self._number)
