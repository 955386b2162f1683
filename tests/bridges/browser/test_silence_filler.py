"""Silence while nothing comes from the caller."""

import asyncio
from collections.abc import Callable
from typing import cast

from evibridge.bridges.browser.silence_filler import SilenceFiller
from tests.virtual_clock import VirtualClockLoop, run_in_virtual_time

PIECE = bytes(3_200)
"""100 ms at 16 kHz."""


class Listening:
    """A filler, and when which silence was handed on."""

    def __init__(self) -> None:
        self.loop = cast("VirtualClockLoop", asyncio.get_running_loop())
        self.at_s: list[float] = []
        self.filler = SilenceFiller(self.loop, self._take, 16_000)
        self.then: Callable[[], None] = lambda: None

    def _take(self, pcm16: bytes) -> None:
        assert pcm16 == PIECE
        self.at_s.append(round(self.loop.time(), 3))
        self.then()

    async def speaks(self, until_s: float) -> None:
        """A microphone, in pieces of 20 ms."""
        while self.loop.time() < until_s:
            self.filler.heard()
            await asyncio.sleep(0.02)


def test_a_caller_who_sends_nothing_is_stood_in_for_in_real_time() -> None:
    async def listen() -> None:
        heard = Listening()
        heard.filler.start()
        await asyncio.sleep(0.95)
        assert heard.at_s == [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]

    run_in_virtual_time(listen())


def test_a_microphone_is_not_disturbed_and_stood_in_for_each_time_it_stops() -> None:
    async def listen() -> None:
        heard = Listening()
        heard.filler.start()
        await heard.speaks(until_s=1.0)
        assert heard.at_s == []
        await asyncio.sleep(0.5)
        assert len(heard.at_s) in (3, 4)
        assert heard.at_s[0] >= 1.2 - 0.02

        before = list(heard.at_s)
        await heard.speaks(until_s=3.0)
        assert heard.at_s == before
        await asyncio.sleep(0.5)
        assert len(heard.at_s) > len(before)

    run_in_virtual_time(listen())


def test_nothing_is_handed_on_before_the_start_or_after_the_stop() -> None:
    async def listen() -> None:
        heard = Listening()
        heard.filler.stop()
        await asyncio.sleep(1.0)
        heard.filler.start()
        heard.filler.start()  # again: one timer, not two
        heard.then = heard.filler.stop  # the call may end of it
        await asyncio.sleep(5.0)
        assert heard.at_s == [1.2]

    run_in_virtual_time(listen())


def test_what_a_stalled_process_left_out_is_not_made_up_for() -> None:
    async def listen() -> None:
        heard = Listening()
        heard.filler.start()
        await asyncio.sleep(0.55)
        heard.loop.stand_still(10.0)
        await asyncio.sleep(0.55)
        assert 8 <= len(heard.at_s) <= 11, heard.at_s

    run_in_virtual_time(listen())
