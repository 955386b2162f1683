"""G.711, the 8 kHz telephone codec: one byte a sample, mu-law or A-law.

On Python 3.13 and later the `audioop` module comes from the package audioop-lts.
"""

import audioop

from evibridge.errors import BadAudio

MULAW_SILENCE = b"\xff"
"""One mu-law sample of silence (+0)."""


def mulaw_to_pcm16(data: bytes) -> bytes:
    """Decode mu-law to int16 mono PCM at the same rate; full scale is +-32124."""
    return audioop.ulaw2lin(data, 2)


def pcm16_to_mulaw(pcm16: bytes) -> bytes:
    """Encode int16 mono PCM as mu-law at the same rate; what is louder than +-32124 is clipped.

    Raises:
        BadAudio: half a sample at the end
    """
    _require_whole_samples(pcm16)
    return audioop.lin2ulaw(pcm16, 2)


def alaw_to_pcm16(data: bytes) -> bytes:
    """Decode A-law to int16 mono PCM at the same rate; full scale is +-32256."""
    return audioop.alaw2lin(data, 2)


def pcm16_to_alaw(pcm16: bytes) -> bytes:
    """Encode int16 mono PCM as A-law at the same rate; what is louder than +-32256 is clipped.

    Raises:
        BadAudio: half a sample at the end
    """
    _require_whole_samples(pcm16)
    return audioop.lin2alaw(pcm16, 2)


def _require_whole_samples(pcm16: bytes) -> None:
    if len(pcm16) % 2:
        raise BadAudio(f"16-bit audio needs an even number of bytes, not {len(pcm16)}.")
