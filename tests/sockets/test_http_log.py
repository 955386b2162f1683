"""What a server's log says of HTTP requests."""

import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from evibridge.sockets import serve
from tests.sockets.peers import RawPeer

PLAIN = b"GET /plain HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.fixture
async def port(no_task_left: None) -> AsyncIterator[int]:
    del no_task_left

    async def plain(_: web.Request) -> web.Response:
        return web.Response()

    async def fail(_: web.Request) -> web.Response:
        raise ArithmeticError

    app = web.Application()
    app.router.add_get("/plain", plain)
    app.router.add_get("/fault", fail)
    server = await serve(app, [], host="127.0.0.1", port=0)
    yield server.port
    await server.close()


@pytest.mark.parametrize("before", [b"", PLAIN])
@pytest.mark.parametrize(
    "bad",
    [
        b"POST /send?api_key=s3cret&x=\xff HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /send?api_key=s3cret HTTP/1.1\r\nHost test\r\n\r\n",
        b"s3cret /send HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /send?api_key=s3cret HTTP/7\r\nHost: test\r\n\r\n",
        b"GET /send?api_key=" + b"s3cret" * 2000 + b" HTTP/1.1\r\nHost: test\r\n\r\n",
    ],
)
async def test_a_request_that_cannot_be_read_is_not_quoted(
    port: int, before: bytes, bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(1):
        async with await RawPeer.dial(port, before) as peer:
            if before:
                assert (await peer.response())[0] == 200
            peer.write(bad)
            assert (await peer.response())[0] == 400

    assert "s3cret" not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("aiohttp")]


async def test_the_fault_of_a_handler_is_told(port: int, caplog: pytest.LogCaptureFixture) -> None:
    async with await RawPeer.dial(port, PLAIN.replace(b"/plain", b"/fault")) as peer:
        assert (await peer.response())[0] == 500

    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is ArithmeticError
