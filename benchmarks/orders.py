"""What a caller of a benchmark asks the EVI stand-in to do, by a frame of sound of its own.

Nothing else leads from one certain call to its chat.
"""

from collections.abc import Mapping
from enum import Enum

import pybase64

from evibridge.audio.g711 import mulaw_to_pcm16

FRAME_SAMPLES = 160


class Order(Enum):
    """The value is the mu-law byte that the whole frame consists of."""

    CUT_CHAT = 0x21
    """Cut the connection of the chat."""
    CALL_TOOL = 0x32

    @property
    def payload(self) -> bytes:
        """The frame as Twilio sends it."""
        return pybase64.b64encode(self._mulaw)

    @property
    def pcm16(self) -> bytes:
        """The frame as an EVI server gets it."""
        return mulaw_to_pcm16(self._mulaw)

    @property
    def _mulaw(self) -> bytes:
        return bytes([self.value]) * FRAME_SAMPLES


ORDERS: Mapping[bytes, Order] = {order.pcm16: order for order in Order}
