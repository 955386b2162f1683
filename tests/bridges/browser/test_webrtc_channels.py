"""What a page may do with the data channels of its connection."""

import struct
from collections.abc import Callable

import pytest
from aiortc import RTCSctpTransport
from aiortc.rtcsctptransport import Chunk, DataChunk, ForwardTsnChunk, ReconfigChunk, SackChunk
from structlog.testing import capture_logs

from evibridge.bridges.browser.sctp_checks import MAX_AHEAD, MAX_STREAMS
from evibridge.bridges.browser.webrtc_channels import MAX_FRAGMENTS
from evibridge.events import CallerLost
from tests.bridges.browser.webrtc_page import WebRtcPage, WebRtcScene


async def broken(scene: WebRtcScene, page: WebRtcPage) -> None:
    """The service has closed the connection, and the call waits for its caller."""
    await scene.no_legs()
    history = scene.bus.history(page.answer["call_id"])
    assert any(isinstance(event.event, CallerLost) for event in history)


def fragment(tsn: int, stream: int, size: int, flags: int = 0) -> DataChunk:
    chunk = DataChunk(flags=flags)
    chunk.tsn, chunk.stream_id, chunk.protocol = tsn, stream, 51
    chunk.user_data = b"x" * size
    return chunk


async def test_a_binary_message_breaks_the_connection(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    page.channel.send(b"\x01\x02")
    await broken(scene, page)


@pytest.mark.parametrize("size", [64 * 1024 + 1, 1024 * 1024])
async def test_a_message_that_is_too_long_breaks_the_connection(
    scene: WebRtcScene, size: int
) -> None:
    page, _ = await scene.converse()
    page.channel.transport._remote_max_message_size = 0  # for this page no length is too much
    page.channel.send("x" * size)
    await broken(scene, page)


async def test_a_message_of_64_kib_is_taken(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    page.channel.send("x" * 64 * 1024)
    assert (await page.expect("refused"))["code"] == "bad_message"


async def test_a_message_without_an_end_breaks_the_connection(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    sctp = page.channel.transport
    for number in range(MAX_FRAGMENTS + 1):
        tsn = (sctp._local_tsn + number) % 2**32
        await sctp._send_chunk(fragment(tsn, page.channel.id or 0, 1, flags=2 if not number else 0))
    await broken(scene, page)


async def test_gaps_that_are_never_filled_break_the_connection(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    sctp = page.channel.transport
    for number in range(1, MAX_FRAGMENTS + 3):
        tsn = (sctp._local_tsn + 2 * number) % 2**32
        await sctp._send_chunk(fragment(tsn, number % MAX_STREAMS, 1, flags=7))
    await broken(scene, page)


async def test_a_stream_that_is_not_there_breaks_the_connection(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    sctp = page.channel.transport
    await sctp._send_chunk(fragment(sctp._local_tsn, MAX_STREAMS, 1, flags=3))
    await broken(scene, page)


async def test_data_that_makes_no_sense_breaks_the_connection(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    chunk = fragment(page.channel.transport._local_tsn, page.channel.id or 0, 0, flags=3)
    chunk.user_data = b"\xff\xfe is no UTF-8"
    await page.channel.transport._send_chunk(chunk)
    await broken(scene, page)


async def test_other_data_channels_are_ignored(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    for label in ("evibridge", "other"):
        channel = await page.open_channel(label)
        channel.send(b"nobody reads this")
        channel.send('{"type":"end"}')
    page.send(type="ping")
    await page.expect("pong")
    assert not scene.call.is_over


class Raw(Chunk):
    """Any chunk."""

    def __init__(self, kind: int, body: bytes) -> None:
        super().__init__(body=body)
        self.type = kind


def sack(page: RTCSctpTransport, ahead: int, *gaps: tuple[int, int]) -> Chunk:
    chunk = SackChunk()
    assert page._last_received_tsn is not None
    chunk.cumulative_tsn = (page._last_received_tsn + ahead) % 2**32
    chunk.gaps = list(gaps)
    return chunk


def forward(page: RTCSctpTransport, ahead: int, *streams: int) -> Chunk:
    chunk = ForwardTsnChunk()
    chunk.cumulative_tsn = (page._local_tsn - 1 + ahead) % 2**32
    chunk.streams = [(stream, 0) for stream in streams]
    return chunk


EMPTY_PARAMETER = b"\0\1\0\0"


def with_an_empty_parameter(kind: int, before: int) -> Callable[[RTCSctpTransport], Chunk]:
    return lambda _: Raw(kind, bytes(before) + EMPTY_PARAMETER)


VIOLATIONS: dict[str, tuple[Callable[[RTCSctpTransport], Chunk], str]] = {
    **{
        f"a chunk {kind} whose parameter is empty": (
            with_an_empty_parameter(kind, before),
            "a parameter without an end",
        )
        for kind, before in {1: 16, 2: 16, 4: 0, 5: 0, 6: 0, 9: 0, 130: 0}.items()
    },
    "huge gaps": (
        lambda page: sack(page, 0, *[(1, 65_535)] * 290),
        "an acknowledgement that makes no sense",
    ),
    "a gap behind all that was sent": (
        lambda page: sack(page, 0, (2, 65_535)),
        "an acknowledgement of what was not sent",
    ),
    "what was never sent": (
        lambda page: sack(page, 1000),
        "an acknowledgement of what was not sent",
    ),
    "a number far ahead": (lambda page: forward(page, MAX_AHEAD + 1), "data far ahead"),
    "streams that are not there": (
        lambda page: forward(page, 1, MAX_STREAMS),
        "a data channel that is not there",
    ),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
async def test_packets_that_would_keep_the_service_busy_break_the_connection(
    scene: WebRtcScene, violation: str
) -> None:
    page, _ = await scene.converse()
    make, why = VIOLATIONS[violation]
    with capture_logs() as lines:
        await page.channel.transport._send_chunk(make(page.channel.transport))
        await broken(scene, page)
    assert [line["why"] for line in lines if line["event"] == "webrtc_peer_lost"] == [
        f"it sent {why}"
    ]


async def test_nothing_is_read_behind_a_violation(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    sctp = page.channel.transport
    await sctp._send_chunk(Raw(4, EMPTY_PARAMETER))
    await sctp._send_chunk(Raw(4, EMPTY_PARAMETER))
    page.send(type="end")
    await broken(scene, page)
    assert not scene.call.is_over


async def test_what_other_pages_send_beside_data_is_taken(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    sctp = page.channel.transport
    await sctp._send_chunk(Raw(4, struct.pack("!HH8s", 1, 12, b"heartbea")))
    reset = ReconfigChunk()
    reset.params = [(13, struct.pack("!LLLH", sctp._reconfig_request_seq, 0, 0, 9))]
    await sctp._send_chunk(reset)
    await sctp._send_chunk(forward(sctp, 0, 3))
    await sctp._send_chunk(sack(sctp, -1))
    page.send(type="ping")
    await page.expect("pong")
