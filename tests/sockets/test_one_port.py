"""A port that HTTP and WebSockets share: who gets a connection, and how the port closes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler

from evibridge.errors import SettingsError
from evibridge.sockets import Refusal, Server, _one_port, _picows, mount, serve
from evibridge.sockets import server as server_module
from evibridge.sockets._one_port import Door, Port
from evibridge.sockets._paths import Paths
from tests.sockets.peers import (
    PATIENCE_S,
    TEXT,
    Desk,
    RawPeer,
    Recorder,
    close_frame,
    frame,
    upgrade_head,
)

PLAIN = b"GET /plain HTTP/1.1\r\nHost: test\r\n\r\n"

Start = Callable[[web.Application], Awaitable[tuple[Desk, Server]]]


@pytest.fixture
async def start(no_task_left: None) -> AsyncIterator[Start]:
    """Start servers that a test closes itself; closing again must do no harm."""
    del no_task_left
    servers: list[Server] = []

    async def start(app: web.Application) -> tuple[Desk, Server]:
        desk = Desk()
        server = await serve(app, desk.routes(), host="127.0.0.1", port=0)
        desk.port = server.port
        servers.append(server)
        return desk, server

    yield start
    for server in servers:
        await server.close()


async def _body(peer: RawPeer) -> bytes:
    """Read an HTTP response with its body."""
    status, headers = await peer.response()
    assert status == 200
    return await peer.exactly(int(headers["content-length"]))


# Who gets a connection


async def test_http_is_answered_on_the_same_port(one_port: Desk) -> None:
    async with (
        asyncio.timeout(PATIENCE_S),
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{one_port.port}/plain?x=1") as response,
    ):
        assert (response.status, await response.text()) == (200, "GET plain")


async def test_a_kept_alive_connection_may_upgrade_later(desk: Desk) -> None:
    async with await RawPeer.dial(desk.port, PLAIN) as peer:
        assert await _body(peer) == b"GET plain"
        peer.write(PLAIN)
        assert await _body(peer) == b"GET plain"
        peer.write(upgrade_head("/ws?late"))
        assert (await peer.response())[0] == 101
        peer.write(frame(TEXT, b"x"))
        assert await peer.frame() == (TEXT, b"x")
        peer.write(close_frame(1000, "done"))
        assert await peer.close_code() == 1000
        assert await peer.ended() == b""
    assert await desk.listener.closed() == (1000, "done")
    assert [upgrade.path for upgrade in desk.upgrades] == ["/ws?late"]


async def test_an_upgrade_may_be_pipelined_behind_a_request(desk: Desk) -> None:
    sent = PLAIN + upgrade_head() + frame(TEXT, b"early")
    async with await RawPeer.dial(desk.port, sent) as peer:
        assert await _body(peer) == b"GET plain"
        assert (await peer.response())[0] == 101
        assert await peer.frame() == (TEXT, b"early")


async def test_a_late_upgrade_can_be_refused(desk: Desk) -> None:
    desk.accept = lambda _: Refusal(503, "Busy.")
    async with await RawPeer.dial(desk.port, PLAIN) as peer:
        await _body(peer)
        peer.write(upgrade_head())
        assert (await peer.response())[0] == 503
        assert await peer.ended() == b"Busy."


async def test_a_wrong_late_handshake_leaves_the_connection_to_http(desk: Desk) -> None:
    async with await RawPeer.dial(desk.port, PLAIN) as peer:
        await _body(peer)
        peer.write(upgrade_head(Connection=None, Upgrade=None))
        status, headers = await peer.response()
        assert status == 400
        await peer.exactly(int(headers["content-length"]))
        peer.write(PLAIN)
        assert await _body(peer) == b"GET plain"


async def test_an_upgrade_request_for_a_plain_route_is_plain_http(one_port: Desk) -> None:
    async with await RawPeer.dial(one_port.port, upgrade_head("/plain")) as peer:
        assert await _body(peer) == b"GET plain"


async def test_an_upgrade_request_for_an_unknown_path_is_404(one_port: Desk) -> None:
    async with await RawPeer.dial(one_port.port, upgrade_head("/ws/")) as peer:
        assert (await peer.response())[0] == 404


@pytest.mark.parametrize("target", ["/%77s?a=1", "http://test/ws?a=1"])
async def test_another_spelling_of_the_path_is_accepted(desk: Desk, target: str) -> None:
    async with await RawPeer.dial(desk.port, upgrade_head(target)) as peer:
        assert (await peer.response())[0] == 101
        peer.write(frame(TEXT, b"x"))
        assert await peer.frame() == (TEXT, b"x")
    assert desk.upgrades[0].path.endswith("?a=1")


@pytest.mark.parametrize("head", [upgrade_head(), PLAIN])
async def test_a_head_may_arrive_byte_by_byte(one_port: Desk, head: bytes) -> None:
    async with await RawPeer.dial(one_port.port) as peer:
        for byte in head:
            peer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await peer.response())[0] in (101, 200)


async def test_a_head_and_a_frame_may_be_longer_than_the_read_buffer(one_port: Desk) -> None:
    spare = 16 * 1024 - 1 - len(upgrade_head("/ws?a=b", Padding=""))
    head = upgrade_head("/ws?a=b", Padding="x" * spare)
    async with await RawPeer.dial(one_port.port, head + 100 * frame(TEXT, b"x" * 500)) as peer:
        assert (await peer.response())[0] == 101
        for _ in range(100):
            assert await peer.frame() == (TEXT, b"x" * 500)


@pytest.mark.parametrize(
    "sent", [upgrade_head(Padding="x" * 17_000), b"x" * 17_000, upgrade_head()[:-2] + b"x" * 17_000]
)
async def test_a_head_without_an_end_is_cut(one_port: Desk, sent: bytes) -> None:
    async with await RawPeer.dial(one_port.port, sent) as peer:
        assert await peer.ended() == b""
    assert one_port.upgrades == []


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /ws", upgrade_head()[:-1]])
async def test_a_slow_head_is_cut(
    one_port: Desk, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(_one_port, "HEAD_TIMEOUT_S", 0.01)
    async with await RawPeer.dial(one_port.port, sent) as peer:
        assert await peer.ended() == b""
    assert one_port.upgrades == []


@pytest.mark.parametrize("sent", [PLAIN[:-2], PLAIN])
async def test_an_idle_http_connection_is_cut(
    start: Start, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(server_module, "KEEP_ALIVE_S", 0.01)
    desk, _ = await start(web.Application())
    async with await RawPeer.dial(desk.port, sent) as peer:
        await peer.ended()


async def test_a_socket_outlives_the_time_for_its_head(
    one_port: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_one_port, "HEAD_TIMEOUT_S", 0.01)
    async with await RawPeer.upgraded(one_port.port) as peer:
        async with await RawPeer.dial(one_port.port) as slow:
            await slow.ended()
        peer.write(frame(TEXT, b"x"))
        assert await peer.frame() == (TEXT, b"x")


async def test_clients_that_vanish_leave_nothing(one_port: Desk) -> None:
    for sent in (b"", b"GET", upgrade_head()[:-1], PLAIN, PLAIN[:-1]):
        async with await RawPeer.dial(one_port.port, sent):
            pass
    assert one_port.upgrades == []


# Closing the port


async def test_closing_cuts_every_kind_of_connection(start: Start) -> None:
    app = web.Application()
    cleaned: list[web.Application] = []

    async def plain(_: web.Request) -> web.Response:
        return web.Response(text="x")

    async def clean(app: web.Application) -> None:
        cleaned.append(app)

    app.router.add_get("/plain", plain)
    app.on_cleanup.append(clean)
    desk, server = await start(app)
    silent = await RawPeer.dial(desk.port)
    half = await RawPeer.dial(desk.port, upgrade_head()[:-1])
    kept_alive = await RawPeer.dial(desk.port, PLAIN)
    await _body(kept_alive)
    direct = await RawPeer.upgraded(desk.port)
    late = await RawPeer.dial(desk.port, PLAIN)
    await _body(late)
    late.write(upgrade_head())
    assert (await late.response())[0] == 101

    await server.close()

    assert [listener.closes for listener in desk.listeners] == [[(1006, "")]] * 2
    assert cleaned == [app]
    for peer in (silent, half, kept_alive, direct, late):
        assert await peer.ended() == b""
    with pytest.raises(ConnectionRefusedError):
        await RawPeer.dial(desk.port)


async def test_a_closing_handshake_that_has_begun_may_finish(start: Start) -> None:
    desk, server = await start(web.Application())
    desk.accept = lambda _: Recorder(lambda socket, _: socket.close(4000))
    targets = ("/ws", "http://test/ws")  # one socket by each entrance
    peers = [
        await RawPeer.dial(desk.port, upgrade_head(target) + frame(TEXT, b"go"))
        for target in targets
    ]
    for peer in peers:
        assert (await peer.response())[0] == 101
        assert await peer.close_code() == 4000

    closing = asyncio.create_task(server.close())
    for _ in range(20):
        await asyncio.sleep(0)
    for peer in peers:
        peer.write(close_frame(4000, "bye"))
    await closing

    assert [listener.closes for listener in desk.listeners] == [[(4000, "bye")]] * 2
    for peer in peers:
        assert await peer.ended() == b""


async def test_a_closing_handshake_that_does_not_end_is_cut(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_picows, "CLOSE_TIMEOUT_S", 0.01)
    desk, server = await start(web.Application())
    desk.accept = lambda _: Recorder(lambda socket, _: socket.close(4000))
    async with await RawPeer.upgraded(desk.port, after=frame(TEXT, b"go")) as peer:
        assert await peer.close_code() == 4000
        await server.close()
        assert desk.listener.closes == [(1006, "")]


async def test_a_request_that_is_being_answered_may_finish(start: Start) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        arrived.set()
        await go_on.wait()
        return web.Response(text="done")

    app = web.Application()
    app.router.add_get("/plain", slow)
    desk, server = await start(app)
    async with await RawPeer.dial(desk.port, PLAIN) as peer:
        await arrived.wait()
        closing = asyncio.create_task(server.close())
        go_on.set()
        assert await _body(peer) == b"done"
        await closing


async def test_a_request_that_hangs_does_not_hold_the_port(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "CLOSE_TIMEOUT_S", 0.01)
    arrived = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    app = web.Application()
    app.router.add_get("/plain", hang)
    desk, server = await start(app)
    async with await RawPeer.dial(desk.port, PLAIN) as peer:
        async with asyncio.timeout(PATIENCE_S):
            await arrived.wait()
            await server.close()
        assert await peer.ended() == b""


async def test_a_connection_that_comes_to_a_closed_port_is_cut() -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    assert runner.server is not None
    port = Port(runner.server, Paths(), set())
    port.close()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Door(port), "127.0.0.1", 0)
    async with await RawPeer.dial(server.sockets[0].getsockname()[1]) as peer:
        assert await peer.ended() == b""
    assert port.undecided == set()
    server.close()
    await runner.cleanup()


async def test_a_mounted_application_cuts_its_sockets_when_it_shuts_down(
    no_task_left: None,
) -> None:
    del no_task_left
    desk, app = Desk(), web.Application()
    mount(app, desk.routes())
    server = TestServer(app)
    await server.start_server()
    assert server.port is not None
    async with await RawPeer.upgraded(server.port) as peer:
        await server.close()
        assert desk.listener.closes == [(1006, "")]
        assert await peer.ended() == b""


async def test_nobody_is_asked_about_a_client_that_has_gone(start: Start) -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    @web.middleware
    async def dawdle(request: web.Request, handler: Handler) -> web.StreamResponse:
        arrived.set()
        while request.transport is not None:  # noqa: ASYNC110 - aiohttp has no event for it
            await asyncio.sleep(0)
        response = await handler(request)
        gone.set()
        return response

    desk, _ = await start(web.Application(middlewares=[dawdle]))
    async with asyncio.timeout(PATIENCE_S):
        async with await RawPeer.dial(desk.port, upgrade_head("http://test/ws")):
            await arrived.wait()
        await gone.wait()
    assert desk.upgrades == []


# Addresses


async def test_a_port_in_use_is_the_owners_to_fix(start: Start) -> None:
    cleaned = asyncio.Event()

    async def clean(_: web.Application) -> None:
        cleaned.set()

    desk, _ = await start(web.Application())
    second = web.Application()
    second.on_cleanup.append(clean)
    with pytest.raises(SettingsError, match=rf"^Port {desk.port} of 127\.0\.0\.1 is in use: "):
        await serve(second, [], host="127.0.0.1", port=desk.port)
    assert cleaned.is_set()


@pytest.mark.parametrize("host", ["203.0.113.1", "nowhere.invalid"])
async def test_a_host_that_is_not_ours_is_the_owners_to_fix(host: str) -> None:
    with pytest.raises(SettingsError, match=f"^Cannot listen on port 0 of {host} .*another host"):
        await serve(web.Application(), [], host=host, port=0)


async def test_ipv6_is_served(no_task_left: None) -> None:
    del no_task_left
    desk = Desk()
    try:
        server = await serve(web.Application(), desk.routes(), host="::1", port=0)
    except SettingsError:
        pytest.skip("no IPv6 on this machine")
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("::1", server.port)
    async with RawPeer(reader, writer) as peer:
        peer.write(upgrade_head())
        assert (await peer.response())[0] == 101
    assert [upgrade.peer for upgrade in desk.upgrades] == ["::1"]
    await server.close()
