"""Both voices of calls by WebRTC: between aiortc's peer and an EVI server, over real sockets."""

import asyncio
import time
from itertools import pairwise

import numpy as np
import pytest
from aiortc.rtp import RtcpPacket, RtcpSrPacket
from structlog.testing import capture_logs

from evibridge.bridges.browser.webrtc_agent_voice import TAIL_FRAMES
from tests.bridges.browser.webrtc_page import (
    WebRtcScene,
    voice,
    voice_packets,
)
from tests.bridges.browser.webrtc_talk import caller_audio, ended, say, send_rtp
from tests.parties import PATIENCE_S


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

    heard = await caller_audio(chat, 25 * 640, may_be_silent=True)
    sound = np.frombuffer(heard, np.int16).reshape(25, 320)
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
    assert not any(await caller_audio(chat, 10 * 640, may_be_silent=True))

    page.send(type="text", text="Where is order 1042?")
    assert (await chat.expect("user_input"))["text"] == "Where is order 1042?"


async def test_a_page_without_a_microphone_is_silent_whatever_it_sends(scene: WebRtcScene) -> None:
    page, chat = await scene.converse(microphone=False)
    await send_rtp(page, 1, 0, *voice_packets(20))
    assert not any(await caller_audio(chat, 30 * 640, may_be_silent=True))


async def test_a_page_whose_microphone_sends_nothing_is_silent(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    assert not any(await caller_audio(chat, 10 * 640, may_be_silent=True))

    page.track.say(*voice_packets(5))
    await caller_audio(chat, 5 * 640)
    assert not any((await caller_audio(chat, 10 * 640, may_be_silent=True))[5 * 640 :])


async def test_a_page_that_floods_the_call_is_heard_in_part(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    await send_rtp(page, 1, 0, *[bytes([28 << 3 | 3, 48])] * 100)

    with capture_logs() as lines:
        page.send(type="end")
        await page.closed()
    (line,) = [line for line in lines if line["event"] == "webrtc_leg_ended"]
    assert line["packets_refused"] > 50, "of 100 that are 12 seconds"


async def test_another_stream_of_a_page_is_heard_wherever_it_begins(scene: WebRtcScene) -> None:
    page, chat = await scene.converse()
    await send_rtp(page, 1, 5000, *voice_packets(20))
    await caller_audio(chat, 20 * 640)
    await send_rtp(page, 2, 4700, *voice_packets(20))

    await caller_audio(chat, 20 * 640)
    await ended(scene, page, packets_late=0, packets_lost=0, cut_ms=0)


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


async def test_the_agents_last_words_are_sent_to_their_end_before_the_call_ends(
    scene: WebRtcScene,
) -> None:
    page, chat = await scene.converse()
    await say(chat, 300)
    await page.packet()
    scene.call.hang_up()
    await page.expect("ended")

    packets = [page.heard.get_nowait() for _ in range(page.heard.qsize())]
    assert len(packets) >= 14 + TAIL_FRAMES + 1
    assert [len(packet.payload) for packet in packets].index(1) == len(packets) - 1


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
