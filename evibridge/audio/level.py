"""How loud a piece of audio is."""

import audioop

SOUND_RMS = 330
"""-40 dBFS: above the noise of ordinary lines, below quiet speech."""


def is_sound(pcm16: bytes) -> bool:
    """Whether somebody may be speaking in this int16 PCM, whatever its rate and channels."""
    return audioop.rms(pcm16[: len(pcm16) // 2 * 2], 2) >= SOUND_RMS
