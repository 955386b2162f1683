"""Paths with parameters: what they match at both entrances, and what they tell."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from evibridge.sockets import SocketListener, SocketRoute, mount
from tests.sockets.peers import PATIENCE_S, TEXT, Desk, RawPeer, frame, upgrade_head


@pytest.mark.parametrize(
    ("target", "parameters"),
    [
        ("/ws/blue/seat/7", {"room": "blue", "seat": "7"}),
        ("/ws/blue/seat/7?seat=8", {"room": "blue", "seat": "7"}),
        ("/ws/a%20b%C3%BC/seat/%7Bx%7D", {"room": "a bü", "seat": "{x}"}),
        ("/ws/a%2Fb/seat/%2561", {"room": "a/b", "seat": "%61"}),
        ("/ws/{room}/seat/..", {"room": "{room}", "seat": ".."}),
        ("http://test/ws/blue/seat/7", {"room": "blue", "seat": "7"}),
        ("/w%73/blue/seat/7", {"room": "blue", "seat": "7"}),
        ("/ws/hall/seat/2", {"room": "hall", "seat": "2"}),
        ("/ws/blue/seat/9", {"room": "blue", "seat": "9"}),
        ("/ws", {}),
    ],
)
async def test_a_parameter_is_any_one_segment(
    desk: Desk, target: str, parameters: dict[str, str]
) -> None:
    async with await RawPeer.dial(desk.port, upgrade_head(target)) as peer:
        assert (await peer.response())[0] == 101
        peer.write(frame(TEXT, b"x"))
        assert await peer.frame() == (TEXT, b"x")
    assert [dict(upgrade.parameters) for upgrade in desk.upgrades] == [parameters]


async def test_a_path_without_parameters_goes_first(desk: Desk) -> None:
    async with await RawPeer.dial(desk.port, upgrade_head("/ws/hall/seat/1")) as peer:
        assert (await peer.response())[0] == 101
    assert [dict(upgrade.parameters) for upgrade in desk.upgrades] == [{}]


@pytest.mark.parametrize(
    "target",
    [
        "/ws//seat/7",
        "/ws/blue/seat/",
        "/ws/blue/seat",
        "/ws/blue/green/seat/7",
        "/ws/blue/seat/7/8",
        "/ws/blue/bench/7",
        "//ws/blue/seat/7",
    ],
)
async def test_other_paths_are_not_found(desk: Desk, target: str) -> None:
    async with await RawPeer.dial(desk.port, upgrade_head(target)) as peer:
        assert (await peer.response())[0] == 404
    assert desk.upgrades == []


async def test_plain_http_is_told_that_the_path_is_for_sockets(desk: Desk) -> None:
    url = f"http://127.0.0.1:{desk.port}/ws/blue/seat/7"
    async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            told = await response.text()
            assert (response.status, told) == (
                400,
                "This address is for WebSocket connections only.",
            )
        async with session.post(url) as response:
            assert (response.status, response.headers["Allow"]) == (405, "GET")
    assert desk.upgrades == []


async def test_a_parameter_may_arrive_byte_by_byte(one_port: Desk) -> None:
    async with await RawPeer.dial(one_port.port) as peer:
        for byte in upgrade_head("/ws/blue/seat/17"):
            peer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await peer.response())[0] == 101
    assert [upgrade.parameters["seat"] for upgrade in one_port.upgrades] == ["17"]


@pytest.mark.parametrize("path", ["/a{b}", "/{b}c", "/{}", "/{1b}", "/{b", "/b}", "/{a}/{a}"])
def test_a_parameter_that_is_no_whole_segment_is_a_mistake(path: str) -> None:
    with pytest.raises(ValueError, match="a parameter is a whole segment"):
        mount(web.Application(), [SocketRoute(path, lambda _: SocketListener(), 1)])
