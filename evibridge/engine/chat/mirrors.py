"""Sockets that watch a chat and may send to it all but audio: EVI's mirrors."""

import uuid
from collections import deque
from typing import Protocol

import structlog

from evibridge.engine.chat import messages
from evibridge.engine.chat.faults import NO_AUDIO, Fault
from evibridge.engine.chat.inbox import Sender
from evibridge.engine.chat.messages import ControlMessage, ServerMessage
from evibridge.engine.chat.mistakes import TOO_OFTEN, Mistakes
from evibridge.engine.metrics import EngineMetrics
from evibridge.sockets import Socket, SocketListener

MAX_MIRRORS = 8
"""Of one chat; UNCONFIRMED U34: EVI names no number."""
MAX_KEPT_BYTES = 1024 * 1024
"""Of a chat, for mirrors to come: hours of talk, or a few very long prompts."""
MAX_MIRROR_BACKLOG_BYTES = 2 * MAX_KEPT_BYTES
"""What a mirror has not taken yet: all that was kept, and eight seconds of audio."""

log = structlog.get_logger()


class Replay:
    """What a new mirror is told first: the messages of the chat so far, without audio. Pure.

    The first message and the newest are kept; when they are too many bytes, the oldest in between
    are forgotten. Of provisional transcripts only the last one that no final one has replaced is
    told. UNCONFIRMED U32, U33 and U36: whether EVI keeps audio or provisional transcripts is not
    documented, and nothing marks the end of the replay.
    """

    def __init__(self, max_bytes: int = MAX_KEPT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._first: bytes | None = None
        self._rest: deque[bytes] = deque()
        self._bytes = 0
        self._interim: bytes | None = None

    def add(self, message: ServerMessage, text: bytes) -> None:
        """Keep a message, `text` on the wire."""
        kind = message["type"]
        if kind == "audio_output":
            return
        if kind == "user_message":
            self._interim = text if message["interim"] else None
            if message["interim"]:
                return
        if self._first is None:
            self._first = text
            return
        self._rest.append(text)
        self._bytes += len(text)
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._rest.popleft())

    def texts(self) -> list[bytes]:
        """All that is kept, in its order."""
        texts = [self._first, *self._rest, self._interim]
        return [text for text in texts if text is not None]


class Mirrors:
    """The mirrors of one chat, and what those to come will be told.

    Attributes:
        allowed: whether the chat was opened with `allow_connection`; otherwise nothing is kept
    """

    def __init__(self, *, allowed: bool) -> None:
        self.allowed = allowed
        self._replay = Replay()
        self._open: set[Mirror] = set()
        self._over = False

    @property
    def is_full(self) -> bool:
        """Whether there are as many as there may be."""
        return len(self._open) >= MAX_MIRRORS

    def join(self, mirror: "Mirror") -> None:
        """Tell a new mirror what has happened, and from now on what happens."""
        self._open.add(mirror)
        for text in self._replay.texts():
            mirror.send(text)
        if self._over:
            mirror.end()

    def leave(self, mirror: "Mirror") -> None:
        """A mirror is gone."""
        self._open.discard(mirror)

    def tell(self, message: ServerMessage, session_id: str | None) -> None:
        """Tell all mirrors what only they are told."""
        if self.allowed:
            self.repeat(message, messages.encode(message, session_id))

    def repeat(self, message: ServerMessage, text: bytes) -> None:
        """Tell all mirrors what the chat's own client was told, `text` on the wire."""
        if self.allowed:
            self._replay.add(message, text)
            for mirror in tuple(self._open):
                mirror.send(text)

    def end(self) -> None:
        """The chat is over. UNCONFIRMED U35: EVI closes its mirrors, the code is not documented."""
        self._over = True
        for mirror in tuple(self._open):
            mirror.end()


class Watched(Protocol):
    """The chat, as a mirror sees it."""

    id: str
    mirrors: Mirrors

    def take(self, message: ControlMessage, sender: Sender) -> None:
        """Do what a message wants."""


class Mirror(SocketListener):
    """One mirror: whatever becomes of it, the chat goes on."""

    is_own_client = False

    def __init__(self, chat: Watched, metrics: EngineMetrics) -> None:
        self._chat = chat
        self._metrics = metrics
        self._mistakes = Mistakes()
        self._socket: Socket
        self._over = False
        self._why = "mirror_left"

    def on_open(self, socket: Socket) -> None:
        """Begin with what has happened so far."""
        self._socket = socket
        self._metrics.mirror_opened()
        log.info("mirror_opened", chat_id=self._chat.id)
        self._chat.mirrors.join(self)

    def on_text(self, text: bytes) -> None:
        """One message for the chat."""
        match messages.decode_control(text):
            case Fault() as fault:
                self.refuse(fault)
            case message:
                self._mistakes.forgive()
                self._chat.take(message, self)

    def on_binary(self, data: bytes) -> None:
        """Audio, which only the chat's own client may send. UNCONFIRMED U31: EVI's answer."""
        del data
        self.refuse(NO_AUDIO)

    def on_close(self, code: int, reason: str) -> None:
        """The connection is gone, whoever ended it."""
        del reason  # free text of a peer
        self._chat.mirrors.leave(self)
        self._metrics.mirror_closed(self._why)
        log.info("mirror_closed", chat_id=self._chat.id, why=self._why, code=code)

    def refuse(self, fault: Fault) -> None:
        """Tell this mirror alone; one that goes on repeating itself is closed, as a client is."""
        self._metrics.error_sent(fault.code)
        self.answer(messages.error(fault, str(uuid.uuid4())))
        if self._mistakes.is_once_too_often(fault):
            self._close(1008, TOO_OFTEN, why="repeated_errors")

    def answer(self, message: ServerMessage) -> None:
        """Tell this mirror alone."""
        self.send(messages.encode(message, None))

    def send(self, text: bytes) -> None:
        """Send a message, or cut a mirror that has stopped reading: nobody waits for it."""
        if self._over:
            return
        if self._socket.unsent_bytes() > MAX_MIRROR_BACKLOG_BYTES:
            log.warning("mirror_reader_too_slow", chat_id=self._chat.id)
            self._over, self._why = True, "reader_too_slow"
            self._socket.abort()
        else:
            self._socket.send_text(text)

    def end(self) -> None:
        """The chat is over."""
        self._close(1000, "The chat is over.", why="chat_ended")

    def _close(self, code: int, reason: str, *, why: str) -> None:
        if not self._over:
            self._over, self._why = True, why
            self._socket.close(code, reason)
