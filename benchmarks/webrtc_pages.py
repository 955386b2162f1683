"""Callers in the browser by WebRTC, all in one process: they talk, listen and report.

    python -m benchmarks.webrtc_pages --calls 10 --seconds 5 http://127.0.0.1:8080

A line is written when they have talked for the warm-up, and one with the report after that.
"""

import argparse
import asyncio
import time
from dataclasses import asdict, dataclass, field

import aiohttp
import orjson
import uvloop

from benchmarks.sound import louder_from_ms
from benchmarks.webrtc_light_page import LightPage
from benchmarks.webrtc_loopback import offer_loopback_only
from benchmarks.webrtc_voice import BURST_EVERY, burst_packets
from evibridge.audio.opus import OpusDecoder
from evibridge.bridges.browser.webrtc_rtp import RtpPacket

FRAME_S = 0.02
SPOKEN_PACKETS = 200
GAP_S = 0.06
"""Between two packets of a talkspurt: more than most jitter buffers of pages bear."""
SOUND_LEVEL = 200
RATE_HZ = 24_000


@dataclass(slots=True)
class Heard:
    """What one page has sent and heard since the warm-up. Times: `time.perf_counter`.

    Attributes:
        bursts_s: when each packet was sent in which the voice becomes loud
        packets: of the agent's voice
        talkspurts: that began
        gaps: within a talkspurt, that a page would hear
        late_ms: how late a packet was sent, at the most: noise of the machine
        sounds_s: when each packet with sound came, if they are decoded
    """

    bursts_s: list[float] = field(default_factory=list)
    packets: int = 0
    talkspurts: int = 0
    gaps: int = 0
    late_ms: float = 0.0
    sounds_s: list[float] = field(default_factory=list)


class Page(LightPage):
    """One caller, and what is noted of him."""

    def __init__(self, *, decodes: bool) -> None:
        super().__init__(burst_packets(SPOKEN_PACKETS), self._take)
        self.heard = Heard()
        self._decoder = OpusDecoder(RATE_HZ) if decodes else None
        self._last_s = 0.0
        self._is_counted = False

    def count(self) -> None:
        """The warm-up is over."""
        self._is_counted = True

    def before_sending(self, due_s: float) -> None:
        """Note when, and how late that is."""
        if not self._is_counted:
            return
        late_ms = (time.monotonic() - due_s) * 1000
        self.heard.late_ms = max(self.heard.late_ms, late_ms)
        if self.sent % BURST_EVERY == 0:
            self.heard.bursts_s.append(time.perf_counter())

    def _take(self, packet: RtpPacket, begins: bool) -> None:  # noqa: FBT001
        now_s = time.perf_counter()
        if self._is_counted:
            self.heard.packets += 1
            self.heard.talkspurts += begins
            self.heard.gaps += not begins and now_s - self._last_s > GAP_S
        self._last_s = now_s
        if self._decoder is not None:
            pcm16 = self._decoder.decode(packet.payload)
            if louder_from_ms(pcm16, RATE_HZ, SOUND_LEVEL) is not None:
                self.heard.sounds_s.append(now_s)


async def run(origin: str, calls: int, seconds: float, warm_up_s: float, *, decodes: bool) -> None:
    """Call, talk, report and hang up."""
    pages = [Page(decodes=decodes) for _ in range(calls)]
    async with aiohttp.ClientSession() as http:
        for page in pages:  # one by one, so that chats come in the order of pages
            await page.connect(origin, http)
            page.talk(FRAME_S)
            await asyncio.sleep(FRAME_S * 1.05)  # no two keep step
    await asyncio.sleep(warm_up_s)
    for page in pages:
        page.count()
    print("talking", flush=True)
    await asyncio.sleep(seconds)
    for page in pages:
        page.be_silent()
    print(orjson.dumps([asdict(page.heard) for page in pages]).decode(), flush=True)
    await asyncio.gather(*(page.close() for page in pages))


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m benchmarks.webrtc_pages")
    options.add_argument("--calls", type=int, default=10)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--warm-up", type=float, default=1.0)
    options.add_argument("--decode", action="store_true", help="note which packets have sound")
    options.add_argument("origin")
    given = options.parse_args()
    offer_loopback_only()
    uvloop.run(run(given.origin, given.calls, given.seconds, given.warm_up, decodes=given.decode))
