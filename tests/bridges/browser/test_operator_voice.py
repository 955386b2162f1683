"""Operators who speak to callers: between aiortc's peer and a call that a test plays."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import aiohttp
import numpy as np
import pytest

from evibridge.agent.commands import HandBack, TakeOver
from evibridge.audio.opus import OpusEncoder
from evibridge.bridges.browser import operator_voices
from evibridge.bridges.browser.call_audio import BURST_S, REAL_TIME
from evibridge.bridges.browser.ice_servers import IceServers
from evibridge.bridges.browser.operator_voice_leg import (
    LEAD_MS,
    NOT_HEARD,
    PINGS_BURST,
    PINGS_PER_S,
)
from evibridge.bridges.browser.operator_voices import ELSEWHERE, STOPPED, OperatorVoices
from evibridge.errors import CommandRefused
from evibridge.events import EndReason
from tests.bridges.browser.page import BrowserScene
from tests.bridges.browser.webrtc_page import (
    WebRtcPage,
    datagram_sockets,
    voice_packets,
)
from tests.bridges.browser.webrtc_talk import send_rtp
from tests.parties import PATIENCE_S

TELEPHONE_HZ = 8000
LINE_HZ = 16_000
PAGE_HZ = 24_000
PRIYA, SAM = "Priya", "Sam"


class Line:
    """Keeps what an operator says."""

    def __init__(self, on_closed: Callable[[], None]) -> None:
        self.on_closed = on_closed
        self.said: asyncio.Queue[bytes] = asyncio.Queue()
        self.is_closed = asyncio.Event()

    def audio(self, pcm16: bytes) -> None:
        assert not self.is_closed.is_set()
        self.said.put_nowait(pcm16)

    def close(self) -> None:
        self.is_closed.set()

    async def sound(self, ms: int) -> bytes:
        """So much of what he says, and at least that much; no piece is longer than 100 ms."""
        pcm16 = b""
        async with asyncio.timeout(PATIENCE_S):
            while len(pcm16) < ms * 2 * LINE_HZ // 1000:
                piece = await self.said.get()
                assert len(piece) <= LINE_HZ // 10 * 2
                pcm16 += piece
        return pcm16


class TakenOver:
    """A phone call that an operator has taken over."""

    rate_hz = TELEPHONE_HZ

    def __init__(self, call_id: str = "c1", by: str = PRIYA) -> None:
        self.call_id = call_id
        self.by: str | None = by
        self.is_over = False
        self.hear: Callable[[bytes], None] = lambda _: None
        self.lines: list[Line] = []
        self.has_opened = asyncio.Event()

    def check_operator_line(self, by: str) -> None:
        if self.is_over:
            raise CommandRefused("call_is_over", "The call is over.")
        if by != self.by:
            raise CommandRefused("call_is_not_taken_over", "Take the call over first.")
        if any(not line.is_closed.is_set() for line in self.lines):
            raise CommandRefused("operator_speaks_already", "You speak already.")

    def open_operator_line(
        self, by: str, hear: Callable[[bytes], None], on_closed: Callable[[], None]
    ) -> Line:
        self.check_operator_line(by)
        self.hear = hear
        self.lines.append(Line(on_closed))
        self.has_opened.set()
        return self.lines[-1]

    def hand_back(self) -> None:
        self.by = None
        for line in self.lines:
            line.on_closed()

    def end(self) -> None:
        self.is_over = True
        self.hand_back()

    async def line(self) -> Line:
        """The next that is opened."""
        async with asyncio.timeout(PATIENCE_S):
            await self.has_opened.wait()
        self.has_opened.clear()
        return self.lines[-1]


class Scene:
    """Operators' pages and calls of one service."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.calls: dict[str, TakenOver] = {}
        self.voices = OperatorVoices(cast("Any", self.calls.get), IceServers())
        self.pages: list[WebRtcPage] = []
        self._http = http

    def call(self, call_id: str = "c1") -> TakenOver:
        self.calls[call_id] = call = TakenOver(call_id)
        return call

    def page(self, *, microphone: bool = True) -> WebRtcPage:
        page = WebRtcPage("", self._http, microphone=microphone)
        self.pages.append(page)
        return page

    async def speaks(self, call: TakenOver, *, microphone: bool = True) -> tuple[WebRtcPage, Line]:
        """An operator's page that is connected, and his way to the caller."""
        page = await self.connected(call.call_id, microphone=microphone)
        return page, await call.line()

    async def connected(self, call_id: str, *, microphone: bool = True) -> WebRtcPage:
        """An operator's page that is connected."""
        page = self.page(microphone=microphone)
        is_open = asyncio.Event()
        page.channel.on("open", is_open.set)
        answer = await self.voices.open(call_id, await page.offer(), PRIYA)
        await page.accept({"sdp": answer})
        async with asyncio.timeout(PATIENCE_S):
            await is_open.wait()
        return page

    async def refusal(self, call_id: str = "c1", by: str = PRIYA, sdp: str = "") -> str:
        """The code with which an operator is refused."""
        page = self.page()
        offer = sdp or await page.offer()
        with pytest.raises(CommandRefused) as refused:
            await self.voices.open(call_id, offer, by)
        await page.close()
        return refused.value.code

    async def nobody_left(self) -> None:
        """Return when no connection is left."""
        async with asyncio.timeout(2 * PATIENCE_S):
            while self.voices._legs:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0)


@pytest.fixture
async def scene(http: aiohttp.ClientSession) -> AsyncIterator[Scene]:
    """A service in which nobody speaks yet."""
    scene = Scene(http)
    try:
        yield scene
    finally:
        await scene.voices.close()
        await asyncio.gather(*(page.close() for page in scene.pages))


def tone(hz: int, ms: int, rate_hz: int) -> bytes:
    """Int16 mono PCM."""
    at_s = np.arange(rate_hz * ms // 1000) / rate_hz
    pcm16: bytes = (8000 * np.sin(2 * np.pi * hz * at_s)).astype(np.int16).tobytes()
    return pcm16


def tone_packets(hz: int, count: int) -> list[bytes]:
    """The same as Opus packets of 20 ms."""
    encoder = OpusEncoder(48_000)
    sound = tone(hz, 20 * count, 48_000)
    packets = [encoder.encode(sound[at : at + 1920]) for at in range(0, len(sound), 1920)]
    return [packet for packet in packets if packet is not None]


def strength(pcm16: bytes, rate_hz: int) -> Callable[[int], float]:
    """How strong a frequency is in a sound, compared to the strongest."""
    samples = np.frombuffer(pcm16, np.int16).astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    hz_per_bin = rate_hz / len(samples)

    def of(hz: int) -> float:
        at = round(hz / hz_per_bin)
        return float(max(spectrum[at - 2 : at + 3]) / max(spectrum))

    return of


def in_real_time(say: Callable[[bytes], None], pcm16: bytes, size: int) -> None:
    """Say something in pieces of 20 ms, by the clock."""
    loop = asyncio.get_running_loop()
    now_s = loop.time()
    for number, at in enumerate(range(0, len(pcm16), size)):
        loop.call_at(now_s + (number + 1) * 0.02, say, pcm16[at : at + size])


async def sounding(page: WebRtcPage, packets: int) -> bytes:
    """So many packets from the first that is not silent: int16 mono PCM at 24 kHz."""
    sound: list[bytes] = []
    while len(sound) < packets:
        packet = await page.packet()
        if len(packet.payload) > 1:
            pcm16 = page.decoded(packet)
            if sound or np.abs(np.frombuffer(pcm16, np.int16)).max() > 1000:
                sound.append(pcm16)
    return b"".join(sound)


async def all_read(page: WebRtcPage) -> None:
    """Return when the service has read all messages of the page."""
    sctp: Any = page.channel.transport
    async with asyncio.timeout(PATIENCE_S):
        while sctp._data_channel_queue or sctp._outbound_queue or sctp._sent_queue:  # noqa: ASYNC110
            await asyncio.sleep(0)


# Both ways


async def test_the_call_is_given_what_the_operator_says(scene: Scene) -> None:
    page, line = await scene.speaks(scene.call())
    page.track.say(*tone_packets(440, 40))

    said = await line.sound(700)
    of = strength(said[LINE_HZ // 5 :], LINE_HZ)
    assert of(440) == 1.0
    assert of(880) < 0.05, "at the right rate"


async def test_the_operator_hears_the_caller(scene: Scene) -> None:
    call = scene.call()
    page, _ = await scene.speaks(call)
    in_real_time(call.hear, tone(620, 800, TELEPHONE_HZ), 320)

    assert strength(await sounding(page, 20), PAGE_HZ)(620) == 1.0


async def test_the_callers_voice_begins_behind_a_silence_that_bears_late_pieces(
    scene: Scene,
) -> None:
    call = scene.call()
    page, _ = await scene.speaks(call)
    call.hear(tone(620, 40, TELEPHONE_HZ))

    behind_it = 3  # the encoder's tail, and the packet without sound
    assert len(await page.talkspurt()) == (LEAD_MS + 40) // 20 + behind_it


async def test_what_comes_far_too_late_is_left_out(scene: Scene) -> None:
    """Nobody can talk to somebody who is a second behind."""
    call = scene.call()
    page, _ = await scene.speaks(call)
    call.hear(tone(620, 1000, TELEPHONE_HZ))

    packets = await page.talkspurt()
    assert len(packets) <= LEAD_MS // 20 + 5, "the newest 20 ms, behind the lead"
    call.hear(tone(900, 200, TELEPHONE_HZ))
    assert strength(await sounding(page, 8), PAGE_HZ)(900) == 1.0


async def test_a_page_without_a_microphone_hears_the_caller(scene: Scene) -> None:
    call = scene.call()
    page, _ = await scene.speaks(call, microphone=False)
    in_real_time(call.hear, tone(620, 600, TELEPHONE_HZ), 320)

    assert strength(await sounding(page, 10), PAGE_HZ)(620) == 1.0


async def test_operator_and_caller_talk_in_a_call_that_was_taken_over(
    scene: Scene, browser: BrowserScene
) -> None:
    caller, _ = await browser.talk()
    call = browser.call
    await call.operate(TakeOver(), PRIYA)
    scene.calls[call.call_id] = cast("Any", call)
    operator = await scene.connected(call.call_id)
    operator.track.say(*tone_packets(440, 40))
    in_real_time(call.caller_audio, tone(620, 800, call.rate_hz), call.rate_hz // 25)

    assert strength(await sounding(operator, 20), PAGE_HZ)(620) == 1.0
    heard = await caller.audio(2 * PAGE_HZ * 7 // 10)
    assert strength(heard[PAGE_HZ // 2 :], PAGE_HZ)(440) == 1.0

    await call.operate(HandBack(), PRIYA)
    assert (await operator.expect("closed"))["message"] == NOT_HEARD
    await operator.closed()


async def test_the_operator_is_told_when_the_call_ends(scene: Scene, browser: BrowserScene) -> None:
    await browser.talk()
    call = browser.call
    await call.operate(TakeOver(), PRIYA)
    scene.calls[call.call_id] = cast("Any", call)
    operator = await scene.connected(call.call_id)
    call.end(EndReason.CALLER_HUNG_UP)

    assert (await operator.expect("closed"))["message"] == NOT_HEARD


# What a page may do


async def test_a_ping_is_answered_and_all_else_passed_over(scene: Scene) -> None:
    call = scene.call()
    page, line = await scene.speaks(call)
    for text in ("junk", "[]", '{"type": "say"}', '{"type": ["ping"]}', "\ud7ff", "{" * 1000):
        page.channel.send(text)
    page.send(type="ping")

    await page.expect("pong")
    assert page.messages.empty()
    assert not line.is_closed.is_set()


async def test_a_flood_of_pings_is_answered_no_more_often_than_pages_ask(scene: Scene) -> None:
    loop = asyncio.get_running_loop()
    call = scene.call()
    page, _ = await scene.speaks(call)
    began_s = loop.time()
    for _ in range(300):
        page.send(type="ping")
    await all_read(page)
    call.hand_back()
    await page.closed()

    kinds = [page.messages.get_nowait()["type"] for _ in range(page.messages.qsize())]
    assert kinds[-1] == "closed"
    assert kinds.count("pong") >= PINGS_BURST
    assert kinds.count("pong") <= PINGS_BURST + PINGS_PER_S * (loop.time() - began_s)


async def test_a_flood_of_audio_is_heard_no_faster_than_anybody_speaks(scene: Scene) -> None:
    loop = asyncio.get_running_loop()
    page, line = await scene.speaks(scene.call())
    began_s = loop.time()
    await send_rtp(page, 7, 0, *(voice_packets(100) * 3))

    heard = sum(len(line.said.get_nowait()) for _ in range(line.said.qsize()))
    may_s = BURST_S + REAL_TIME * (loop.time() - began_s)
    assert 0.5 < heard / (2 * LINE_HZ) <= may_s < 6.0


# Its end


async def test_the_page_is_told_why_the_operator_speaks_no_more(scene: Scene) -> None:
    call = scene.call()
    page, line = await scene.speaks(call)
    call.hand_back()

    assert (await page.expect("closed"))["message"] == NOT_HEARD
    assert line.is_closed.is_set()
    await page.closed()
    await scene.nobody_left()


async def test_a_call_that_is_handed_back_before_the_page_is_there_is_not_spoken_to(
    scene: Scene,
) -> None:
    call = scene.call()
    page = scene.page()
    answer = await scene.voices.open("c1", await page.offer(), PRIYA)
    call.hand_back()
    await page.accept({"sdp": answer})

    assert (await page.expect("closed"))["message"] == "Take the call over first."
    assert call.lines == []
    await page.closed()
    await scene.nobody_left()


async def test_a_page_that_leaves_closes_the_line(scene: Scene) -> None:
    call = scene.call()
    page, line = await scene.speaks(call)
    await page.close()

    async with asyncio.timeout(PATIENCE_S):
        await line.is_closed.wait()
    await scene.nobody_left()


async def test_another_connection_takes_the_place_of_the_first(scene: Scene) -> None:
    call = scene.call()
    first, first_line = await scene.speaks(call)
    second, second_line = await scene.speaks(call)

    assert (await first.expect("closed"))["message"] == ELSEWHERE
    assert first_line.is_closed.is_set()
    second.track.say(*voice_packets(10))
    await second_line.sound(100)


async def test_connections_to_other_calls_stay(scene: Scene) -> None:
    first, line = await scene.speaks(scene.call("c1"))
    await scene.speaks(scene.call("c2"))

    first.track.say(*voice_packets(10))
    await line.sound(100)


async def test_a_service_that_ends_leaves_nothing_open(scene: Scene) -> None:
    call = scene.call()
    before = datagram_sockets()
    page, line = await scene.speaks(call)
    waiting = scene.page()
    scene.call("c2")
    await scene.voices.open("c2", await waiting.offer(), PRIYA)
    await scene.voices.close()

    assert (await page.expect("closed"))["message"] == STOPPED
    assert line.is_closed.is_set()
    await scene.nobody_left()
    await asyncio.gather(*(each.close() for each in scene.pages))
    assert datagram_sockets() == before
    assert await scene.refusal() == "voice_unavailable"


# Who is refused


async def test_an_operator_who_may_not_speak_costs_nothing(scene: Scene) -> None:
    scene.call("c2").end()
    scene.call("c1")
    await scene.voices.open("c1", await scene.page().offer(), PRIYA)
    before = datagram_sockets()

    assert await scene.refusal("gone") == "call_is_over"
    assert await scene.refusal("c2") == "call_is_over"
    assert await scene.refusal("c1", SAM) == "call_is_not_taken_over"
    assert await scene.refusal(sdp="v=0\r\n") == "bad_offer"
    assert datagram_sockets() == before


async def test_who_comes_when_all_speak_is_refused_but_may_come_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator_voices, "MAX_VOICES", 1)
    call = scene.call("c1")
    scene.call("c2")
    await scene.speaks(call)

    assert await scene.refusal("c2") == "too_many_voices"
    await scene.speaks(call)


async def test_a_page_that_comes_again_and_again_has_to_wait_for_its_own_ends(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator_voices, "MAX_CONNECTIONS", 2)
    scene.call()
    offers = [await scene.page().offer() for _ in range(3)]
    opening = (scene.voices.open("c1", offer, PRIYA) for offer in offers)
    first, second, third = await asyncio.gather(*opening, return_exceptions=True)

    assert isinstance(first, CommandRefused)
    assert str(first) == ELSEWHERE
    assert isinstance(second, str)
    assert isinstance(third, CommandRefused)
    assert third.code == "too_many_voices"


async def test_a_machine_without_an_address_says_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.call()
    offer = await scene.page().offer()
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])

    assert await scene.refusal(sdp=offer) == "voice_unavailable"
    await scene.nobody_left()


async def test_a_service_without_webrtc_says_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.call()
    monkeypatch.setitem(sys.modules, "evibridge.bridges.browser.operator_voice_leg", None)

    assert await scene.refusal() == "voice_unavailable"


def test_webrtc_is_not_loaded_before_somebody_speaks() -> None:
    code = (
        "import sys, evibridge.bridges.browser.operator_voices\nsys.exit('aiortc' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
