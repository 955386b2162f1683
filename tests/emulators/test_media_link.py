"""The pace of the link, on a clock that stands still while the program works."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from evibridge.emulators.call_report import CallEnd
from evibridge.emulators.caller import Listen, LoseLine, LoseStream, Step
from evibridge.emulators.media_link import (
    ABNORMAL_CLOSE,
    CLOSE_TIMEOUT_S,
    MAX_UNSENT_BYTES,
    MediaLink,
)
from evibridge.emulators.phone_line import PhoneLine
from evibridge.emulators.twilio_media import AUDIO_LOST, StreamStart

START = StreamStart("AC1", "CA1", "MZ1", {})


@dataclass
class VirtualClock:
    now_s: float = 1000.0


class _VirtualSelector(selectors.SelectSelector):
    """Instead of waiting for a time, makes it that time."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._clock.now_s += max(0.0, timeout or 0.0)
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(_VirtualSelector(clock))
        self._virtual_clock = clock

    def time(self) -> float:
        return self._virtual_clock.now_s


def run_virtually(clock: VirtualClock, main: Coroutine[Any, Any, int]) -> int:
    with asyncio.Runner(loop_factory=lambda: _VirtualLoop(clock)) as runner:
        return runner.run(main)


@dataclass
class RecordingSocket:
    """Keeps what is sent and when; `on_send` may interfere."""

    clock: VirtualClock
    backlog: int = 0
    sent: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    on_send: Callable[[int], None] = lambda _: None
    on_end: Callable[[], None] = lambda: None

    def unsent_bytes(self) -> int:
        return self.backlog

    def send_text(self, text: bytes, /) -> None:
        at_ms = round((self.clock.now_s - 1000.0) * 1000)
        self.sent.append((at_ms, orjson.loads(text)))
        self.on_send(len(self.sent))

    def send_binary(self, data: bytes) -> None:
        raise AssertionError(f"Twilio sends no binary frames, but {data!r}")

    def close(self, code: int = 1000, reason: str = "") -> None:
        if not self.ended:
            self.ended.append(f"closed {code}{reason}")
            self.on_end()

    def abort(self) -> None:
        if not self.ended:
            self.ended.append("aborted")
            self.on_end()


class Scene:
    """A link with a recording socket under it, in virtual time."""

    def __init__(self, *script: Step) -> None:
        self.clock = VirtualClock()
        self.line = PhoneLine(script, limit_ms=60_000)
        self.socket = RecordingSocket(self.clock)
        self.link: MediaLink | None = None

    def run(self, *, peer_answers: bool = True) -> int:
        async def stream() -> int:
            self.link = link = MediaLink(self.line, START)
            if peer_answers:
                self.socket.on_end = lambda: link.on_close(1000, "")
            link.on_open(self.socket)
            return await link.run()

        return run_virtually(self.clock, stream())

    def service_closes(self, code: int) -> None:
        assert self.link is not None
        self.socket.ended.append(f"closed by the service {code}")
        self.link.on_close(code, "")

    def frame_times_ms(self) -> list[int]:
        return [at_ms for at_ms, message in self.socket.sent if message["event"] == "media"]

    def events(self) -> list[str]:
        return [message["event"] for _, message in self.socket.sent]


def test_a_frame_goes_out_every_20_ms() -> None:
    scene = Scene(Listen(200))
    scene.run()
    assert scene.frame_times_ms() == list(range(81, 281, 20))
    assert scene.events() == ["connected", "start"] + ["media"] * 10 + ["stop"]


def test_after_a_late_wake_up_the_missed_frames_follow_at_once() -> None:
    scene = Scene(Listen(300))

    def stall(messages_sent: int) -> None:
        if messages_sent == 5:  # connected, start and three frames
            scene.clock.now_s += 0.105

    scene.socket.on_send = stall
    scene.run()
    assert scene.frame_times_ms() == [81, 101, 121] + [226] * 5 + list(range(241, 381, 20))


def test_the_caller_closes_the_socket_after_stop() -> None:
    scene = Scene()
    assert scene.run() == 1000
    assert scene.socket.ended == ["closed 1000"]
    assert scene.line.ended is CallEnd.CALLER_HUNG_UP


def test_a_lost_line_is_cut_without_a_word() -> None:
    scene = Scene(LoseLine())
    scene.run()
    assert scene.socket.ended == ["aborted"]
    assert scene.events() == ["connected", "start"]


def test_a_lost_stream_is_cut_without_a_word_and_the_call_lives() -> None:
    scene = Scene(Listen(40), LoseStream(), Listen(40))
    scene.run()
    assert scene.socket.ended == ["aborted"]
    assert scene.events() == ["connected", "start", "media", "media"]
    assert scene.line.ended is None
    events = scene.line.report("CA1", CallEnd.AGENT_HUNG_UP).events
    assert events[-1].detail == "a broken connection"


def test_a_peer_that_does_not_answer_the_close_is_not_waited_for_for_ever() -> None:
    scene = Scene()
    assert scene.run(peer_answers=False) == ABNORMAL_CLOSE
    assert scene.clock.now_s - 1000.0 >= CLOSE_TIMEOUT_S


def test_a_cancelled_call_leaves_no_socket_open() -> None:
    scene = Scene(Listen(60_000))

    def cancel(messages_sent: int) -> None:
        task = asyncio.current_task()
        if messages_sent == 5 and task is not None:
            task.cancel()

    scene.socket.on_send = cancel
    with pytest.raises(asyncio.CancelledError):
        scene.run()
    assert scene.socket.ended == ["aborted"]
    assert scene.line.take_messages() == []


def test_the_service_may_close_first() -> None:
    scene = Scene(Listen(60_000))

    def hang_up(messages_sent: int) -> None:
        if messages_sent == 5:
            scene.service_closes(1001)

    scene.socket.on_send = hang_up
    assert scene.run() == 1001
    assert scene.line.ended is None
    assert len(scene.frame_times_ms()) == 3
    events = scene.line.report("CA1", CallEnd.AGENT_HUNG_UP).events
    assert events[-1].detail == "service, code 1001"


def test_a_service_that_does_not_read_loses_audio() -> None:
    scene = Scene(Listen(100))
    scene.socket.backlog = MAX_UNSENT_BYTES + 1
    scene.run()
    assert scene.events() == ["connected", "start", "stop"]
    report = scene.line.report("CA1", CallEnd.CALLER_HUNG_UP)
    assert [(warning.code, warning.times) for warning in report.warnings] == [(AUDIO_LOST, 5)]


def test_messages_of_the_service_reach_the_line_and_are_answered_at_once() -> None:
    scene = Scene(Listen(60_000))

    def answer(messages_sent: int) -> None:
        assert scene.link is not None
        if messages_sent == 3:
            scene.link.on_binary(b"?")
            scene.link.on_text(b'{"event":"mark","streamSid":"MZ1","mark":{"name":"a"}}')
            scene.service_closes(1000)

    scene.socket.on_send = answer
    scene.run()
    assert scene.events() == ["connected", "start", "media", "mark"]
    report = scene.line.report("CA1", CallEnd.AGENT_HUNG_UP)
    assert [warning.code for warning in report.warnings] == [31950]
