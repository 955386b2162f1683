"""Whatever bytes arrive, nobody crashes or hangs, and the next caller is served."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
import uvloop
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evibridge.errors import LinkError
from evibridge.sockets import connect, serve
from tests.sockets.peers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MAX_MESSAGE_BYTES,
    PATIENCE_S,
    PING,
    PONG,
    TEXT,
    Desk,
    RawPeer,
    Recorder,
    accept_upgrade,
    close_frame,
    frame,
    raw_server,
    upgrade_head,
)

Run = Callable[[bytes], None]
bounded = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def mutated(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """Bytes that were right before somebody cut, doubled, replaced or inserted a few."""
    data = draw(originals)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        width = draw(st.integers(0, 8))
        inserted = draw(st.one_of(st.binary(max_size=8), st.just(data[at : at + width] * 2)))
        data = data[:at] + inserted + data[at + width :]
    return data


heads = st.sampled_from(
    [
        upgrade_head(),
        upgrade_head("/ws?token=a"),
        upgrade_head("/plain"),
        upgrade_head(Connection="keep-alive, Upgrade", Content_Length="0"),
        b"POST /ws HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" + upgrade_head(),
    ]
)
opcodes = st.sampled_from([CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG, 3, 15])


def frames(*, masked: bool) -> st.SearchStrategy[bytes]:
    """A few frames: of any kind, whole or not, in any order."""
    one = st.builds(
        lambda opcode, payload, fin, rsv: frame(opcode, payload, fin=fin, rsv=rsv, masked=masked),
        opcodes,
        st.one_of(st.binary(max_size=20), st.just(bytes(400))),
        st.booleans(),
        st.sampled_from([0, 0, 0, 0, 1, 2, 4]),
    )
    good = st.sampled_from(
        [frame(TEXT, b"x", masked=masked), close_frame(4000, "x", masked=masked)]
    )
    return st.lists(st.one_of(one, good), max_size=8).map(b"".join)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner


@pytest.fixture
def poke(runner: asyncio.Runner) -> Iterator[Run]:
    """Send bytes to a server, wait until it hangs up, and prove that it still serves."""
    desk = Desk()

    async def exchange(data: bytes) -> None:
        desk.listeners.clear()
        async with await RawPeer.dial(desk.port, data) as peer:
            peer.stop_writing()
            await peer.ended()
        for listener in desk.listeners:
            await listener.closed()
            assert len(listener.closes) == 1
            assert all(len(message) <= MAX_MESSAGE_BYTES for message in listener.texts)
        async with await RawPeer.upgraded(desk.port) as peer:
            peer.write(frame(TEXT, b"alive"))
            assert await peer.frame() == (TEXT, b"alive")

    server = runner.run(serve(web.Application(), desk.routes(), host="127.0.0.1", port=0))
    desk.port = server.port
    yield lambda data: runner.run(exchange(data))
    runner.run(server.close())


@bounded
@given(data=mutated(heads))
def test_no_request_head_harms_the_port(poke: Run, data: bytes) -> None:
    poke(data)


@bounded
@given(data=mutated(frames(masked=True)))
def test_no_frame_of_a_client_harms_the_port(poke: Run, data: bytes) -> None:
    poke(upgrade_head() + data)


@bounded
@given(data=mutated(frames(masked=True)))
def test_no_frame_of_a_late_upgrade_harms_the_port(poke: Run, data: bytes) -> None:
    poke(upgrade_head("http://test/ws") + data)


@bounded
@given(
    head=mutated(st.just(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")),
    data=mutated(frames(masked=False)),
    is_accepted=st.booleans(),
)
def test_no_answer_of_a_server_harms_a_client(
    runner: asyncio.Runner, head: bytes, data: bytes, *, is_accepted: bool
) -> None:
    listener = Recorder()

    async def answer(peer: RawPeer) -> None:
        if is_accepted:
            await accept_upgrade(peer, after=data)
        else:
            await peer.request_head()
            peer.write(head + data)
        peer.stop_writing()
        await peer.ended()

    async def exchange() -> None:
        async with raw_server(answer) as url:
            try:
                await connect(
                    url, listener, max_message_bytes=MAX_MESSAGE_BYTES, timeout_s=PATIENCE_S
                )
            except LinkError:
                assert listener.socket is None
            else:
                await listener.closed()
                assert len(listener.closes) == 1

    runner.run(exchange())
