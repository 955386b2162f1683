"""Dialling out: every way in which the other side can answer, or fail to."""

import asyncio
import gc
import shutil
import socket as kernel
import ssl
import subprocess
from pathlib import Path

import pytest
import websockets
from aiohttp import web
from structlog.testing import capture_logs

from evibridge.errors import LinkRefused, LinkUnreachable, SettingsError
from evibridge.sockets import Socket, SocketListener, client, connect, mount
from tests.sockets.peers import (
    BINARY,
    CLOSE,
    KEY,
    MAX_MESSAGE_BYTES,
    PATIENCE_S,
    PING,
    PONG,
    TEXT,
    Desk,
    RawPeer,
    Recorder,
    accept_key,
    accept_upgrade,
    close_frame,
    echo,
    frame,
    raw_server,
)

pytestmark = pytest.mark.usefixtures("no_task_left")


async def _connect(
    url: str, listener: SocketListener, timeout_s: float = PATIENCE_S, **headers: str
) -> Socket:
    return await connect(
        url, listener, headers=headers, max_message_bytes=MAX_MESSAGE_BYTES, timeout_s=timeout_s
    )


# Connected


async def test_a_server_of_the_websockets_package_is_understood() -> None:
    async def answer(peer: websockets.ServerConnection) -> None:
        await peer.send(await peer.recv())
        await peer.send(await peer.recv())
        await peer.close(4000, "enough")

    async with websockets.serve(answer, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        listener = Recorder()
        socket = await _connect(f"ws://127.0.0.1:{port}/", listener)
        assert listener.socket is socket
        socket.send_text("é".encode())
        socket.send_binary(b"\x00\xff")
        assert await listener.closed() == (4000, "enough")
    assert listener.texts == ["é".encode()]
    assert listener.binaries == [b"\x00\xff"]


async def test_a_server_of_ours_is_understood(desk: Desk) -> None:
    listener = Recorder(lambda socket, _: socket.close(4001, "enough"))
    socket = await _connect(desk.url, listener)
    socket.send_text(b"x")
    assert await listener.closed() == (4001, "")
    assert await desk.listener.closed() == (4001, "enough")
    assert listener.texts == [b"x"]


async def test_a_fragmented_message_of_a_server_is_told_whole() -> None:
    async def answer(peer: websockets.ServerConnection) -> None:
        await peer.send(["a", "", "b"])

    async with websockets.serve(answer, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        listener = Recorder()
        await _connect(f"ws://127.0.0.1:{port}/", listener)
        assert await listener.closed() == (1000, "")
    assert listener.texts == [b"ab"]


async def test_the_request_carries_query_and_headers() -> None:
    lines: list[bytes] = []

    async def answer(peer: RawPeer) -> None:
        head = await peer.request_head()
        lines.extend(head.split(b"\r\n"))
        peer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")

    async with raw_server(answer) as url:
        with pytest.raises(LinkRefused):
            await _connect(url, Recorder(), Authorization="Bearer s3cret")
    assert lines[0] == b"GET /chat?api_key=s3cret HTTP/1.1"
    assert b"Authorization: Bearer s3cret" in lines
    assert f"Host: {url.split('/')[2]}".encode() in lines


async def test_nothing_that_is_sent_or_received_is_logged(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(1):
        listener = Recorder(lambda socket, _: socket.close())
        socket = await _connect(f"{desk.url}?key=s3cret", listener, Authorization="s3cret")
        socket.send_text(b"s3cret")
        await listener.closed()
        await desk.listener.closed()
    assert "s3cret" not in caplog.text
    assert "127.0.0.1" not in caplog.text


async def test_messages_that_come_with_the_answer_are_told_after_the_opening() -> None:
    async def answer(peer: RawPeer) -> None:
        await accept_upgrade(peer, after=frame(TEXT, b"hello", masked=False))
        assert await peer.frame() == (TEXT, b"hello")

    async with raw_server(answer) as url:
        listener = Recorder(echo)
        await _connect(url, listener)
        assert await listener.closed() == (1006, "")
    assert listener.texts == [b"hello"]


async def test_pings_are_answered() -> None:
    async def answer(peer: RawPeer) -> None:
        await accept_upgrade(peer, after=frame(PING, b"?", masked=False))
        assert await peer.frame() == (PONG, b"?")

    async with raw_server(answer) as url:
        listener = Recorder()
        await _connect(url, listener)
        await listener.closed()


async def test_an_aborted_connection_is_1006_for_both() -> None:
    async def answer(peer: RawPeer) -> None:
        await accept_upgrade(peer)
        assert await peer.ended() == b""

    async with raw_server(answer) as url:
        listener = Recorder()
        socket = await _connect(url, listener)
        socket.abort()
        socket.send_binary(b"too late")
        assert await listener.closed() == (1006, "")


async def test_a_listener_may_hang_up_when_it_opens() -> None:
    class Hanger(Recorder):
        def on_open(self, socket: Socket) -> None:
            super().on_open(socket)
            socket.send_binary(b"bye")
            socket.close(1001)

    async def answer(peer: RawPeer) -> None:
        await accept_upgrade(peer)
        assert await peer.frame() == (BINARY, b"bye")
        assert await peer.frame() == (CLOSE, (1001).to_bytes(2, "big"))
        peer.write(close_frame(1001, masked=False))

    async with raw_server(answer) as url:
        listener = Hanger()
        await _connect(url, listener)
        assert await listener.closed() == (1001, "")


async def test_a_listener_that_fails_is_logged_once_and_closed_with_1011() -> None:
    class Broken(Recorder):
        def on_open(self, socket: Socket) -> None:
            super().on_open(socket)
            raise ZeroDivisionError

        def on_close(self, code: int, reason: str) -> None:
            super().on_close(code, reason)
            raise ZeroDivisionError

    async def answer(peer: RawPeer) -> None:
        await accept_upgrade(peer)
        assert await peer.close_code() == 1011
        peer.write(close_frame(1011, masked=False))

    with capture_logs() as logs:
        async with raw_server(answer) as url:
            listener = Broken()
            await _connect(url, listener)
            assert await listener.closed() == (1011, "")
    assert [entry["event"] for entry in logs] == ["socket_listener_failed"] * 2


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, b"x"), 1002),
        (frame(TEXT, b"x", rsv=4, masked=False), 1002),
        (frame(TEXT, b"x" * (MAX_MESSAGE_BYTES + 1), masked=False), 1009),
        (2 * close_frame(1000, masked=False), 1002),
    ],
)
async def test_a_servers_violation_ends_the_connection_and_troubles_nobody_else(
    sent: bytes, code: int
) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def answer(peer: RawPeer) -> None:
        await accept_upgrade(peer, after=sent)
        assert await peer.close_code() == code
        assert await peer.ended() == b""

    async with raw_server(answer) as url:
        listener = Recorder()
        await _connect(url, listener)
        await listener.closed()
    assert listener.texts == []
    del listener
    for _ in range(20):
        await asyncio.sleep(0)
    gc.collect()
    assert complaints == []


# Refused


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(401, False), (403, False), (404, False), (302, False), (408, True), (429, True), (503, True)],
)
async def test_a_status_is_a_refusal(status: int, retryable: bool) -> None:
    async def answer(peer: RawPeer) -> None:
        await peer.request_head()
        peer.write(
            f"HTTP/1.1 {status} So\r\nLocation: ws://127.0.0.1/?api_key=s3cret\r\n"
            "Content-Length: 2\r\n\r\nno".encode()
        )

    async with raw_server(answer) as url:
        listener = Recorder()
        with pytest.raises(LinkRefused, match=f"HTTP status {status}") as caught:
            await _connect(url, listener)
    assert caught.value.status == status
    assert caught.value.retryable is retryable
    assert "s3cret" not in str(caught.value)
    assert listener.socket is None


async def test_a_refusal_of_an_aiohttp_server_is_understood(desk: Desk) -> None:
    with pytest.raises(LinkRefused) as caught:
        await _connect(f"{desk.url}/nowhere", Recorder())
    assert caught.value.status == 404


# Not understood


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.example ESMTP\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 nonsense\r\n\r\n",
        b"HTTP/1.1 520 Web Server Returned an Unknown Error\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + f"Sec-WebSocket-Accept: {accept_key(KEY)}\r\n\r\n".encode(),
        b"HTTP/1.1 101 Switching Protocols\r\nbroken\r\n\r\n",
        b"\xff\xfe\r\n\r\n",
        b"x" * 20_000,
    ],
)
async def test_a_server_that_does_not_speak_websocket_is_unreachable(answer: bytes) -> None:
    async def behave(peer: RawPeer) -> None:
        await peer.request_head()
        peer.write(answer)
        await peer.ended()

    async with raw_server(behave) as url:
        listener = Recorder()
        with pytest.raises(LinkUnreachable, match=r"/chat answered, but not as a WebSocket server"):
            await _connect(url, listener)
    assert listener.socket is None


async def test_a_server_that_hangs_up_is_unreachable() -> None:
    async def behave(peer: RawPeer) -> None:
        await peer.request_head()

    async with raw_server(behave) as url:
        with pytest.raises(LinkUnreachable, match=r"hung up during the handshake\.$") as caught:
            await _connect(url, Recorder())
    assert caught.value.retryable
    assert "s3cret" not in str(caught.value)


async def test_a_server_without_tls_is_unreachable_over_wss() -> None:
    async def behave(peer: RawPeer) -> None:
        peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.ended()

    async with raw_server(behave) as url:
        with pytest.raises(LinkUnreachable, match=r"^wss://127.*cannot be reached: \[SSL"):
            await _connect(url.replace("ws:", "wss:"), Recorder())


async def test_a_port_where_nobody_listens_is_unreachable() -> None:
    with kernel.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}/?api_key=s3cret"
        with pytest.raises(LinkUnreachable, match="cannot be reached: ") as caught:
            await _connect(url, Recorder())
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 70 + ".example"])
async def test_a_host_that_nobody_knows_is_unreachable(host: str) -> None:
    with pytest.raises(LinkUnreachable, match=f"^ws://{host}/ cannot be reached: "):
        await _connect(f"ws://{host}/?api_key=s3cret", Recorder())


# Given up


async def test_a_silent_server_is_given_up_in_time() -> None:
    async def behave(peer: RawPeer) -> None:
        await peer.request_head()
        assert await peer.ended() == b""

    async with raw_server(behave) as url:
        listener = Recorder()
        with pytest.raises(LinkUnreachable, match=r"cannot be reached: no answer in time\.$"):
            await _connect(url, listener, timeout_s=0.01)
    assert listener.socket is None


async def test_a_cancelled_connect_leaves_nothing_open() -> None:
    asked, released = asyncio.Event(), asyncio.Event()

    async def behave(peer: RawPeer) -> None:
        await peer.request_head()
        asked.set()
        assert await peer.ended() == b""
        released.set()

    async with raw_server(behave) as url, asyncio.timeout(PATIENCE_S):
        listener = Recorder()
        connecting = asyncio.create_task(_connect(url, listener))
        await asked.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await released.wait()
    assert listener.socket is None
    assert listener.closes == []


async def test_a_connect_cancelled_at_any_moment_leaves_nothing_open(one_port: Desk) -> None:
    for turns in range(30):
        listener = Recorder()
        connecting = asyncio.create_task(_connect(one_port.url, listener))
        for _ in range(turns):
            await asyncio.sleep(0)
        connecting.cancel()
        try:
            socket = await connecting
        except asyncio.CancelledError:
            pass
        else:
            socket.abort()
        if listener.socket is not None:
            await listener.closed()
    for accepted in one_port.listeners:
        await accepted.closed()


# Settings


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "nonsense", "ws://127.0.0.1:70000/"])
async def test_an_address_that_is_none_is_the_owners_to_fix(url: str) -> None:
    with pytest.raises(SettingsError):
        await _connect(url, Recorder())


@pytest.mark.parametrize("value", ["key\r\nHost: elsewhere", "key\n", "\0"])
async def test_a_header_with_a_line_break_is_the_owners_to_fix(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^The header Key holds a line break") as caught:
        await _connect("ws://127.0.0.1:1/", Recorder(), Key=value)
    assert value not in str(caught.value)


# TLS


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that this machine made for itself, and its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(file), "-out", str(file.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def _serve_tls(desk: Desk, tls: ssl.SSLContext) -> web.AppRunner:
    app = web.Application()
    mount(app, desk.routes())
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    desk.port = runner.addresses[0][1]
    return runner


async def test_both_sides_work_over_tls(
    certificate: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(client, "_tls_context", lambda: trusting)
    desk = Desk()
    runner = await _serve_tls(desk, tls)
    listener = Recorder()
    socket = await _connect(f"wss://localhost:{desk.port}/ws", listener)
    socket.send_text(b"x" * MAX_MESSAGE_BYTES)
    await listener.until(lambda me: me.texts)
    assert listener.texts == [b"x" * MAX_MESSAGE_BYTES]
    assert socket.unsent_bytes() == 0
    socket.close(1000, "done")
    assert await listener.closed() == (1000, "")
    assert await desk.listener.closed() == (1000, "done")
    await runner.cleanup()


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tls: ssl.SSLContext) -> None:
    desk = Desk()
    runner = await _serve_tls(desk, tls)
    with pytest.raises(LinkUnreachable, match="certificate verify failed"):
        await _connect(f"wss://localhost:{desk.port}/ws", Recorder())
    await runner.cleanup()
    assert desk.upgrades == []
