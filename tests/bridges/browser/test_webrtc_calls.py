"""Whole calls by WebRTC: between aiortc's peer and an EVI server, over real sockets."""

import asyncio
import threading

import pytest
from structlog.testing import capture_logs

from evibridge.agent.call import Call
from evibridge.agent.call_plan import CallerLeg
from evibridge.bridges.browser import webrtc_peer
from evibridge.bridges.browser.desk import Place
from evibridge.bus import Told
from evibridge.events import CallerLost, CallerReturned, CallEvent, CallKind, EndReason
from tests.bridges.browser.webrtc_page import (
    WebRtcScene,
    datagram_sockets,
    voice_packets,
)
from tests.bridges.browser.webrtc_talk import caller_audio, say
from tests.parties import PATIENCE_S, all_gone


async def told(scene: WebRtcScene, call_id: str, kind: type[CallEvent]) -> CallEvent:
    """The first event of this kind, which may be still to come."""
    found: asyncio.Future[CallEvent] = asyncio.get_running_loop().create_future()

    def look(event: Told) -> None:
        if isinstance(event.event, kind) and not found.done():
            found.set_result(event.event)

    stop = scene.bus.subscribe(look, call_id)
    for event in scene.bus.history(call_id):
        look(event)
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await found
    finally:
        stop()


async def test_a_page_is_welcomed_once_its_data_channel_is_open(scene: WebRtcScene) -> None:
    page = scene.new_page()
    welcome = await page.connect(token=scene.token())

    assert welcome == {
        "type": "welcome",
        "call_id": scene.call.call_id,
        "key": page.answer["key"],
        "resume_s": 10.0,
        "agent": {"name": "Lantern"},
        "transport": "webrtc",
    }
    assert scene.call.facts.kind is CallKind.BROWSER
    assert page.answer["call_id"] == scene.call.call_id


async def test_a_caller_whose_place_is_gone_is_told_so(scene: WebRtcScene) -> None:
    page = scene.new_page()
    status, answer = await page.post(type="offer", sdp=await page.offer(), token=scene.token())
    assert status == 200
    scene.desk.come_back(answer["key"]).give_up()
    scene.calls._plan = None
    await page.accept(answer)

    assert (await page.expect("refused"))["code"] == "call_is_over"
    await page.closed()


async def test_the_caller_hangs_up_by_a_message(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    page.send(type="end")

    ended = await page.expect("ended")
    assert ended["reason"] == "caller_hung_up"
    await page.closed()
    await all_gone(scene.calls)


async def test_the_caller_hangs_up_by_a_request(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    where = f"{scene.origin}/webrtc/offer/{page.answer['call_id']}"
    authorization = {"Authorization": f"Bearer {page.answer['key']}"}
    async with scene.http.delete(where, headers=authorization) as answer:
        assert answer.status == 204

    assert (await page.expect("ended"))["reason"] == "caller_hung_up"
    await page.closed()
    async with scene.http.delete(where, headers=authorization) as answer:
        assert answer.status == 204, "the call is over, as it was to be"


async def test_the_agent_hangs_up_and_the_page_is_told(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    scene.call.end(EndReason.AGENT_HUNG_UP)

    assert (await page.expect("ended"))["reason"] == "agent_hung_up"
    await page.closed()


async def test_a_call_that_ends_as_its_caller_comes_is_told_to_be_over(
    scene: WebRtcScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    join = Place.join

    def join_and_end(place: Place, leg: CallerLeg) -> Call | None:
        call = join(place, leg)
        assert call is not None
        call.end(EndReason.SHUTDOWN)
        return call

    monkeypatch.setattr(Place, "join", join_and_end)
    page = scene.new_page()
    await page.begin(token=scene.token())
    await page.expect("welcome")
    assert (await page.expect("ended"))["reason"] == "shutdown"
    await page.closed()
    await scene.no_legs()


async def test_a_page_that_is_gone_is_lost_and_may_come_back(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    await page.close()
    await told(scene, page.answer["call_id"], CallerLost)

    again = scene.new_page()
    welcome = await again.connect(key=page.answer["key"], since=scene.bus.last_seq)
    assert welcome["call_id"] == page.answer["call_id"]
    await told(scene, page.answer["call_id"], CallerReturned)
    again.track.say(*voice_packets(5))
    await caller_audio(chat, 5 * 640)


async def test_a_page_that_is_lost_as_it_is_welcomed_may_come_back_again(
    scene: WebRtcScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, chat = await scene.converse()
    key, call_id = page.answer["key"], page.answer["call_id"]
    await page.close()
    await told(scene, call_id, CallerLost)

    second, third = scene.new_page(), scene.new_page()
    with monkeypatch.context() as messages_are_not_taken:
        messages_are_not_taken.setattr(webrtc_peer, "MAX_UNSENT_BYTES", -1)
        await second.begin(key=key)
        await told(scene, call_id, CallerReturned)
        assert scene.call.snapshot().caller_is_away
        await scene.no_legs()
    await third.connect(key=key)
    third.track.say(*voice_packets(5))
    await caller_audio(chat, 5 * 640)


async def test_a_page_that_a_frame_cannot_be_sent_to_may_come_back(
    scene: WebRtcScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError

    page, chat = await scene.converse()
    with monkeypatch.context() as network_is_down, capture_logs() as lines:
        network_is_down.setattr(webrtc_peer.WebRtcPeer, "send_audio", fail)
        await say(chat, 300)
        await told(scene, page.answer["call_id"], CallerLost)
        await scene.no_legs()
    assert [line["event"] for line in lines].count("webrtc_frame_failed") == 1

    again = scene.new_page()
    await again.connect(key=page.answer["key"])
    await say(chat, 300, "u2")
    await again.packet()


async def test_a_page_from_which_nothing_comes_is_lost(
    scene: WebRtcScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webrtc_peer, "SILENT_PEER_S", 0.1)
    monkeypatch.setattr(webrtc_peer, "REPORT_EVERY_S", 0.05)
    page, _ = await scene.converse()
    page.vanish()
    await told(scene, page.answer["call_id"], CallerLost)


async def test_another_connection_takes_the_call_over(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    again = scene.new_page()
    await again.connect(key=page.answer["key"])

    assert (await page.expect("refused"))["code"] == "taken_over"
    await page.closed()
    await say(chat, 200)
    await again.packet()
    assert not scene.call.is_over


async def test_a_pause_is_the_callers_to_ask_for(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    page.send(type="pause")
    await chat.expect("pause_assistant_message")
    assert (await page.expect("paused"))["by"] == "you"

    page.send(type="nonsense")
    assert (await page.expect("refused"))["code"] == "bad_message"


async def test_nothing_is_left_of_a_call(scene: WebRtcScene) -> None:
    await scene.routes._leg_class()
    sockets, threads = datagram_sockets(), threading.active_count()
    page, _ = await scene.converse()
    page.send(type="end")
    await page.closed()
    await page.close()
    await all_gone(scene.calls)
    await scene.no_legs()

    assert datagram_sockets() == sockets
    assert threading.active_count() == threads
    assert not [task for task in asyncio.all_tasks() if "aio" in repr(task.get_coro())]
