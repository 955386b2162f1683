"""When the client plays what was sent to it, as far as a server can know. Pure.

Audio arrives faster than it is played, so the client lays it end to end: it plays from the moment
of its arrival, or after what came before. The same estimate says whether the agent is speaking,
how far ahead the wire is, and which words the caller has heard.
"""

from collections import deque
from dataclasses import dataclass

CHARACTERS_PER_S = 15.0
"""Ordinary speech. Tells how long a sentence will be of which only a part has been sent."""


@dataclass(slots=True)
class _Segment:
    id: str
    text: str
    begin_s: float = 0.0
    sent_s: float = 0.0
    chunks: int = 0
    complete: bool = False

    def heard(self, now_s: float) -> str:
        """The words played until now, in proportion to time."""
        if self.chunks == 0 or now_s <= self.begin_s:
            return ""
        played_s = min(now_s - self.begin_s, self.sent_s)
        whole_s = self.sent_s
        if not self.complete:
            whole_s = max(whole_s, len(self.text) / CHARACTERS_PER_S)
        words = self.text.split()
        return " ".join(words[: int(len(words) * played_s / whole_s)])


class Playback:
    """The sentences sent to the client and the moment up to which they last."""

    def __init__(self) -> None:
        self._segments: deque[_Segment] = deque()
        self.end_s = 0.0
        """When the client falls silent, on the clock of the caller of these methods."""

    def begin(self, segment_id: str, text: str, now_s: float) -> None:
        """A sentence starts; its audio follows in chunks."""
        if self._segments:
            self._segments[-1].complete = True
        while self._segments and self._segments[0].begin_s + self._segments[0].sent_s <= now_s:
            self._segments.popleft()
        self._segments.append(_Segment(segment_id, text))

    def send(self, duration_s: float, now_s: float) -> tuple[str, int]:
        """Place a chunk behind what was sent before: the sentence's id and the chunk's index."""
        segment = self._segments[-1]
        start_s = max(now_s, self.end_s)
        if segment.chunks == 0:
            segment.begin_s = start_s
        self.end_s = start_s + duration_s
        segment.sent_s = self.end_s - segment.begin_s
        segment.chunks += 1
        return segment.id, segment.chunks - 1

    def complete(self) -> None:
        """The last sentence has all its audio."""
        if self._segments:
            self._segments[-1].complete = True

    def unheard(self, now_s: float) -> list[str]:
        """The sentences of which the caller has not heard the end, the one being played first."""
        return [
            segment.text
            for segment in self._segments
            if not segment.complete or segment.begin_s + segment.sent_s > now_s
        ]

    def drop_silent(self) -> dict[str, str]:
        """Forget the last sentence if it has no sound: nothing, by its id, was heard of it."""
        if not self._segments or self._segments[-1].chunks:
            return {}
        return {self._segments.pop().id: ""}

    def cut(self, now_s: float) -> dict[str, str]:
        """The client stops playing now: what was heard of each sentence not played to its end."""
        heard = {
            segment.id: segment.heard(now_s)
            for segment in self._segments
            if not segment.complete or segment.begin_s + segment.sent_s > now_s
        }
        self._segments.clear()
        self.end_s = min(self.end_s, now_s)
        return heard
