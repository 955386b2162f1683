"""Who is let in, and who decides about it."""

import asyncio
from collections.abc import Callable

import aiohttp
import pytest
from structlog.testing import capture_logs

from evibridge.sockets import Refusal, Upgrade
from tests.sockets.peers import (
    KEY,
    PATIENCE_S,
    TEXT,
    Desk,
    RawPeer,
    frame,
    upgrade_head,
)

GREETING = "héllo".encode()


async def test_the_owner_of_a_route_sees_the_request(desk: Desk) -> None:
    head = upgrade_head("/ws?token=a%20b&x=%2F", x_caller="+1 555")
    async with await RawPeer.dial(desk.port, head) as peer:
        assert (await peer.response())[0] == 101
    (upgrade,) = desk.upgrades
    assert upgrade.path == "/ws?token=a%20b&x=%2F"
    assert upgrade.headers["X-CALLER"] == "+1 555"
    assert upgrade.peer == "127.0.0.1"


async def test_what_follows_a_refused_request_is_not_read(desk: Desk) -> None:
    desk.accept = lambda _: Refusal(403, "No.")
    async with await RawPeer.dial(desk.port, 300 * upgrade_head()) as peer:
        assert (await peer.response())[0] == 403
        assert await peer.ended() == b"No."


async def test_a_refusal_is_an_http_answer(desk: Desk) -> None:
    desk.accept = lambda _: Refusal(403, "Accès refusé.")
    async with await RawPeer.dial(desk.port, upgrade_head()) as peer:
        status, headers = await peer.response()
        assert status == 403
        assert headers["content-type"] == "text/plain; charset=utf-8"
        assert await peer.ended() == "Accès refusé.".encode()


def _fails(_: Upgrade) -> Refusal:
    raise ZeroDivisionError("secret")


def _refuses_with_200(_: Upgrade) -> Refusal:
    return Refusal(200, "secret")


@pytest.mark.parametrize("accept", [_fails, _refuses_with_200])
async def test_a_route_that_cannot_decide_answers_500_and_tells_no_secrets(
    desk: Desk, accept: Callable[[Upgrade], Refusal]
) -> None:
    desk.accept = accept
    with capture_logs() as logs:
        async with await RawPeer.dial(desk.port, upgrade_head()) as peer:
            assert (await peer.response())[0] == 500
            assert b"secret" not in await peer.ended()
    assert [entry["event"] for entry in logs] == ["socket_accept_failed"]


@pytest.mark.parametrize(
    "head",
    [
        upgrade_head(Connection="keep-alive, Upgrade"),
        upgrade_head(Connection="UPGRADE", Upgrade="WebSocket"),
        upgrade_head(Upgrade="h2c, websocket"),
        upgrade_head(Sec_WebSocket_Extensions="permessage-deflate"),
        upgrade_head(Sec_WebSocket_Protocol="chat"),
        upgrade_head(Cookie="c" * 6000),
    ],
)
async def test_a_browsers_request_is_accepted_without_extensions(desk: Desk, head: bytes) -> None:
    async with await RawPeer.dial(desk.port, head) as peer:
        status, headers = await peer.response()
        assert status == 101
        assert "sec-websocket-extensions" not in headers
        assert headers["sec-websocket-accept"] == "ICX+Yqv66kxgM0FcWaLWlFLwTAI="
        peer.write(frame(TEXT, b"x"))
        assert await peer.frame() == (TEXT, b"x")


@pytest.mark.parametrize(
    "head",
    [
        upgrade_head(Connection=None),
        upgrade_head(Connection="close"),
        upgrade_head(Upgrade=None),
        upgrade_head(Upgrade="h2c"),
        upgrade_head(Sec_WebSocket_Version="8"),
        upgrade_head(Sec_WebSocket_Version=None),
        upgrade_head(Sec_WebSocket_Key=None),
        upgrade_head(Sec_WebSocket_Key="short"),
        upgrade_head(Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAA=é"),
        upgrade_head(Sec_WebSocket_Key="AAAA"),
        upgrade_head(Sec_WebSocket_Key=f"{KEY}!!"),
        upgrade_head(Broken_Header="a\x01b"),
    ],
)
async def test_a_wrong_handshake_is_answered_400_before_anybody_is_asked(
    desk: Desk, head: bytes
) -> None:
    async with await RawPeer.dial(desk.port, head) as peer:
        assert (await peer.response())[0] == 400
    assert desk.upgrades == []


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE"])
async def test_other_methods_are_not_allowed_at_a_sockets_path(desk: Desk, method: str) -> None:
    async with (
        asyncio.timeout(PATIENCE_S),
        aiohttp.ClientSession() as session,
        session.request(method, desk.url.replace("ws:", "http:")) as response,
    ):
        assert response.status == 405
    assert desk.upgrades == []
