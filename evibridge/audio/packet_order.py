"""RTP packets of one Opus stream, put back in order; and what is missing of it, as soon as known.

There is no fixed delay, as a loudspeaker needs one: who receives is a recogniser. A packet in order
goes on at once. Behind a gap packets wait a moment for the missing one, which may have been
overtaken on its way. The timestamps say how much sound is missing.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

from evibridge.audio.opus import packet_ms
from evibridge.errors import BadAudio

REORDER_S = 0.04
"""So long packets wait behind a gap. What comes later than that is lost for good."""
MAX_WAITING = 64
"""More packets than this do not wait: the gap is given up at once."""
MAX_CONCEALED_MS = 120
MAX_SILENT_MS = 1000
"""What is missing beyond this goes out in no form, and counts as cut."""
LATE_S = 0.4
"""Behind the best delay of late. What comes later, and faster than it was said, is left out: then
a caller whose network was stalled is heard again as of now, not with all that was said meanwhile.
What comes no faster is not behind: the sender stood still, and so did its clock (Chromium does so
while capture is suspended)."""
SETTLED_S = 0.2
"""A burst behind a stall is over by then; what is still late has a longer way now."""
BEST_DELAY_S = 10.0
"""So far back the best delay is looked for, at most; half of that at least."""
MAX_SEQUENCE_JUMP = 1000
MAX_TIMESTAMP_JUMP_S = 20.0
"""Beyond these it is another sender's stream."""

_CLOCK_HZ = 48_000  # of Opus in RTP, at every rate of sampling (RFC 7587, section 4.1)
_TICKS_PER_MS = _CLOCK_HZ // 1000
_MAX_JUMP_TICKS = int(MAX_TIMESTAMP_JUMP_S * _CLOCK_HZ)


@dataclass(frozen=True, slots=True)
class Packet:
    """The next packet of the stream."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """Sound that never came, in the place of its packets.

    Attributes:
        duration_ms: 1 to `MAX_CONCEALED_MS`
        next_payload: the packet right behind the gap, which may hold the end of what is missing
    """

    duration_ms: int
    next_payload: bytes | None


@dataclass(frozen=True, slots=True)
class Silent:
    """A pause, 1 to `MAX_SILENT_MS`: nothing was sent, or too much is lost to be concealed."""

    duration_ms: int


Due = Packet | Lost | Silent


class _Arrived(NamedTuple):
    timestamp: int
    payload: bytes
    ticks: int
    at_s: float


class PacketOrder:
    """Says what is due of one stream. Time is an argument, in seconds.

    What goes out, with what was cut, is as long as the sender's timestamps say.

    Attributes:
        lost: packets that were given up
        late: those of them that came nevertheless, and packets from before the first one
        duplicate: packets that had come before
        reordered: packets that were overtaken, and waited for
        damaged: packets that cannot be Opus; they count as not received
        dropped: packets left out because they came too late to be of use
        restarts: times that another sender began
        cut_ms: sound and silence that went out in no form
    """

    __slots__ = (
        "_before_s",
        "_best_s",
        "_first_sequence",
        "_given_up",
        "_late_delay_s",
        "_late_since_s",
        "_next_sequence",
        "_next_timestamp",
        "_waiting",
        "_window_end_s",
        "cut_ms",
        "damaged",
        "dropped",
        "duplicate",
        "late",
        "lost",
        "reordered",
        "restarts",
    )

    def __init__(self) -> None:
        self.lost = self.late = self.duplicate = self.reordered = 0
        self.damaged = self.dropped = self.restarts = 0
        self.cut_ms = 0.0
        # Sequences and timestamps go on past their 16 and 32 bits, in here.
        self._first_sequence: int | None = None
        self._next_sequence = self._next_timestamp = 0
        self._waiting: dict[int, _Arrived] = {}  # by sequence, in the order of arrival
        self._given_up: Final = deque[int](maxlen=MAX_SEQUENCE_JUMP)
        self._best_s = self._before_s = self._window_end_s = 0.0
        self._late_since_s: float | None = None
        self._late_delay_s = 0.0

    @property
    def due_s(self) -> float | None:
        """When to call `woke`; None if nothing waits."""
        return next(iter(self._waiting.values())).at_s + REORDER_S if self._waiting else None

    def received(self, sequence: int, timestamp: int, payload: bytes, now_s: float) -> list[Due]:
        """A packet has come; returns what is due now.

        Args:
            sequence: 16 bits, one more with every packet
            timestamp: 32 bits, of the packet's first sample at 48 kHz
            payload: the Opus packet
            now_s: when it came
        """
        try:
            ticks = int(packet_ms(payload) * _TICKS_PER_MS)
        except BadAudio:
            self.damaged += 1
            return self.woke(now_s)
        ahead = ((sequence - self._next_sequence + 0x8000) & 0xFFFF) - 0x8000
        if not ahead and not self._waiting and self._first_sequence is not None:
            self._next_sequence += 1
            return self._pass_on(0, timestamp, payload, ticks, now_s)
        return self._sort_in(sequence, ahead, _Arrived(timestamp, payload, ticks, now_s))

    def woke(self, now_s: float) -> list[Due]:
        """Time has passed; returns what is due now."""
        due: list[Due] = []
        while (due_s := self.due_s) is not None and due_s <= now_s:
            due += self._give_up_gap()
        return due

    def restart(self) -> None:
        """What comes from now on is another stream (RTP: another SSRC)."""
        if self._first_sequence is not None:
            self._first_sequence = None
            self.restarts += 1

    def _sort_in(self, sequence: int, ahead: int, packet: _Arrived) -> list[Due]:
        """A packet that is not simply the next one."""
        if self._first_sequence is None or abs(ahead) > MAX_SEQUENCE_JUMP:
            return self._begin(sequence, packet)
        place = self._next_sequence + ahead
        if ahead < 0 or place in self._waiting:
            self._count_behind(place)
            return self.woke(packet.at_s)
        self.reordered += any(place < waiting for waiting in self._waiting)
        self._waiting[place] = packet
        due = self._take_run()
        while len(self._waiting) > MAX_WAITING:
            due += self._give_up_gap()
        return due + self.woke(packet.at_s)

    def _begin(self, sequence: int, packet: _Arrived) -> list[Due]:
        due: list[Due] = []
        while self._waiting:
            due += self._give_up_gap()
        self.restarts += self._first_sequence is not None
        self._given_up.clear()
        self._first_sequence = sequence
        self._next_sequence = sequence + 1
        self._begin_clock(packet.timestamp, packet.at_s)
        return due + self._pass_on(0, *packet)

    def _count_behind(self, place: int) -> None:
        if place in self._given_up:
            self._given_up.remove(place)
            self.late += 1
        elif self._first_sequence is not None and place < self._first_sequence:
            self.late += 1
        else:
            self.duplicate += 1

    def _give_up_gap(self) -> list[Due]:
        """The packets before the first that waits will not come any more."""
        first = min(self._waiting)
        missing = first - self._next_sequence
        self.lost += missing
        self._given_up.extend(range(self._next_sequence, first))
        self._next_sequence = first + 1
        return self._pass_on(missing, *self._waiting.pop(first)) + self._take_run()

    def _take_run(self) -> list[Due]:
        """What waited and is in order now."""
        due: list[Due] = []
        while (packet := self._waiting.pop(self._next_sequence, None)) is not None:
            self._next_sequence += 1
            due += self._pass_on(0, *packet)
        return due

    def _pass_on(
        self, missing: int, timestamp: int, payload: bytes, ticks: int, at_s: float
    ) -> list[Due]:
        """The next packet that there is, with what belongs into the gap before it."""
        gap = ((timestamp - self._next_timestamp + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
        if not 0 <= gap <= _MAX_JUMP_TICKS:
            self.restarts += 1
            self._begin_clock(timestamp, at_s)
            gap = 0
        begin = self._next_timestamp + gap
        self._next_timestamp = begin + ticks
        if self._is_late(at_s - begin / _CLOCK_HZ, ticks / _CLOCK_HZ, at_s):
            self.dropped += 1
            self.cut_ms += (gap + ticks) / _TICKS_PER_MS
            return []
        return [*self._filled(gap, missing, payload), Packet(payload)] if gap else [Packet(payload)]

    def _filled(self, gap: int, missing: int, next_payload: bytes) -> list[Due]:
        due: list[Due] = []
        gap_ms = gap // _TICKS_PER_MS
        left_ms = gap_ms
        if missing and gap_ms:
            concealed_ms = min(gap_ms, MAX_CONCEALED_MS)
            left_ms -= concealed_ms
            # Behind a pause the end of what is missing has nothing to go on from.
            due.append(Lost(concealed_ms, None if left_ms else next_payload))
        silent_ms = min(left_ms, MAX_SILENT_MS)
        if silent_ms:
            due.append(Silent(silent_ms))
        self.cut_ms += gap / _TICKS_PER_MS - (gap_ms - left_ms + silent_ms)
        return due

    def _begin_clock(self, timestamp: int, at_s: float) -> None:
        self._next_timestamp = timestamp
        self._expect_delay(at_s - timestamp / _CLOCK_HZ, at_s)

    def _expect_delay(self, delay_s: float, at_s: float) -> None:
        self._best_s = self._before_s = delay_s
        self._window_end_s = at_s + BEST_DELAY_S / 2
        self._late_since_s = None

    def _is_late(self, delay_s: float, packet_s: float, at_s: float) -> bool:
        """Whether a packet comes too late, by the clocks of both sides, which may drift apart."""
        if delay_s < self._best_s:
            self._best_s = delay_s
        if at_s >= self._window_end_s:  # the best of two halves of the window slides well enough
            self._before_s, self._best_s = self._best_s, delay_s
            self._window_end_s = at_s + BEST_DELAY_S / 2
        if delay_s - min(self._best_s, self._before_s) <= LATE_S:
            self._late_since_s = None
            return False
        if self._late_since_s is None:  # only the next one shows how fast they come
            self._late_since_s, self._late_delay_s = at_s, delay_s
            return False
        if at_s - self._late_since_s >= SETTLED_S:
            self._expect_delay(delay_s, at_s)
            return False
        if self._late_delay_s - delay_s <= packet_s / 2:
            return False
        self._late_delay_s = delay_s
        return True
