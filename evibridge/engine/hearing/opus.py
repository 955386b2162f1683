"""Opus as containers carry it: the head of a stream, the length of a packet, the decoder."""

from dataclasses import dataclass
from typing import Any

from evibridge.errors import BadAudio

DECODED_RATE_HZ = 16_000
"""Opus decodes to this rate by itself, whatever the rate of the recording; recognisers want it."""
MAX_PACKET_MS = 120
MAX_PACKET_BYTES = 61_298
"""48 frames of 2.5 ms, each of 1,275 bytes with 2 for its length, behind 2 bytes of head."""

_SAMPLES_PER_MS = DECODED_RATE_HZ // 1000
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
    """How many samples at `DECODED_RATE_HZ` a packet holds (RFC 6716, section 3.1).

    Raises:
        BadAudio: no valid packet begins like that
    """
    if not packet:
        raise BadAudio("An Opus packet of this stream is empty.")
    config, code = packet[0] >> 3, packet[0] & 3
    frames = (1, 2, 2, packet[1] & 0x3F if len(packet) > 1 else 0)[code]
    samples = frames * _frame_samples(config)
    if not 0 < samples <= MAX_PACKET_MS * _SAMPLES_PER_MS:
        raise BadAudio("An Opus packet of this stream is damaged.")
    return samples


def _frame_samples(config: int) -> int:
    if config < 12:  # SILK
        return (10, 20, 40, 60)[config % 4] * _SAMPLES_PER_MS
    if config < 16:  # hybrid
        return (10, 20)[config % 2] * _SAMPLES_PER_MS
    return (5 << config % 4) * _SAMPLES_PER_MS // 2  # CELT: 2.5, 5, 10, 20 ms


class OpusDecoder:
    """libopus for one stream; stereo is mixed down by the decoder itself.

    Raises:
        BadAudio: the engine has no Opus decoder installed
    """

    def __init__(self, head: OpusHead) -> None:
        opus = _libopus()
        self._error: type[Exception] = opus.OpusError
        self._decoder = opus.Decoder(DECODED_RATE_HZ, 1)
        self._skip_bytes = 2 * (head.pre_skip * DECODED_RATE_HZ // _HEAD_RATE_HZ)

    def decode(self, packet: bytes) -> bytes:
        """Turn the next packet into int16 mono PCM at `DECODED_RATE_HZ`.

        Raises:
            BadAudio: the packet is damaged
        """
        try:
            pcm16: bytes = self._decoder.decode(packet, packet_samples(packet))
        except self._error as error:
            raise BadAudio("An Opus packet of this stream is damaged.") from error
        skipped = min(self._skip_bytes, len(pcm16))
        self._skip_bytes -= skipped
        return pcm16[skipped:]


def _libopus() -> Any:
    try:
        import opuslib_next
    except (ImportError, OSError, RuntimeError) as error:  # the last two: a library that won't load
        raise BadAudio(
            "This engine cannot decode Opus: install the package opuslib-next-bundled there, "
            "or send PCM or WAV."
        ) from error
    return opuslib_next
