"""What the parts of a connection by WebRTC agree on; it is there before aiortc is loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from evibridge.bus import EventBus

if TYPE_CHECKING:
    from evibridge.bridges.browser.webrtc_leg import WebRtcLeg


@dataclass(frozen=True, slots=True)
class LegParts:
    """What a leg is given.

    Attributes:
        bus: tells what happens in calls
        holding: tells what the caller hears while he waits for the tool of a name
        closed: is told of each leg that has no connection any more
    """

    bus: EventBus
    holding: Callable[[str], str | None]
    closed: "Callable[[WebRtcLeg], None]"


class PeerListener(Protocol):
    """Who takes what comes from the page. Every method runs in the callback of the datagram."""

    def peer_opened(self) -> None:
        """The page's data channel is open: both sides may talk."""

    def audio_received(
        self, ssrc: int, sequence: int, timestamp: int, payload: bytes, now_s: float
    ) -> None:
        """An Opus packet, as RTP carried it; `ssrc` names its stream."""

    def text_received(self, text: bytes) -> None:
        """A message of the page."""

    def peer_lost(self, why: str) -> None:
        """The connection is over, and not by `close`."""

    def peer_closed(self) -> None:
        """Nothing is left of the connection."""
