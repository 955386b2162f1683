"""One stream of a line over a WebSocket, at the pace of a telephone."""

import asyncio
import contextlib
from collections.abc import Mapping

from evibridge.emulators.call_report import CallEnd
from evibridge.emulators.phone_line import PhoneLine
from evibridge.emulators.twilio_media import FIRST_TIMESTAMP_MS, FRAME_MS, StreamStart
from evibridge.sockets import Socket, SocketListener, connect

HANDSHAKE_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
"""Longer than a socket waits for the answer to its close frame."""
ABNORMAL_CLOSE = 1006
"""Reported when a connection ended without a close frame (RFC 6455, 7.1.5)."""
MAX_MESSAGE_BYTES = 1024 * 1024
"""Of the service, about a minute and a half of audio; Twilio names no limit."""
MAX_UNSENT_BYTES = 64 * 1024
"""About three seconds of the caller's audio; behind that it is lost, as with Twilio."""


class MediaLink(SocketListener):
    """Opens the media socket of a stream and keeps it supplied until either side has enough."""

    def __init__(self, line: PhoneLine, start: StreamStart) -> None:
        self._line = line
        self._start = start
        self._socket: Socket | None = None
        self._closed = asyncio.Event()
        self._close_code = ABNORMAL_CLOSE

    async def open(self, url: str, headers: Mapping[str, str]) -> None:
        """Connect and send `connected` and `start`.

        Raises:
            LinkUnreachable: nobody answers the handshake
            LinkRefused: the handshake is answered with an HTTP status
        """
        await connect(
            url,
            self,
            headers=headers,
            max_message_bytes=MAX_MESSAGE_BYTES,
            timeout_s=HANDSHAKE_TIMEOUT_S,
        )

    async def run(self) -> int:
        """Stream until the caller leaves, the stream is lost or the other side closes.

        Returns the close code.
        """
        assert self._socket is not None, "open() comes first"
        try:
            await self._pace(self._socket)
            if self._line.ended is CallEnd.LINE_LOST or self._line.stream_lost:
                self._socket.abort()
            elif self._line.ended is not None:
                self._socket.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._closed.wait()
        finally:
            self._socket.abort()
            self._line.close_stream(self._ended_by())
        return self._close_code

    async def _pace(self, socket: Socket) -> None:
        """A frame every 20 ms of the loop's clock; after a late wake-up the missed ones at once."""
        loop = asyncio.get_running_loop()
        due_s = loop.time() + FIRST_TIMESTAMP_MS / 1000
        while self._line.ended is None and not self._line.stream_lost:
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            if self._closed.is_set():
                return
            self._line.next_frame(congested=socket.unsent_bytes() > MAX_UNSENT_BYTES)
            self._flush(socket)
            due_s += FRAME_MS / 1000

    def _flush(self, socket: Socket) -> None:
        for message in self._line.take_messages():
            socket.send_text(message)

    def _ended_by(self) -> str:
        if self._line.stream_lost:
            return "a broken connection"
        return "caller" if self._line.ended is not None else f"service, code {self._close_code}"

    def on_open(self, socket: Socket) -> None:
        """The line's stream begins with the socket."""
        self._socket = socket
        self._line.open_stream(self._start)
        self._flush(socket)

    def on_text(self, text: bytes) -> None:
        """Pass a message on; marks may be echoed at once."""
        self._line.receive_text(text)
        assert self._socket is not None, "on_open comes first"
        self._flush(self._socket)

    def on_binary(self, data: bytes) -> None:
        """Twilio takes no binary frames."""
        del data
        self._line.receive_binary()

    def on_close(self, code: int, reason: str) -> None:
        """The socket is gone."""
        del reason
        self._close_code = code
        self._closed.set()
