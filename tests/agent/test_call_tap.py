"""Who listens to a call, and what he hears when."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from evibridge.agent.call_tap import LAG_S, MAX_PIECE_S, CallTap
from evibridge.audio.timeline import MAX_CALLER_UNTAKEN_S
from tests.virtual_clock import VirtualClockLoop, run_in_virtual_time

RATE_HZ = 8000
VOICE = np.full(160, 1000, np.int16).tobytes()
"""20 ms."""
CHUNK = np.full(1600, 2000, np.int16).tobytes()
"""200 ms."""


class Ear:
    """Keeps what it hears, and when."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.pieces: list[bytes] = []
        self.at_s: list[float] = []

    def __call__(self, stereo16: bytes) -> None:
        self.pieces.append(stereo16)
        self.at_s.append(self._loop.time())

    @property
    def frames(self) -> int:
        return sum(map(len, self.pieces)) // 4

    def heard(self) -> tuple[list[float], list[float]]:
        """When the caller's and the agent's voice begin and end, in s from the first frame."""
        frames = np.frombuffer(b"".join(self.pieces), np.int16).reshape(-1, 2)
        edges = np.diff(frames != 0, axis=0, prepend=False)
        caller, agent = (np.flatnonzero(side) / RATE_HZ for side in edges.T)
        return caller.tolist(), agent.tolist()


class Scene:
    """A tap in the loop that runs, and those who listen."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.tap = CallTap(RATE_HZ, self.loop)
        self.uses: list[bool] = []
        self.tap.on_use_changed = lambda: self.uses.append(self.tap.is_used)

    def ear(self) -> Ear:
        return Ear(self.loop)

    def stand_still(self, duration_s: float) -> None:
        """The process is stopped, and time passes."""
        assert isinstance(self.loop, VirtualClockLoop)
        self.loop.stand_still(duration_s)

    async def until(self, at_s: float) -> None:
        """Let time pass."""
        await asyncio.sleep(at_s - self.loop.time())


def in_a_call(play: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    """Play a scene on a clock of its own."""

    async def played() -> None:
        async with asyncio.timeout(100_000):
            await play(Scene())

    run_in_virtual_time(played())


def test_both_sides_are_heard_where_they_were_in_the_call() -> None:
    async def play(scene: Scene) -> None:
        ear = scene.ear()
        scene.tap.listen(ear)
        await scene.until(1.0)
        scene.tap.caller(VOICE)
        await scene.until(2.0)
        scene.tap.agent(CHUNK)
        scene.tap.agent(CHUNK)
        await scene.until(2.3)
        scene.tap.clear()
        await scene.until(3.0)
        scene.tap.close()

        caller, agent = ear.heard()
        assert caller == pytest.approx([0.98, 1.0])
        assert agent == pytest.approx([2.0, 2.3])

    in_a_call(play)


def test_sound_comes_every_50_ms_and_a_little_late() -> None:
    async def play(scene: Scene) -> None:
        ear = scene.ear()
        scene.tap.listen(ear)
        await scene.until(1.01)

        assert ear.at_s == pytest.approx([0.3 + 0.05 * tick for tick in range(15)])
        assert [len(piece) // 4 for piece in ear.pieces] == [400] * 15
        assert ear.frames == (1.0 - LAG_S) * RATE_HZ

    in_a_call(play)


def test_one_who_is_patient_alone_is_served_every_second() -> None:
    async def play(scene: Scene) -> None:
        recorder, ear = scene.ear(), scene.ear()
        scene.tap.listen(recorder, every_ms=1000)
        await scene.until(3.5)
        assert recorder.at_s == [1.0, 2.0, 3.0]

        stop = scene.tap.listen(ear)
        await scene.until(4.01)
        assert len(recorder.at_s) == 3 + 11  # what was due when the other came, and every 50 ms

        stop()
        await scene.until(6.5)
        assert recorder.at_s[-2:] == pytest.approx([5.01, 6.01])
        assert recorder.frames == round((6.01 - LAG_S) * RATE_HZ)

    in_a_call(play)


def test_one_who_comes_later_hears_nothing_of_what_was_before() -> None:
    async def play(scene: Scene) -> None:
        early, late = scene.ear(), scene.ear()
        scene.tap.listen(early, every_ms=1000)
        for tick in range(1, 101):
            await scene.until(tick * 0.02)
            scene.tap.caller(VOICE)
            if tick == 60:
                scene.tap.listen(late)
        scene.tap.close()

        assert early.frames == 2.0 * RATE_HZ
        assert late.frames == 0.8 * RATE_HZ
        assert late.heard()[0] == [0.0]
        assert b"".join(early.pieces).endswith(b"".join(late.pieces))

    in_a_call(play)


def test_close_tells_what_was_heard_up_to_now_and_nothing_after_it() -> None:
    async def play(scene: Scene) -> None:
        ear = scene.ear()
        scene.tap.listen(ear, every_ms=1000)
        await scene.until(1.5)
        scene.tap.agent(CHUNK)
        await scene.until(1.6)
        scene.tap.close()
        assert ear.frames == 1.6 * RATE_HZ
        assert ear.heard()[1] == [1.5]

        scene.tap.close()
        scene.tap.agent(CHUNK)
        scene.tap.listen(ear)()
        await scene.until(5.0)
        assert ear.frames == 1.6 * RATE_HZ
        assert scene.uses == [True, False]

    in_a_call(play)


def test_a_tap_is_used_while_somebody_listens() -> None:
    async def play(scene: Scene) -> None:
        scene.tap.caller(VOICE)
        scene.tap.agent(CHUNK)
        scene.tap.clear()
        assert not scene.tap.is_used

        stops = [scene.tap.listen(scene.ear()) for _ in range(2)]
        assert scene.uses == [True]
        for stop in stops:
            stop()
            stop()
        assert scene.uses == [True, False]
        assert not scene.tap.is_used

        await scene.until(10.0)
        again = scene.ear()
        scene.tap.listen(again)
        await scene.until(11.0)
        scene.tap.close()
        assert scene.uses == [True, False, True, False]
        assert again.frames == RATE_HZ
        assert again.heard() == ([], [])

    in_a_call(play)


def test_nobody_listening_leaves_no_timer() -> None:
    async def play(scene: Scene) -> None:
        CallTap(RATE_HZ, scene.loop)
        scene.tap.listen(scene.ear())()
        scene.tap.close()
        waiting = asyncio.ensure_future(asyncio.Event().wait())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await waiting
        assert scene.loop.time() == 3600

    in_a_call(play)


def test_a_listener_that_fails_is_left_out_and_the_others_go_on() -> None:
    async def play(scene: Scene) -> None:
        calls = 0

        def fail(_: bytes) -> None:
            nonlocal calls
            calls += 1
            raise ValueError

        ear = scene.ear()
        scene.tap.listen(fail)
        scene.tap.listen(ear)
        with capture_logs() as logs:
            await scene.until(1.0)
        scene.tap.close()

        assert calls == 1
        assert [log["event"] for log in logs] == ["call_listener_failed"]
        assert ear.frames == RATE_HZ

    in_a_call(play)


def test_the_last_listener_may_fail_while_another_comes() -> None:
    async def play(scene: Scene) -> None:
        def fail(_: bytes) -> None:
            raise ValueError

        scene.tap.listen(fail, every_ms=1000)
        await scene.until(0.9)
        ear = scene.ear()
        scene.tap.listen(ear)
        await scene.until(1.9)
        scene.tap.close()

        assert scene.uses == [True, False, True, False]
        assert ear.frames == RATE_HZ

    in_a_call(play)


def test_a_listener_may_stop_others_and_let_others_listen() -> None:
    async def play(scene: Scene) -> None:
        stopped, ear, new = scene.ear(), scene.ear(), scene.ear()

        def change(_: bytes) -> None:
            stop_itself()
            stop_other()
            scene.tap.listen(new)

        stop_itself = scene.tap.listen(change)
        stop_other = scene.tap.listen(stopped)
        scene.tap.listen(ear)
        await scene.until(1.0)
        scene.tap.close()

        assert stopped.pieces == []
        assert ear.frames == RATE_HZ
        assert new.frames == round((1.0 - 0.3) * RATE_HZ)  # the first piece came at 0.3

    in_a_call(play)


def test_a_stall_of_the_event_loop_loses_no_time() -> None:
    async def play(scene: Scene) -> None:
        ear = scene.ear()
        scene.tap.listen(ear)
        await scene.until(1.0)
        assert isinstance(scene.loop, VirtualClockLoop)
        scene.loop._instant.now_s += 2.0
        await scene.until(3.5)
        scene.tap.close()

        assert ear.frames == 3.5 * RATE_HZ
        assert len(ear.pieces) < 30

    in_a_call(play)


def test_the_agents_voice_is_in_step_if_silence_stands_for_what_is_queued() -> None:
    async def play(scene: Scene) -> None:
        ear = scene.ear()
        scene.tap.on_use_changed = lambda: scene.tap.agent(bytes(2 * RATE_HZ))
        scene.tap.listen(ear)
        scene.tap.agent(CHUNK)
        await scene.until(2.0)
        scene.tap.close()

        assert ear.heard()[1] == pytest.approx([1.0, 1.2])

    in_a_call(play)


# A process that was stopped


def test_a_recording_stays_in_step_with_a_call_that_stood_still() -> None:
    async def play(scene: Scene) -> None:
        recorder, late = scene.ear(), scene.ear()
        scene.tap.listen(recorder, every_ms=1000)
        await scene.until(2.1)
        scene.tap.agent(CHUNK)
        scene.stand_still(50.0)
        scene.tap.caller(VOICE)
        await scene.until(52.5)
        scene.tap.listen(late)
        await scene.until(80.0)
        scene.tap.caller(VOICE)
        await scene.until(81.0)
        scene.tap.close()

        assert recorder.frames == 81.0 * RATE_HZ
        caller, agent = recorder.heard()
        assert caller == pytest.approx([52.08, 52.1, 79.98, 80.0])
        assert agent == pytest.approx([2.1, 2.3])
        assert max(map(len, recorder.pieces)) <= MAX_PIECE_S * RATE_HZ * 4
        assert late.frames == 28.5 * RATE_HZ
        assert late.heard()[0] == pytest.approx([27.48, 27.5])

    in_a_call(play)


def test_sound_that_has_waited_is_handed_out_a_piece_at_a_time() -> None:
    async def play(scene: Scene) -> None:
        ear = scene.ear()
        scene.tap.listen(ear)
        await scene.until(1.0)
        scene.stand_still(10.0)
        await scene.until(14.0)

        late = [
            at_s
            for at_s, piece in zip(ear.at_s, ear.pieces, strict=True)
            if len(piece) == MAX_PIECE_S * RATE_HZ * 4
        ]
        assert late == pytest.approx([11.0, 11.0, 11.2, 11.4, 11.6, 11.8, 12.0])
        assert [len(piece) // 4 for piece in ear.pieces[-20:]] == [400] * 20

    in_a_call(play)


def test_of_a_call_that_ends_after_it_stood_still_for_long_a_minute_is_told() -> None:
    async def play(scene: Scene) -> None:
        ear = scene.ear()
        scene.tap.listen(ear)
        await scene.until(1.0)
        heard_before = ear.frames
        scene.stand_still(600.0)
        scene.tap.close()

        assert ear.frames == heard_before + MAX_CALLER_UNTAKEN_S * RATE_HZ

    in_a_call(play)
