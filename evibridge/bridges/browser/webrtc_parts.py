"""What all callers' connections by WebRTC share; it is there before aiortc is loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
