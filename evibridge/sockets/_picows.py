"""A picows connection as a `Socket`, and the settings that picows is given on either side."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import structlog
from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined] # left out of picows' stub

from evibridge.sockets.addresses import Target
from evibridge.sockets.interface import SocketListener

PING_AFTER_IDLE_S = 20.0
"""A silent peer is asked for a sign of life; without a pong as long after, the link is dead."""
CLOSE_TIMEOUT_S = 2.0
"""How long a close frame may stay unanswered before the connection is cut."""
READ_BUFFER_BYTES = 16 * 1024
"""Holds many 20 ms frames; picows enlarges it for a longer message."""
MAX_REASON_BYTES = 123
"""Room for a reason in a close frame (RFC 6455, 5.5)."""

NO_STATUS = 1005
ABNORMAL_CLOSE = 1006

_TEXT = WSMsgType.TEXT
_BINARY = WSMsgType.BINARY
_CONTINUATION = WSMsgType.CONTINUATION
_CLOSE = WSMsgType.CLOSE
_PONG = WSMsgType.PONG

log = structlog.get_logger()
_picows_log = logging.getLogger(f"{__name__}.picows")
# Below this level picows writes peers' addresses, and whole requests with their credentials.
_picows_log.setLevel(logging.ERROR)


class PicowsSocket(WSListener):
    """An open WebSocket: a listener for picows, a `Socket` for the owner.

    Args:
        listener: the owner
        max_message_bytes: a longer message ends the connection, in one frame or in many
        open_sockets: holds this socket for as long as it is open
    """

    __slots__ = (
        "_closing",
        "_cut_timer",
        "_epilogue",
        "_listener",
        "_max_message_bytes",
        "_open_sockets",
        "_partial",
        "_partial_is_text",
        "_transport",
        "send_text",
        "unsent_bytes",
    )

    def __init__(
        self,
        listener: SocketListener,
        max_message_bytes: int,
        open_sockets: "set[PicowsSocket]",
    ) -> None:
        self._listener = listener
        self._max_message_bytes = max_message_bytes
        self._open_sockets = open_sockets
        self._transport: WSTransport | None = None
        self._closing = False
        # While open, these two are methods in C: calls in Python cost 2 % of a frame each.
        self.send_text: Callable[[bytes], None] = _send_nothing
        self.unsent_bytes: Callable[[], int] = _nothing_unsent
        self._cut_timer: asyncio.TimerHandle | None = None
        self._partial: bytearray | None = None
        self._partial_is_text = False
        self._epilogue: asyncio.Task[None] | None = None

    def send_binary(self, data: bytes) -> None:
        if self._transport is not None and not self._closing:
            self._transport.send(_BINARY, data)

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self._transport is None or self._closing:
            return
        self._begin_closing()
        self._transport.send_close(WSCloseCode(code), _fitting(reason))
        self._cut_in_time()

    def abort(self) -> None:
        self._begin_closing()
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _begin_closing(self) -> None:
        self._closing = True
        self.send_text = _send_nothing

    async def end(self) -> None:
        """Abort, unless a closing handshake is under way; returns when `on_close` has been told."""
        transport = self._transport
        if transport is not None:
            if not self._closing:
                self.abort()
            await _ended(transport)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self.send_text = partial(transport.send, _TEXT)
        self.unsent_bytes = transport.underlying_transport.get_write_buffer_size
        self._open_sockets.add(self)
        try:
            self._listener.on_open(self)
        except Exception:
            log.exception("socket_listener_failed")
            self.close(WSCloseCode.INTERNAL_ERROR.value)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is _CLOSE:
            self._answer_close(transport, frame)
            return
        if self._closing or transport.is_close_frame_sent:
            return  # picows has sent the close frame itself if the peer broke the protocol
        try:
            if frame.rsv1 or frame.rsv2 or frame.rsv3:
                self.close(WSCloseCode.PROTOCOL_ERROR.value, "no extension was agreed on")
            elif kind is _TEXT and frame.fin and self._partial is None:
                self._listener.on_text(frame.get_payload_as_bytes())
            elif kind is _BINARY and frame.fin and self._partial is None:
                self._listener.on_binary(frame.get_payload_as_bytes())
            elif kind is not _PONG:
                self._receive_fragment(kind, frame)
        except Exception:
            log.exception("socket_listener_failed")
            self.close(WSCloseCode.INTERNAL_ERROR.value)

    def _receive_fragment(self, kind: WSMsgType, frame: WSFrame) -> None:
        if (kind is _CONTINUATION) == (self._partial is None):
            self.close(WSCloseCode.PROTOCOL_ERROR.value, "fragments out of order")
            return
        if self._partial is None:
            self._partial = bytearray()
            self._partial_is_text = kind is _TEXT
        self._partial += frame.get_payload_as_bytes()
        if len(self._partial) > self._max_message_bytes:
            self.close(WSCloseCode.MESSAGE_TOO_BIG.value, "message too big")
        elif frame.fin:
            message, self._partial = bytes(self._partial), None
            if self._partial_is_text:
                self._listener.on_text(message)
            else:
                self._listener.on_binary(message)

    def _answer_close(self, transport: WSTransport, frame: WSFrame) -> None:
        if not self._closing:
            self._begin_closing()
            code = frame.get_close_code()
            # These two stand for an absent code and may not be sent (RFC 6455, 7.4.1).
            absent = code in (WSCloseCode.NO_INFO, WSCloseCode.ABNORMAL_CLOSURE)
            transport.send_close(WSCloseCode.OK if absent else code)
        transport.disconnect()
        self._cut_in_time()

    def _cut_in_time(self) -> None:
        """Bound the wait for the peer's answer, and for a peer that takes no more bytes."""
        if self._cut_timer is None:
            loop = asyncio.get_running_loop()
            self._cut_timer = loop.call_later(CLOSE_TIMEOUT_S, self.abort)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._transport = None
        self._begin_closing()
        self.unsent_bytes = _nothing_unsent
        self._open_sockets.discard(self)
        if self._cut_timer is not None:
            self._cut_timer.cancel()
        if transport.is_client_side:
            # picows leaves a server's violation in a future that complains if nobody looks at it.
            self._epilogue = asyncio.get_running_loop().create_task(_ended(transport))
        try:
            self._listener.on_close(*_received_close(transport))
        except Exception:
            log.exception("socket_listener_failed")

    def pause_writing(self) -> None:
        """Nothing to do: each owner bounds its backlog by `unsent_bytes`."""

    def resume_writing(self) -> None:
        """Nothing to do, see `pause_writing`."""


def _send_nothing(text: bytes, /) -> None:
    """Stands for `send_text` while a socket is not open."""


def _nothing_unsent() -> int:
    return 0


async def _ended(transport: WSTransport) -> None:
    with suppress(Exception):
        await transport.wait_disconnected()


def _received_close(transport: WSTransport) -> tuple[int, str]:
    handshake = transport.close_handshake
    received = handshake.recv if handshake is not None else None
    if received is None:
        return ABNORMAL_CLOSE, ""
    return received.code.value or NO_STATUS, received.reason or ""


def _fitting(reason: str) -> bytes:
    cut = reason.encode(errors="replace")[:MAX_REASON_BYTES]
    return cut.decode(errors="ignore").encode()


def server_protocol(
    decide: Callable[[WSUpgradeRequest], PicowsSocket | WSUpgradeResponseWithListener],
    max_message_bytes: int,
) -> WSProtocol:
    """Make the server's end of a connection, to be fed with a whole upgrade request.

    Args:
        decide: answers the request
        max_message_bytes: a longer frame closes the connection with 1009
    """
    return _protocol(
        host_port=None,
        ws_path=None,
        is_client_side=False,
        ws_listener_factory=decide,
        max_frame_size=max_message_bytes,
        extra_headers=None,
    )


def client_protocol(
    target: Target,
    socket: PicowsSocket,
    headers: Mapping[str, str],
    max_message_bytes: int,
    ping_after_s: float | None = None,
) -> WSProtocol:
    """Make the client's end of a connection; the caller bounds the handshake in time."""
    return _protocol(
        host_port=target.authority,
        ws_path=target.resource,
        is_client_side=True,
        ws_listener_factory=lambda: socket,
        max_frame_size=max_message_bytes,
        extra_headers=headers,
        ping_after_s=ping_after_s,
    )


def _protocol(*, ping_after_s: float | None = None, **side: object) -> WSProtocol:
    idle_s = PING_AFTER_IDLE_S if ping_after_s is None else ping_after_s
    # picows' own `ws_connect` leaves the connection open when it is cancelled, and its own server
    # cannot share a port with HTTP; so its undocumented protocol class is used on both sides.
    return WSProtocol(
        logger=_picows_log,
        disconnect_on_exception=True,
        websocket_handshake_timeout=None,
        enable_auto_ping=True,
        auto_ping_idle_timeout=idle_s,
        auto_ping_reply_timeout=idle_s,
        auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
        enable_auto_pong=True,
        read_buffer_init_size=READ_BUFFER_BYTES,
        **side,
    )


def feed(protocol: asyncio.BufferedProtocol, transport: asyncio.Transport, data: bytes) -> None:
    """Give bytes that somebody else has read to a protocol that reads into its own buffer."""
    while data and not transport.is_closing():
        room = memoryview(protocol.get_buffer(len(data)))
        taken, data = data[: len(room)], data[len(room) :]
        room[: len(taken)] = taken
        protocol.buffer_updated(len(taken))
