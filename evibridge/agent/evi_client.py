"""The chat socket: one EVI conversation, from the client's side.

Everything here is a synchronous callback. Audio of the agent goes to its own method of the owner,
so that nothing is built or looked up for it that the audio path does not need.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

import structlog
from pybase64 import b64encode

from evibridge.agent.evi_codec import AUDIO_INPUT, audio_output, decode, encode
from evibridge.agent.evi_messages import (
    AudioFormat,
    AudioOutput,
    ClientMessage,
    Message,
)
from evibridge.errors import BadMessage
from evibridge.sockets import Socket, SocketListener, connect, origin_to_ws

CHAT_PATH = "/v0/evi/chat"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""EVI: the largest message in either direction."""
MAX_AUDIO_BEHIND_MS = 400
"""Caller's audio that may wait behind a full kernel buffer. What the kernel has cannot be taken
back, so that the newest frames are dropped until the backlog drains."""
MAX_STUCK_S = 3.0
"""A server that takes no audio for so long, after some seconds of backlog, is dead."""
MAX_UNSENT_BYTES = 256 * 1024
"""Control messages are never dropped: a link with this much unsent is dead."""
PING_AFTER_IDLE_S = 5.0
"""A server that says nothing is asked for a sign of life, so that a caller does not talk to nobody;
without one as long after, the link is dead."""

log = structlog.get_logger(__name__)


class Dial(Protocol):
    """How a socket is opened; see `sockets.connect`."""

    async def __call__(
        self,
        url: str,
        listener: SocketListener,
        *,
        headers: Mapping[str, str] | None = None,
        max_message_bytes: int,
        timeout_s: float,
        ping_after_s: float,
    ) -> Socket:
        """Open a socket to `url` for `listener`."""


@dataclass(frozen=True, slots=True)
class EviServer:
    """Where chats are opened, and with which credentials."""

    origin: str
    """`https://evi.example.com`; an origin, as in the SDK's `base_url`."""
    api_key: str | None = None
    config_id: str | None = None
    dial: Dial = connect
    """Opens the socket."""

    def chat_url(self, audio: AudioFormat, group_id: str | None = None) -> str:
        """URL of a new chat, of a new group or of that which is to be resumed.

        The audio format is announced before the first byte of audio. EVI: the configuration is
        named again when a group is resumed.
        """
        query = {
            "verbose_transcription": "true",
            "allow_connection": "true",
            "session_settings[audio][encoding]": audio.encoding,
            "session_settings[audio][sample_rate]": str(audio.sample_rate),
            "session_settings[audio][channels]": str(audio.channels),
        }
        if self.config_id:
            query["config_id"] = self.config_id
        if group_id:
            query["resumed_chat_group_id"] = group_id
        return f"{origin_to_ws(self.origin)}{CHAT_PATH}?{urlencode(query)}"

    @property
    def headers(self) -> dict[str, str]:
        """Credentials go into a header, where no log of URLs can see them."""
        return {"X-Hume-Api-Key": self.api_key} if self.api_key else {}


class EviChatOwner(Protocol):
    """Who is told what happens in a chat; `chat` is the chat's number."""

    def on_evi_message(self, chat: int, message: Message) -> None:
        """Any message but audio."""

    def on_evi_audio(self, chat: int, utterance_id: str, wav: bytes) -> None:
        """A chunk of the agent's voice, a whole file."""

    def on_evi_closed(self, chat: int, code: int) -> None:
        """The socket is gone; nothing more comes."""


class EviChat(SocketListener):
    """One chat, from `open` to its end.

    Args:
        owner: gets every message, in order
        number: by which the owner knows it
        audio: format of the caller's audio, as announced
    """

    # Here, in `TwilioLeg` and in `PicowsSocket`: what a frame passes costs 2 % of a call less.
    __slots__ = (
        "_audio",
        "_bytes_per_s",
        "_due_backlog",
        "_is_closed",
        "_max_audio_backlog",
        "_number",
        "_owner",
        "_socket",
        "_stuck_bytes",
        "_unreadable",
        "frames_dropped",
    )

    def __init__(self, owner: EviChatOwner, number: int, audio: AudioFormat) -> None:
        self._owner = owner
        self._number = number
        self._audio = audio
        self._socket: Socket | None = None
        self._is_closed = False
        self._bytes_per_s = audio.sample_rate * audio.channels * 2
        # Four bytes of base64 for three of audio, and some JSON around each frame.
        self._max_audio_backlog = MAX_AUDIO_BEHIND_MS * self._bytes_per_s // 1000 * 3 // 2
        self.frames_dropped = 0
        self._stuck_bytes = 0
        """Of audio that was dropped since the server last took any."""
        self._due_backlog = 0
        """Bytes that had to be sent at once, kept audio and messages: the caller's voice may be so
        much more behind, until it has caught up."""
        self._unreadable = 0

    async def open(self, server: EviServer, group_id: str | None, *, timeout_s: float) -> None:
        """Connect, to go on with a group if one is given.

        Messages can reach the owner before this returns.

        Raises:
            LinkRefused: the server answered with an HTTP status, 401 for bad credentials
            LinkUnreachable: nobody answered in time
            SettingsError: the key or the address cannot be sent
        """
        await server.dial(
            server.chat_url(self._audio, group_id),
            self,
            headers=server.headers,
            max_message_bytes=MAX_MESSAGE_BYTES,
            timeout_s=timeout_s,
            ping_after_s=PING_AFTER_IDLE_S,
        )

    def send_audio(self, pcm16: bytes) -> None:
        """Send the next piece of the caller's audio, in the announced format.

        EVI: pieces of 20 ms are recommended.
        """
        socket = self._socket
        if socket is None:
            return
        behind = socket.unsent_bytes() - self._max_audio_backlog
        if behind > self._due_backlog:
            self._drop(pcm16, socket)
            return
        if behind <= 0:
            self._stuck_bytes = self._due_backlog = 0
        socket.send_text(AUDIO_INPUT % b64encode(pcm16))

    def send_kept_audio(self, pcm16: bytes) -> None:
        """Send audio that was kept while the chat was opened; the backlog it makes is borne."""
        self._send_at_once(AUDIO_INPUT % b64encode(pcm16))

    def send(self, message: ClientMessage) -> None:
        """Send a control message."""
        self._send_at_once(encode(message))
        if self._socket is not None and self._socket.unsent_bytes() > MAX_UNSENT_BYTES:
            log.warning("evi_link_stuck", unsent_bytes=self._socket.unsent_bytes())
            self._socket.abort()

    def close(self) -> None:
        """End the chat, open or not; the owner is not told of it."""
        self._is_closed = True
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close(1000)

    def on_open(self, socket: Socket) -> None:
        """The handshake is done."""
        if self._is_closed:
            socket.close(1000)
        else:
            self._socket = socket

    def on_text(self, text: bytes) -> None:
        """A message of the server; one that cannot be read is passed over."""
        if self._socket is None:
            return
        audio = audio_output(text)
        if audio is None:
            self._read(text)
        else:
            self._owner.on_evi_audio(self._number, *audio)

    def on_close(self, code: int, reason: str) -> None:
        """The server or the network ended it."""
        log.debug("evi_socket_closed", code=code, reason=reason)
        if self._socket is not None:
            self._socket = None
            self._owner.on_evi_closed(self._number, code)

    def _read(self, text: bytes) -> None:
        try:
            message = decode(text)
        except BadMessage as error:
            self._unreadable += 1
            if self._unreadable == 1:  # one line a chat: a server gone mad must not fill the log
                log.warning("evi_message_unreadable", error=str(error))
            return
        if isinstance(message, AudioOutput):
            self._owner.on_evi_audio(self._number, message.id, message.wav)
        else:
            self._owner.on_evi_message(self._number, message)

    def _send_at_once(self, text: bytes) -> None:
        if self._socket is not None:
            self._due_backlog += len(text)
            self._socket.send_text(text)

    def _drop(self, pcm16: bytes, socket: Socket) -> None:
        self.frames_dropped += 1
        self._stuck_bytes += len(pcm16)
        if self._stuck_bytes > MAX_STUCK_S * self._bytes_per_s:
            log.warning("evi_link_stuck", unsent_bytes=socket.unsent_bytes())
            self._stuck_bytes = 0
            socket.abort()
