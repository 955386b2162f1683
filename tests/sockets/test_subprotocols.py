"""What a client and a route agree to speak."""

import pytest

from evibridge.sockets import Refusal, Upgrade
from tests.sockets.peers import TEXT, Desk, RawPeer, frame, upgrade_head

OURS = "evibridge"


async def chosen(desk: Desk, target: str, *offers: str) -> str | None:
    """What is answered to these headers, on a connection that works after it."""
    head = upgrade_head(target).removesuffix(b"\r\n")
    head += b"".join(f"Sec-WebSocket-Protocol: {offer}\r\n".encode() for offer in offers)
    async with await RawPeer.dial(desk.port, head + b"\r\n" + frame(TEXT, b"x")) as peer:
        status, headers = await peer.response()
        assert status == 101
        assert await peer.frame() == (TEXT, b"x")
        return headers.get("sec-websocket-protocol")


@pytest.mark.parametrize(
    "offers",
    [
        ["evibridge"],
        ["evibridge, bearer.aHVzaA"],
        ["chat ,evibridge"],
        ["chat", "bearer.aHVzaA,evibridge"],
    ],
)
async def test_what_the_route_speaks_is_chosen_if_it_is_offered(
    desk: Desk, offers: list[str]
) -> None:
    assert await chosen(desk, "/spoken", *offers) == OURS


@pytest.mark.parametrize("offers", [[], [""], ["chat"], ["Evibridge", "evibridge2, ,"]])
async def test_without_it_the_handshake_goes_on_without_a_subprotocol(
    desk: Desk, offers: list[str]
) -> None:
    assert await chosen(desk, "/spoken", *offers) is None


async def test_a_route_that_speaks_none_chooses_none(desk: Desk) -> None:
    assert await chosen(desk, "/ws", OURS) is None


async def test_a_late_upgrade_gets_its_subprotocol_too(desk: Desk) -> None:
    async with await RawPeer.dial(desk.port, b"GET /plain HTTP/1.1\r\nHost: test\r\n\r\n") as peer:
        _, headers = await peer.response()
        await peer.exactly(int(headers["content-length"]))
        peer.write(upgrade_head("/spoken", Sec_WebSocket_Protocol=OURS))
        status, headers = await peer.response()
        assert (status, headers["sec-websocket-protocol"]) == (101, OURS)


async def test_a_refusal_chooses_nothing(desk: Desk) -> None:
    desk.accept = lambda _: Refusal(403, "No.")
    head = upgrade_head("/spoken", Sec_WebSocket_Protocol=OURS)
    async with await RawPeer.dial(desk.port, head) as peer:
        status, headers = await peer.response()
        assert (status, "sec-websocket-protocol" in headers) == (403, False)
        assert await peer.ended() == b"No."


async def test_the_owner_of_a_route_sees_what_is_offered(desk: Desk) -> None:
    await chosen(desk, "/spoken", "evibridge, bearer.aHVzaA", "chat")
    (upgrade,) = desk.upgrades
    assert upgrade.subprotocols == ("evibridge", "bearer.aHVzaA", "chat")
    assert "aHVzaA" not in repr(upgrade)


def test_headers_of_any_spelling_tell_what_is_offered() -> None:
    upgrade = Upgrade("/", {"SEC-WEBSOCKET-PROTOCOL": "a,b"}, "127.0.0.1")
    assert upgrade.subprotocols == ("a", "b")
