"""The data channels of a WebRTC connection, with bounds that aiortc does not have.

aiortc takes whatever the page sends: a message without an end is collected for ever, and a packet
that makes no sense raises an exception or keeps it busy; see `sctp_checks`.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog
from aiortc import RTCDtlsTransport, RTCSctpTransport
from aiortc.rtcsctptransport import Chunk, DataChunk, SackChunk
from OpenSSL import SSL

from evibridge.bridges.browser.sctp_checks import MAX_STREAMS, Association, find_fault
from evibridge.bridges.browser.webrtc_offer import MAX_MESSAGE_BYTES, SCTP_PORT

MAX_FRAGMENTS = 512
"""Of messages that are not complete; each costs far more than its own bytes."""
WINDOW_BYTES = MAX_MESSAGE_BYTES + 16 * 1024
"""Of messages that are not complete, as the page is told."""

log = structlog.get_logger(__name__)


class DataChannels(RTCSctpTransport):
    """What a page sends is never kept beyond one message, and its faults are told.

    Args:
        dtls: carries them
        violated: is told what the page did that no page does
    """

    def __init__(self, dtls: RTCDtlsTransport, violated: Callable[[str], None]) -> None:
        super().__init__(dtls, SCTP_PORT)
        self._violated = violated
        self._is_broken = False
        self._inbound_streams_max = MAX_STREAMS
        self._advertised_rwnd = WINDOW_BYTES
        self._acknowledged = asyncio.Event()

    async def flushed(self) -> None:
        """Wait until the page has everything that was sent."""
        while self._data_channel_queue or self._outbound_queue or self._sent_queue:
            if self._is_broken:
                return
            self._acknowledged.clear()
            await self._acknowledged.wait()

    async def _handle_data(self, data: bytes) -> None:
        if self._is_broken:
            return
        fault = find_fault(data, self._so_far())
        if fault:
            self._break(fault)
            return
        try:
            await super()._handle_data(data)
        except Exception as error:  # noqa: BLE001 - it trusts what the page sends
            log.warning("webrtc_data_unreadable", error=type(error).__name__)
            self._break("data that cannot be read")

    def _so_far(self) -> Association:
        waiting = self._outbound_queue
        next_tsn = waiting[0].tsn if waiting else self._local_tsn
        sent = (next_tsn - 1) & 0xFFFFFFFF
        return Association(self._last_received_tsn, self._last_sacked_tsn, sent)

    def _break(self, what: str) -> None:
        """Nothing more is taken from the page."""
        self._is_broken = True
        self._acknowledged.set()
        self._violated(what)

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        if self._is_broken:
            return
        stream = self._inbound_streams.get(chunk.stream_id)
        fragments = len(stream.reassembly) if stream is not None else 0
        if (
            self._advertised_rwnd < len(chunk.user_data)
            or fragments >= MAX_FRAGMENTS
            or len(self._sack_misordered) >= MAX_FRAGMENTS
        ):
            self._break("more than a message may have")
            return
        await super()._receive_data_chunk(chunk)

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        await super()._receive_sack_chunk(chunk)
        self._acknowledged.set()

    async def _send_chunk(self, chunk: Chunk) -> None:
        with suppress(ConnectionError, SSL.Error):  # a timer of it may outlive the connection
            await super()._send_chunk(chunk)
