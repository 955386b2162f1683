from dataclasses import dataclass

import numpy as np
import pytest

from evibridge.audio.opus import OpusDecoder
from evibridge.audio.wav import wav_file
from evibridge.bridges.browser.webrtc_agent_voice import (
    HEARD_AFTER_S,
    PLAYBACK_RATE_HZ,
    TAIL_FRAMES,
    AgentVoice,
)
from tests.bridges.browser.webrtc_page import voice

POSITIONS = 960


@dataclass(frozen=True)
class Sent:
    """A packet on its way to the page."""

    payload: bytes
    position: int
    begins: bool
    frame: int


class Listener:
    """A page that is sent a frame every 20 ms."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.marks: dict[str, int] = {}
        """The frame with which each was told."""
        self.frame = 0
        self.agent = AgentVoice(self)
        self._decoder = OpusDecoder(PLAYBACK_RATE_HZ)

    def send_audio(self, payload: bytes, position: int, *, begins: bool) -> None:
        self.sent.append(Sent(payload, position, begins, self.frame))

    def says(self, ms: int, mark: str | None = None) -> None:
        """The agent says so much."""
        self.agent.play(wav_file(voice(ms, PLAYBACK_RATE_HZ), PLAYBACK_RATE_HZ), None)
        if mark is not None:
            self.agent.mark(mark)

    def listens(self, frames: int) -> list[Sent]:
        """So many frames are due; returns what was sent of them."""
        before = len(self.sent)
        for _ in range(frames):
            for name in self.agent.frame_due(self.frame / 50):
                self.marks[name] = self.frame
            self.frame += 1
        return self.sent[before:]

    def loudness(self, sent: list[Sent]) -> list[float]:
        """Of each packet."""
        sound = [np.frombuffer(self._decoder.decode(each.payload), np.int16) for each in sent]
        return [float(np.sqrt(np.mean(each.astype(float) ** 2))) for each in sound]


def test_a_sentence_is_sent_frame_by_frame_and_its_end_announced() -> None:
    page = Listener()
    page.says(400)
    sent = page.listens(40)

    assert len(sent) == 20 + TAIL_FRAMES + 1
    assert [each.begins for each in sent] == [True] + [False] * 22
    assert len(sent[-1].payload) == 1, "a packet without sound"
    assert [each.position for each in sent] == [each.frame * POSITIONS for each in sent]


def test_the_stream_goes_on_in_silence_and_where_frames_were_left_out() -> None:
    page = Listener()
    page.says(100)
    page.listens(20)
    page.agent.skip(10)
    page.says(100)
    sent = page.listens(20)

    assert sent[0].position == 30 * POSITIONS
    assert sent[0].begins
    assert page.agent.counters["frames_skipped"] == 10


def test_a_mark_is_told_when_the_page_has_played_what_was_sent() -> None:
    page = Listener()
    page.says(200, mark="end")
    sent = page.listens(40)

    last_sound = sent[-1 - TAIL_FRAMES - 1].frame
    assert page.marks == {"end": last_sound + round(HEARD_AFTER_S * 50)}
    assert max(each.frame for each in sent) < page.marks["end"], "the tail is sent by then"


def test_a_mark_that_is_placed_later_is_not_told_later() -> None:
    page = Listener()
    page.says(200)
    sent = page.listens(15)
    page.agent.mark("end")
    page.listens(20)

    assert page.marks == {"end": sent[9].frame + round(HEARD_AFTER_S * 50)}


@pytest.mark.parametrize("silent_frames", [0, 50])
def test_a_mark_behind_nothing_is_told_at_once(silent_frames: int) -> None:
    page = Listener()
    if silent_frames:
        page.says(100)
        page.listens(silent_frames)
    page.agent.mark("at once")
    page.listens(1)

    assert page.marks == {"at once": silent_frames}


def test_a_clear_flushes_marks_on_their_way_before_those_in_the_queue() -> None:
    page = Listener()
    page.says(100, mark="sent")
    page.says(1000, mark="queued")
    page.listens(7)

    assert page.agent.clear() == ["sent", "queued"]
    page.listens(50)
    assert page.marks == {}


def test_every_sentence_begins_as_loud_as_the_first() -> None:
    page = Listener()
    page.says(600)
    first = page.loudness(page.listens(100))
    page.says(600)
    second = page.loudness(page.listens(100))

    assert second[1:10] == pytest.approx(first[1:10], rel=0.1)
    assert sum(second[:3]) > 0.9 * sum(first[:3])


def test_what_comes_too_late_is_counted() -> None:
    page = Listener()
    page.says(90)
    page.listens(20)
    page.says(100)

    assert page.agent.counters["underruns"] == 1
