"""The agent's voice by WebRTC: WAV files in, an Opus packet every 20 ms out. Time is an argument.

Nothing is sent while the agent is silent, but the stream's timestamps go on.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from evibridge.audio.opus import OpusEncoder
from evibridge.audio.playout_ring import FRAME_MS, PlayoutRing
from evibridge.bridges.browser.call_audio import AgentAudio

PLAYBACK_RATE_HZ = 24_000
FRAME_POSITIONS = 48 * FRAME_MS
"""How far a frame moves the stream on, in samples of its clock."""
TAIL_FRAMES = 2
"""Silence that is sent behind the agent's voice: the encoder holds the last 7 ms of it."""
HEARD_AFTER_S = 0.12
"""From sending a frame until it was heard: a page's jitter buffer holds about 100 ms. A call whose
last words count as heard sooner would end before they are."""
SILENT_PLAYBACK = bytes(PLAYBACK_RATE_HZ * 2 * FRAME_MS // 1000)


class AudioSender(Protocol):
    """Where packets go to."""

    def send_audio(self, payload: bytes, position: int, *, begins: bool) -> None:
        """Send one packet; see `WebRtcPeer.send_audio`."""


class AgentVoice:
    """What the agent says, as one page hears it.

    Args:
        sender: takes the packets

    Raises:
        BadAudio: libopus is not installed
    """

    def __init__(self, sender: AudioSender) -> None:
        self._sender = sender
        self._ring = PlayoutRing(PLAYBACK_RATE_HZ)
        self._encoder = OpusEncoder(PLAYBACK_RATE_HZ)
        self._audio = AgentAudio(PLAYBACK_RATE_HZ)
        self._position = 0
        self._last_packet: bytes | None = None
        self._tail = 0
        self._sent_s = float("-inf")
        # As many as the ring hands out within `HEARD_AFTER_S`, which is bounded.
        self._on_their_way: deque[tuple[float, str]] = deque()
        self._frames_skipped = 0

    @property
    def counters(self) -> dict[str, int]:
        """What went wrong so far."""
        return {
            "underruns": self._ring.underruns,
            "agent_audio_dropped_ms": round(self._ring.dropped_ms),
            "frames_skipped": self._frames_skipped,
        }

    @property
    def queued_ms(self) -> float:
        """Audio that waits to be sent."""
        return self._ring.queued_ms

    def play(self, wav: bytes, tap: Callable[[bytes], None] | None) -> float:
        """Queue one WAV file; returns its length in ms.

        Args:
            wav: as the server sent it
            tap: gets the same as int16 mono PCM at the rate of the caller's audio
        """
        pcm16 = self._audio.for_page(wav, tap)
        self._ring.queue(pcm16)
        return len(pcm16) * 500 / PLAYBACK_RATE_HZ

    def mark(self, name: str) -> None:
        """Have `frame_due` tell when everything queued so far was heard."""
        self._ring.mark(name)

    def clear(self) -> list[str]:
        """Drop what is queued, and return the marks that were not told.

        The next audio starts with clean filters.
        """
        self._audio.clear()
        marks = [name for _, name in self._on_their_way]
        self._on_their_way.clear()
        return marks + self._ring.clear()

    def skip(self, frames: int) -> None:
        """So many frames were not sent in time: the page would have no use for them."""
        self._frames_skipped += frames
        self._position += frames * FRAME_POSITIONS

    def frame_due(self, now_s: float) -> list[str]:
        """Send the next 20 ms, or nothing in silence; returns the marks that were heard by now."""
        frame, marks = self._ring.next_frame()
        if frame is not None:
            self._tail = TAIL_FRAMES
            self._sent_s = now_s
            self._send(frame)
        elif self._tail:
            self._tail -= 1
            self._send(SILENT_PLAYBACK)
        elif self._last_packet is not None:
            self._fall_silent()
        self._position += FRAME_POSITIONS
        for name in marks:
            self._on_their_way.append((self._sent_s + HEARD_AFTER_S, name))
        return self._heard(now_s) if self._on_their_way else []

    def _send(self, pcm16: bytes) -> None:
        begins = self._last_packet is None
        if begins:  # an encoder that goes on from the sentence before begins too softly
            self._encoder.reset()
        packet = self._encoder.encode(pcm16)
        self._sender.send_audio(packet, self._position, begins=begins)
        self._last_packet = packet

    def _fall_silent(self) -> None:
        """Tell the page's decoder that silence follows, by a packet without sound.

        Without it the decoder takes what does not come for lost, and makes up for it.
        """
        assert self._last_packet is not None
        empty = bytes([self._last_packet[0] & 0xFC])  # one frame of no bytes (RFC 6716, 3.2.1)
        self._sender.send_audio(empty, self._position, begins=False)
        self._last_packet = None

    def _heard(self, now_s: float) -> list[str]:
        names = []
        while self._on_their_way and self._on_their_way[0][0] <= now_s:
            names.append(self._on_their_way.popleft()[1])
        return names
