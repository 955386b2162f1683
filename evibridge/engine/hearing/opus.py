"""Opus as containers carry it: the head of a stream, and what it says of the beginning."""

from dataclasses import dataclass

from evibridge.audio import opus
from evibridge.errors import BadAudio

DECODED_RATE_HZ = 16_000
"""Opus decodes to this rate by itself, whatever the rate of the recording; recognisers want it."""
MAX_PACKET_BYTES = 61_298
"""48 frames of 2.5 ms, each of 1,275 bytes with 2 for its length, behind 2 bytes of head."""

_HEAD_RATE_HZ = 48_000  # the unit of `pre_skip`, whatever the recording's rate


@dataclass(frozen=True, slots=True)
class OpusHead:
    """What a container says of its Opus stream (RFC 7845, section 5.1).

    Attributes:
        channels: 1 or 2
        pre_skip: samples at 48 kHz to drop from the beginning, while the decoder settles
    """

    channels: int
    pre_skip: int


def parse_head(data: bytes) -> OpusHead:
    """Read the `OpusHead` that begins an Ogg stream and describes a track of WebM.

    Raises:
        BadAudio: not such a head, or more than two channels
    """
    if len(data) < 19 or data[:8] != b"OpusHead" or data[8] > 15:
        raise BadAudio("The head of this Opus stream (OpusHead) is missing or damaged.")
    channels, mapping_family = data[9], data[18]
    if mapping_family or channels not in (1, 2):
        raise BadAudio("Send Opus with one channel or two, in channel mapping family 0.")
    return OpusHead(channels, int.from_bytes(data[10:12], "little"))


def packet_samples(packet: bytes) -> int:
    """How many samples at `DECODED_RATE_HZ` a packet holds.

    Raises:
        BadAudio: no valid packet begins like that
    """
    return int(opus.packet_ms(packet) * DECODED_RATE_HZ) // 1000


class OpusDecoder:
    """Decodes one stream to `DECODED_RATE_HZ`, without the beginning that its head says to drop.

    Raises:
        BadAudio: no Opus decoder is installed
    """

    def __init__(self, head: OpusHead) -> None:
        self._decoder = opus.OpusDecoder(DECODED_RATE_HZ)
        self._skip_bytes = 2 * (head.pre_skip * DECODED_RATE_HZ // _HEAD_RATE_HZ)

    def decode(self, packet: bytes) -> bytes:
        """Turn the next packet into int16 mono PCM.

        Raises:
            BadAudio: the packet is damaged
        """
        pcm16 = self._decoder.decode(packet)
        skipped = min(self._skip_bytes, len(pcm16))
        self._skip_bytes -= skipped
        return pcm16[skipped:]
