"""What pages are answered by HTTP before they connect."""

import asyncio
import json
import socket
from collections import Counter
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from evibridge import sockets
from evibridge.bridges.browser import webrtc_routes
from evibridge.bridges.browser.ice_servers import IceServers
from evibridge.bridges.browser.webrtc_peer import WebRtcPeer
from tests.bridges.browser.page import ALLOWED
from tests.bridges.browser.webrtc_page import WebRtcScene, datagram_sockets, webrtc_scene
from tests.parties import PATIENCE_S, TinyEvi

TURN = "turn:turn.invalid:3478"


async def post(
    scene: WebRtcScene, body: Any, path: str = "/webrtc/offer", **headers: str
) -> tuple[int, dict[str, Any], Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **headers}
    async with scene.http.post(scene.origin + path, data=data, headers=headers) as answer:
        return answer.status, await answer.json(), answer.headers


async def refusal(scene: WebRtcScene, body: Any, **more: str) -> tuple[int, str]:
    """Status and code of a request that fails, with a sentence and without leaving anything."""
    before = datagram_sockets()
    status, fault, _ = await post(scene, body, **more)
    assert fault["message"].endswith("."), fault
    await scene.no_legs()
    assert datagram_sockets() == before
    return status, fault["code"]


async def offered(scene: WebRtcScene, **members: Any) -> dict[str, Any]:
    return {"type": "offer", "sdp": await scene.new_page().offer(), **members}


async def test_an_offer_is_answered_with_the_place_of_the_call(scene: WebRtcScene) -> None:
    body = await offered(scene, token=scene.token())
    status, answer, headers = await post(scene, body)

    assert status == 200
    assert set(answer) == {"type", "sdp", "call_id", "key", "resume_s"}
    assert (answer["type"], answer["resume_s"]) == ("answer", 10.0)
    assert headers["Location"] == f"/webrtc/offer/{answer['call_id']}"
    assert headers["Cache-Control"] == "no-store"
    assert "127.0.0.1" in answer["sdp"]
    assert scene.desk.waiting() == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"sdp": None},
        {"sdp": 7},
        {"sdp": ""},
        {"sdp": "no description"},
        {"sdp": "v=0\r\n" + "m=audio 9 X 0\r\n" * 500},
        {"type": "answer"},
        {"since": -1},
        {"since": "7"},
        {"since": True},
        {"token": None},
        {"token": 7},
        {"token": "t" * 513},
        {"key": "k"},
    ],
)
async def test_a_bad_offer_uses_no_token_up(scene: WebRtcScene, changes: dict[str, Any]) -> None:
    token = scene.token()
    good = await offered(scene, token=token)
    assert await refusal(scene, {**good, **changes}) == (400, "bad_offer")
    assert (await post(scene, good))[0] == 200


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"text"', b"\xff"])
async def test_what_is_no_object_is_refused(scene: WebRtcScene, body: bytes) -> None:
    assert await refusal(scene, body) == (400, "bad_offer")


async def test_a_body_that_is_too_long_is_refused(scene: WebRtcScene) -> None:
    assert await refusal(scene, bytes(70_000)) == (413, "bad_offer")


async def test_a_body_of_another_type_is_refused(scene: WebRtcScene) -> None:
    body = await offered(scene, token=scene.token())
    other = {"Content-Type": "text/plain"}
    assert await refusal(scene, body, **other) == (415, "bad_offer")


async def test_a_token_is_good_for_one_call(scene: WebRtcScene) -> None:
    body = await offered(scene, token=scene.token())
    assert (await post(scene, body))[0] == 200
    status, fault, _ = await post(scene, body)
    assert (status, fault["code"]) == (401, "token_used")


async def test_strangers_are_refused(scene: WebRtcScene) -> None:
    assert await refusal(scene, await offered(scene, token="no")) == (401, "token_unknown")
    assert await refusal(scene, await offered(scene, key="no")) == (404, "call_is_over")


async def test_when_all_lines_are_busy_the_token_is_kept(scene: WebRtcScene) -> None:
    for _ in range(2):
        assert (await post(scene, await offered(scene, token=scene.token())))[0] == 200
    token = scene.token()
    status, fault, headers = await post(scene, await offered(scene, token=token))
    assert (status, fault["code"], headers["Retry-After"]) == (503, "service_full", "15")
    assert scene.sessions.check(token, None, asyncio.get_running_loop().time())


async def test_too_many_connections_at_once_are_put_off(
    scene: WebRtcScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webrtc_routes, "MAX_CONNECTING", 0)
    body = await offered(scene, token=scene.token())
    assert await refusal(scene, body) == (503, "service_full")


async def test_those_who_leave_do_not_count_among_those_who_come(
    scene: WebRtcScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webrtc_routes, "MAX_CONNECTING", 1)
    may_close, take_down = asyncio.Event(), WebRtcPeer._take_down

    async def take_down_slowly(peer: WebRtcPeer) -> None:
        await may_close.wait()
        await take_down(peer)

    monkeypatch.setattr(WebRtcPeer, "_take_down", take_down_slowly)
    for _ in range(3):
        status, answer, _ = await post(scene, await offered(scene, token=scene.token()))
        assert status == 200
        assert await hang_up(scene, answer["call_id"], f"Bearer {answer['key']}") == 204
    assert len(scene.routes._legs) == 3
    may_close.set()
    await scene.no_legs()


async def test_one_page_makes_one_connection_at_a_time(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        servers = IceServers([f"stun:127.0.0.1:{silent.getsockname()[1]}"])
        async with webrtc_scene(evi, http, servers) as scene:
            body = await offered(scene, token=scene.token())
            answers = await asyncio.gather(*(post(scene, body) for _ in range(10)))
            got = Counter((status, fault.get("code")) for status, fault, _ in answers)
            assert got == {(200, None): 1, (503, "too_many_connections"): 9}
            headers = next(headers for status, _, headers in answers if status == 503)
            assert headers["Retry-After"] == "1"
            assert (await post(scene, body))[1]["code"] == "token_used"
            assert len(scene.routes._legs) == 1


async def test_one_page_does_not_offer_again_and_again(scene: WebRtcScene) -> None:
    body = await offered(scene, token=scene.token())
    _, first, _ = await post(scene, body)
    again = {**body, "key": first["key"]}
    del again["token"]
    got = [(await post(scene, again))[0] for _ in range(20)]
    assert got[:5] == [200] * 5
    assert set(got[5:]) <= {200, 503}
    assert got.count(503) > 10
    assert (await post(scene, await offered(scene, token=scene.token())))[0] == 200, "others may"


async def test_a_token_is_kept_when_the_page_must_come_another_way(
    scene: WebRtcScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = scene.token()
    body = await offered(scene, token=token)
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
    assert await refusal(scene, body) == (501, "webrtc_unavailable")
    assert scene.desk.arrive(token, None).call is None
    assert scene.desk.waiting() == 1


@pytest.mark.parametrize("by_key", [False, True])
async def test_a_service_that_ends_answers_no_offer_any_more(
    evi: TinyEvi, http: aiohttp.ClientSession, by_key: bool
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        before = datagram_sockets()
        servers = IceServers([f"stun:127.0.0.1:{silent.getsockname()[1]}"])
        async with webrtc_scene(evi, http, servers) as scene:
            body = await offered(scene, token=scene.token())
            if by_key:
                body["key"] = (await post(scene, body))[1]["key"]
                del body["token"]
            legs = len(scene.routes._legs)
            asked = asyncio.create_task(post(scene, body))
            async with asyncio.timeout(PATIENCE_S):
                while len(scene.routes._legs) == legs:  # noqa: ASYNC110 - nobody tells of it
                    await asyncio.sleep(0)
            await scene.routes.close()
            status, fault, _ = await asked
            assert (status, fault["code"]) == (404, "call_is_over")
            await scene.no_legs()
    assert datagram_sockets() == before - 1


async def test_a_flood_of_bad_requests_does_not_flood_the_log(scene: WebRtcScene) -> None:
    with capture_logs() as lines:
        for _ in range(20):
            await post(scene, b"{")
            await post(scene, {}, "/webrtc/ice", Origin="https://evil.example")
    codes = Counter(line["why"] for line in lines if line["event"] == "webrtc_request_refused")
    assert set(codes) == {"bad_offer", "origin_not_allowed"}
    assert max(codes.values()) < 10


async def test_the_call_is_where_the_offer_was_sent_to(scene: WebRtcScene) -> None:
    outer, inner = web.Application(), web.Application()
    scene.routes.add_routes(inner)
    outer.add_subapp("/voice", inner)
    server = await sockets.serve(outer, [], host="127.0.0.1", port=0)
    body = await offered(scene, token=scene.token())
    where = f"http://127.0.0.1:{server.port}"
    async with scene.http.post(f"{where}/voice/webrtc/offer", json=body) as answer:
        location = answer.headers["Location"]
        told = await answer.json()
    assert location == f"/voice/webrtc/offer/{told['call_id']}"
    authorization = {"Authorization": f"Bearer {told['key']}"}
    async with scene.http.delete(where + location, headers=authorization) as answer:
        assert answer.status == 204
    await server.close()
    assert scene.desk.waiting() == 0


async def test_a_page_that_offers_again_is_answered_anew(scene: WebRtcScene) -> None:
    page = scene.new_page()
    status, first, _ = await post(scene, await offered(scene, token=scene.token()))
    assert status == 200
    welcome = await page.connect(key=first["key"])
    assert welcome["call_id"] == first["call_id"]
    assert len(scene.routes._legs) == 1


async def test_a_machine_without_an_address_says_so(
    scene: WebRtcScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = await offered(scene, token=scene.token())
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
    assert await refusal(scene, body) == (501, "webrtc_unavailable")


async def test_without_aiortc_the_page_is_sent_to_the_websocket(
    scene: WebRtcScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = await offered(scene, token=scene.token())
    monkeypatch.setitem(__import__("sys").modules, "evibridge.bridges.browser.webrtc_leg", None)
    assert await refusal(scene, body) == (501, "webrtc_not_installed")


# Pages of other sites


async def test_pages_of_allowed_sites_may_read_the_answer(scene: WebRtcScene) -> None:
    body = await offered(scene, token=scene.token())
    status, _, headers = await post(scene, body, Origin=ALLOWED)
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, ALLOWED)
    assert "Location" in headers["Access-Control-Expose-Headers"]


async def test_pages_of_other_sites_are_refused(scene: WebRtcScene) -> None:
    body = await offered(scene, token=scene.token())
    status, fault, headers = await post(scene, body, Origin="https://evil.example")
    assert (status, fault["code"]) == (403, "origin_not_allowed")
    assert "Access-Control-Allow-Origin" not in headers
    assert (await post(scene, body))[0] == 200


@pytest.mark.parametrize("path", ["/webrtc/offer", "/webrtc/offer/web-1", "/webrtc/ice"])
async def test_browsers_may_ask_before(scene: WebRtcScene, path: str) -> None:
    headers = {"Origin": ALLOWED, "Access-Control-Request-Method": "POST"}
    async with scene.http.options(scene.origin + path, headers=headers) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


# Hanging up


async def hang_up(scene: WebRtcScene, call_id: str, authorization: str) -> int:
    headers = {"Authorization": authorization}
    where = f"{scene.origin}/webrtc/offer/{call_id}"
    async with scene.http.delete(where, headers=headers) as answer:
        return answer.status


async def test_a_page_may_leave_before_it_is_connected(scene: WebRtcScene) -> None:
    _, answer, _ = await post(scene, await offered(scene, token=scene.token()))
    assert await hang_up(scene, answer["call_id"], f"Bearer {answer['key']}") == 204
    await scene.no_legs()
    assert scene.desk.waiting() == 0, "its place is free at once"


async def test_a_page_may_say_twice_that_it_leaves(scene: WebRtcScene) -> None:
    _, answer, _ = await post(scene, await offered(scene, token=scene.token()))
    for _ in range(2):
        assert await hang_up(scene, answer["call_id"], f"bearer  {answer['key']} ") == 204


async def test_only_the_caller_may_hang_up(scene: WebRtcScene) -> None:
    _, answer, _ = await post(scene, await offered(scene, token=scene.token()))
    assert await hang_up(scene, answer["call_id"], "Bearer other") == 204
    assert await hang_up(scene, "web-other", f"Bearer {answer['key']}") == 204
    assert scene.desk.waiting() == 1


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Basic k", "k", "Bearer " + "k" * 600])
async def test_who_hangs_up_shows_a_key(scene: WebRtcScene, authorization: str) -> None:
    where = f"{scene.origin}/webrtc/offer/web-1"
    async with scene.http.delete(where, headers={"Authorization": authorization}) as answer:
        fault = await answer.json()
        assert (answer.status, fault["code"]) == (401, "key_missing")
        assert fault["message"].endswith(".")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


# Servers that help


async def test_a_page_gets_servers_without_using_its_token_up(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    servers = IceServers(["stun:stun.invalid", TURN], "a secret")
    async with webrtc_scene(evi, http, servers) as scene:
        token = scene.token()
        for _ in range(2):
            status, answer, _ = await post(scene, {"token": token}, "/webrtc/ice")
            assert status == 200
        stun, turn = answer["ice_servers"]
        assert stun == {"urls": ["stun:stun.invalid"]}
        assert turn["urls"] == [TURN]
        assert set(turn) == {"urls", "username", "credential"}


async def test_servers_are_for_callers_only(scene: WebRtcScene) -> None:
    assert await refusal(scene, {"token": "no"}, path="/webrtc/ice") == (401, "token_unknown")
    assert await refusal(scene, {}, path="/webrtc/ice") == (400, "bad_offer")
    status, answer, _ = await post(scene, {"token": scene.token()}, "/webrtc/ice")
    assert (status, answer) == (200, {"ice_servers": []})
