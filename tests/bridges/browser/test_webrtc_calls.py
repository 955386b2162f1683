"""Whole calls by WebRTC: between aiortc's peer and an EVI server, over real sockets."""

import asyncio
import base64
import threading
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import aiohttp
import numpy as np
import pytest
from aiortc.rtp import RtcpPacket, RtcpSrPacket
from structlog.testing import capture_logs

from evibridge.agent.call import Call
from evibridge.agent.call_plan import CallerLeg
from evibridge.audio.wav import wav_file
from evibridge.bridges.browser import webrtc_peer
from evibridge.bridges.browser.desk import Place
from evibridge.bridges.browser.ice_servers import IceServers
from evibridge.bus import Told
from evibridge.events import CallerLost, CallerReturned, CallEvent, CallKind, EndReason
from tests.bridges.browser.webrtc_page import (
    WebRtcPage,
    WebRtcScene,
    datagram_sockets,
    voice,
    voice_packets,
    webrtc_scene,
)
from tests.parties import PATIENCE_S, TinyChat, TinyEvi, all_gone


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"])


@pytest.fixture
async def scene(evi: TinyEvi, http: aiohttp.ClientSession) -> AsyncIterator[WebRtcScene]:
    async with webrtc_scene(evi, http, IceServers()) as scene:
        yield scene


async def caller_audio(chat: TinyChat, size: int) -> bytes:
    heard = b""
    while len(heard) < size:
        heard += base64.b64decode((await chat.expect("audio_input"))["data"])
    return heard


async def say(chat: TinyChat, ms: int, utterance_id: str = "u1", *, end: bool = True) -> None:
    """The agent says one sentence."""
    await chat.send(
        type="assistant_message",
        id=utterance_id,
        from_text=False,
        is_quick_response=False,
        models={},
        message={"role": "assistant", "content": "Hello there."},
    )
    await say_wav(chat, wav_file(voice(ms, 24_000), 24_000), utterance_id)
    if end:
        await chat.send(type="assistant_end")


async def say_wav(chat: TinyChat, wav: bytes, utterance_id: str = "u1") -> None:
    """The agent sends so much sound."""
    data = base64.b64encode(wav).decode()
    await chat.send(type="audio_output", id=utterance_id, index=0, data=data)


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


async def ended(scene: WebRtcScene, page: WebRtcPage, **counted: int) -> None:
    """End the call, and compare what its leg has counted."""
    with capture_logs() as lines:
        page.send(type="end")
        await page.closed()
        await scene.no_legs()
    (line,) = [line for line in lines if line["event"] == "webrtc_leg_ended"]
    assert {name: line[name] for name in counted} == counted


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


async def test_the_callers_voice_reaches_the_server_at_16_khz(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    page.track.say(*voice_packets(20))

    heard = await caller_audio(chat, 20 * 640)
    sent = np.frombuffer(voice(400, 16_000), np.int16).astype(float)
    came = np.frombuffer(heard, np.int16).astype(float)[: len(sent)]
    assert np.sqrt(np.mean(came**2)) == pytest.approx(np.sqrt(np.mean(sent**2)), rel=0.2)


async def test_lost_packets_are_made_up_for(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    page.lost_on_the_way = {10, 14}
    page.track.say(*voice_packets(20))

    sound = np.frombuffer(await caller_audio(chat, 20 * 640), np.int16).reshape(20, 320)
    assert sound[[10, 14]].any(axis=1).all()
    await ended(scene, page, packets_lost=2, gaps_concealed=2)


async def test_a_long_loss_is_silent_in_the_end(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    page.lost_on_the_way = set(range(5, 25))
    page.track.say(*voice_packets(30))

    sound = np.frombuffer(await caller_audio(chat, 30 * 640), np.int16).reshape(30, 320)
    assert not sound[11:25].any(), "what is behind 120 ms of concealment"
    assert sound[25:].any(axis=1).all()
    await ended(scene, page, packets_lost=20, gaps_concealed=1)


async def test_a_packet_that_was_overtaken_finds_its_place(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    page.overtaken = 5
    page.track.say(*voice_packets(20))

    await caller_audio(chat, 20 * 640)
    await ended(scene, page, packets_lost=0, packets_reordered=1, gaps_concealed=0)


async def test_what_comes_behind_a_gap_waits_a_moment_only(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    page.lost_on_the_way = {4}
    page.track.say(*voice_packets(6))

    await caller_audio(chat, 6 * 640)
    await ended(scene, page, packets_lost=1)


async def test_a_pause_of_the_sender_is_silence(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    page.track.say(*voice_packets(5))
    await caller_audio(chat, 5 * 640)
    page.track.pause(400)
    page.track.say(*voice_packets(5))

    sound = np.frombuffer(await caller_audio(chat, 25 * 640), np.int16).reshape(25, 320)
    assert not sound[:20].any()
    assert sound[20:].any(axis=1).all()


async def test_packets_that_are_damaged_are_left_out(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    page.track.say(b"\x7f\xff" * 9, b"\x03", *voice_packets(5))

    await caller_audio(chat, 5 * 640)
    await ended(scene, page, packets_undecodable=2)


async def test_a_clock_that_was_stopped_leaves_frames_out(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    await say(chat, 1000)
    first = await page.packet()
    time.sleep(0.4)  # noqa: ASYNC251 - nobody runs meanwhile

    packets = [first, *[await page.packet() for _ in range(20)]]
    steps = [
        (later.timestamp - earlier.timestamp) & 0xFFFFFFFF for earlier, later in pairwise(packets)
    ]
    assert max(steps) > 10 * 960, "the stream goes on where it is now"
    assert all(step % 960 == 0 for step in steps)
    assert [(later.sequence - first.sequence) & 0xFFFF for later in packets] == list(range(21))


async def test_a_caller_whose_place_is_gone_is_told_so(scene: WebRtcScene) -> None:
    page = scene.new_page()
    status, answer = await page.post(type="offer", sdp=await page.offer(), token=scene.token())
    assert status == 200
    scene.desk.come_back(answer["key"]).give_up()
    scene.calls._plan = None
    await page.accept(answer)

    assert (await page.expect("refused"))["code"] == "call_is_over"
    await page.closed()


async def test_the_agents_voice_reaches_the_page(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    await say(chat, 400)

    first = await page.packet()
    assert first.payload_type & 0x80, "the marker says that a talkspurt begins"
    packets = [await page.packet() for _ in range(19)]
    assert not any(packet.payload_type & 0x80 for packet in packets)
    assert [(packet.sequence - first.sequence) & 0xFFFF for packet in packets] == list(range(1, 20))
    assert {
        (later.timestamp - earlier.timestamp) & 0xFFFFFFFF
        for earlier, later in pairwise([first, *packets])
    } == {960}
    sound = np.frombuffer(page.decoded(first, *packets), np.int16).astype(float)
    spoken = np.frombuffer(voice(400, 24_000), np.int16).astype(float)
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(np.sqrt(np.mean(spoken**2)), rel=0.2)


async def test_silence_is_announced_and_not_sent(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    await say(chat, 200)
    spurt = await page.talkspurt()
    await page.expect("heard")
    await say(chat, 200, "u2")
    next_spurt = await page.talkspurt()

    assert [len(each.payload) for each in (spurt[-1], next_spurt[-1])] == [1, 1]
    assert next_spurt[0].sequence == (spurt[-1].sequence + 1) & 0xFFFF
    gap = (next_spurt[0].timestamp - spurt[-1].timestamp) & 0xFFFFFFFF
    assert gap >= 960
    assert gap % 960 == 0


async def test_what_was_sent_counts_as_heard(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    await say(chat, 300)

    heard = await page.expect("heard")
    assert (heard["id"], heard["complete"]) == ("u1", True)
    assert len(await page.talkspurt()) >= 15


async def test_an_interruption_ends_the_agents_voice_at_once(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    await say(chat, 5000, end=False)
    await page.packet()
    await chat.send(type="user_interruption", time=1)
    heard = await page.expect("heard", id="u1")
    assert not heard["complete"]
    await page.expect("interrupted")
    assert len(await page.talkspurt()) < 100, "of 250 frames"


async def test_a_page_without_a_microphone_is_silent(scene: WebRtcScene) -> None:
    page, chat = await scene.converse(microphone=False)
    assert set(await caller_audio(chat, 10 * 640)) == {0}

    page.send(type="text", text="Where is order 1042?")
    assert (await chat.expect("user_input"))["text"] == "Where is order 1042?"


async def test_a_page_is_told_of_both_streams_once_a_second(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    page.track.say(*voice_packets(5))
    await caller_audio(chat, 5 * 640)
    await say(chat, 200)

    async with asyncio.timeout(PATIENCE_S):
        while True:
            report = RtcpPacket.parse(await page.reports.get())[0]
            if isinstance(report, RtcpSrPacket) and report.reports:
                break
    assert report.sender_info.packet_count > 0
    assert report.reports[0].packets_lost == 0


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
        assert (answer.status, (await answer.json())["code"]) == (404, "call_is_over")


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


async def test_who_listens_hears_the_agent_at_the_calls_own_rate(scene: WebRtcScene) -> None:
    _, chat = await scene.converse()
    agent_sounds = asyncio.Event()

    def hear(stereo16: bytes) -> None:
        if np.frombuffer(stereo16, np.int16)[1::2].any():
            agent_sounds.set()

    stop = scene.call.tap.listen(hear)
    await say(chat, 400)
    async with asyncio.timeout(PATIENCE_S):
        await agent_sounds.wait()
    stop()
    assert scene.call.rate_hz == 16_000


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
