"""What of the agent's audio has reached the caller's ear.

A phone plays what it is sent in order, in real time, out of a buffer that nobody can look into. Two
things tell how far it got: a *mark*, which the carrier echoes once the audio before it was played
(Twilio: a mark is echoed when played or cleared), and between marks the clock.
"""

from collections import deque
from dataclasses import dataclass

MARK_EVERY_MS = 2000.0
"""Of one utterance: how far the clock is trusted to fill in. A mark is a message each way, which
costs as much CPU as three frames of the caller's voice; one every 400 ms was 10 % of a call's."""
MARK_APART_MS = 200.0
"""Marks where an utterance ends or begins are at least so much audio apart."""
SILENCE_S = 0.1
"""Shorter gaps are those of a server that sends its audio no sooner than it is to be played."""
STALLED_MS = 60_000.0
"""More unplayed audio than this is a stall, unless marks still come back."""
STALLED_S = 10.0


@dataclass(frozen=True, slots=True)
class Heard:
    """The fate of one utterance: how much was sent, and how much of that was heard."""

    utterance_id: str
    sent_ms: float
    heard_ms: float


@dataclass(slots=True)
class _Stretch:
    """An utterance's place on the line of all audio sent in this call, in ms from its start."""

    utterance_id: str
    begin_ms: float
    end_ms: float


class Playout:
    """The play buffer of one caller, followed from this side. Time is an argument, in seconds."""

    def __init__(self) -> None:
        self._sent_ms = 0.0
        self._proven_ms = 0.0
        self._marked_ms = 0.0
        self._epoch = 0
        self._marks: deque[tuple[str, float]] = deque()
        self._stretches: deque[_Stretch] = deque()
        self._wants_mark = True
        self._turn_over = True
        # The clock's view: this position was reached at this time, and playing went on from there.
        self._anchor_ms = 0.0
        self._anchor_s = 0.0
        self._progress_s = 0.0
        self._due_s = 0.0

    @property
    def due_s(self) -> float:
        """When the clock says that everything sent has been played."""
        return self._due_s

    @property
    def all_heard(self) -> bool:
        """Whether marks prove that nothing is left to play."""
        return self._proven_ms >= self._sent_ms

    def unplayed_ms(self, now_s: float) -> float:
        """Audio sent and not played yet, by the best estimate."""
        return self._sent_ms - self._position_ms(now_s)

    @property
    def open_utterances(self) -> set[str]:
        """Those whose fate has not been told to its end."""
        return {stretch.utterance_id for stretch in self._stretches}

    def playing(self, now_s: float) -> list[Heard]:
        """How far every utterance is that is not over, by the best estimate."""
        reached_ms = self._position_ms(now_s)
        return [_fate(stretch, reached_ms) for stretch in self._stretches]

    def is_stalled(self, now_s: float) -> bool:
        """Whether the other side has stopped playing although there is much to play."""
        waiting_ms = self._sent_ms - self._proven_ms
        return waiting_ms > STALLED_MS and now_s - self._progress_s > STALLED_S

    def sent(self, utterance_id: str, duration_ms: float, now_s: float) -> str | None:
        """Audio of an utterance was handed to the other side; returns a mark to place, if any.

        A mark is due soon after a silence, because it tells how late the carrier plays; when an
        utterance follows another, whose end it proves; and now and then in a long one.
        """
        if self.unplayed_ms(now_s) <= 0:  # the buffer had run dry: playing starts again now
            self._anchor_ms, self._anchor_s = self._sent_ms, now_s
            self._progress_s = now_s
            self._wants_mark |= now_s - self._due_s > SILENCE_S
        begin_ms = self._sent_ms
        self._sent_ms += duration_ms
        self._due_s = max(self._due_s, now_s) + duration_ms / 1000
        self._turn_over = False
        last = self._stretches[-1] if self._stretches else None
        if last is not None and last.utterance_id == utterance_id:
            last.end_ms = self._sent_ms
        else:
            self._stretches.append(_Stretch(utterance_id, begin_ms, self._sent_ms))
            self._wants_mark |= last is not None
        within_ms = MARK_APART_MS if self._wants_mark else MARK_EVERY_MS
        return self.mark() if self._sent_ms - self._marked_ms >= within_ms else None

    def mark(self) -> str | None:
        """Name of a mark to place now, behind all audio sent; None if nothing is unmarked."""
        if self._sent_ms <= self._marked_ms:
            return None
        self._marked_ms = self._sent_ms
        self._wants_mark = False
        name = f"{self._epoch}:{self._sent_ms:.0f}"
        self._marks.append((name, self._sent_ms))
        return name

    def end_turn(self) -> None:
        """No more audio belongs to the utterances sent so far."""
        self._turn_over = True

    def echoed(self, name: str, now_s: float) -> list[Heard]:
        """A mark came back; returns the utterances that were heard to their end by now.

        Marks of a cleared buffer come back as well: they were flushed, not played, and are passed
        over, as are names that were never placed.
        """
        if not any(name == placed for placed, _ in self._marks):
            return []
        while True:
            placed, position_ms = self._marks.popleft()
            if placed == name:
                break
        self._proven_ms = self._anchor_ms = position_ms
        self._anchor_s = self._progress_s = now_s
        return self._take_finished()

    def clear(self, now_s: float) -> list[Heard]:
        """The buffer is flushed now; returns what was heard of every utterance still open."""
        fates = self.playing(now_s)
        self._stretches.clear()
        self._marks.clear()
        self._epoch += 1
        self._wants_mark = True
        self._proven_ms = self._marked_ms = self._anchor_ms = self._sent_ms
        self._anchor_s = self._due_s = now_s
        self._turn_over = True
        return fates

    def _position_ms(self, now_s: float) -> float:
        """Never behind the last echo, nor past a mark that has not come back."""
        by_clock_ms = self._anchor_ms + (now_s - self._anchor_s) * 1000
        limit_ms = self._marks[0][1] if self._marks else self._sent_ms
        return min(max(by_clock_ms, self._proven_ms), limit_ms, self._sent_ms)

    def _take_finished(self) -> list[Heard]:
        finished = []
        while self._stretches and self._stretches[0].end_ms <= self._proven_ms:
            if len(self._stretches) == 1 and not self._turn_over:
                break  # more of the same utterance may follow
            stretch = self._stretches.popleft()
            length_ms = stretch.end_ms - stretch.begin_ms
            finished.append(Heard(stretch.utterance_id, length_ms, length_ms))
        return finished


def _fate(stretch: _Stretch, reached_ms: float) -> Heard:
    """What of a stretch was heard by the time that this position was reached."""
    length_ms = stretch.end_ms - stretch.begin_ms
    heard_ms = min(max(reached_ms - stretch.begin_ms, 0.0), length_ms)
    return Heard(stretch.utterance_id, length_ms, heard_ms)
