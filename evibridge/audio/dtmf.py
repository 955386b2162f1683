"""The tones of telephone keys, as in-band sound (DTMF, ITU-T Q.23)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from evibridge.audio.wav import wav_file

RATE_HZ: Final = 8000
"""That of telephone lines, so that the tones need no conversion."""
TONE_MS = 120
GAP_MS = 80
"""Q.24: receivers take tones of 40 ms with gaps of 40 ms; slow ones are spared a fault."""
PAUSE_MS = 500
"""A `w` among the keys, as in Twilio's `sendDigits`."""
RAMP_MS = 5
"""How long a tone takes to its full level: at once would be a click."""
LEVEL = 0.25
"""Of each of the two frequencies, of full scale: -12 dBFS."""

_ROWS_HZ = (697, 770, 852, 941)
_COLUMNS_HZ = (1209, 1336, 1477, 1633)
_KEYS = ("123A", "456B", "789C", "*0#D")
_FREQUENCIES_HZ = {
    key: (row_hz, column_hz)
    for row_hz, keys in zip(_ROWS_HZ, _KEYS, strict=True)
    for column_hz, key in zip(_COLUMNS_HZ, keys, strict=True)
}


def tones_wav(keys: str) -> bytes:
    """The sound of keys pressed one after another: a WAV file, int16 mono PCM at `RATE_HZ`.

    Args:
        keys: `0-9*#A-D`, and `w` for a pause

    Raises:
        KeyError: another character
    """
    parts = [_silence(PAUSE_MS) if key == "w" else _tone(*_FREQUENCIES_HZ[key]) for key in keys]
    return wav_file(np.concatenate([*parts, _silence(0)]).tobytes(), RATE_HZ)


def _tone(low_hz: int, high_hz: int) -> NDArray[np.int16]:
    times_s = np.arange(RATE_HZ * TONE_MS // 1000) / RATE_HZ
    waves = np.sin(2 * np.pi * low_hz * times_s) + np.sin(2 * np.pi * high_hz * times_s)
    ramp = np.minimum(1.0, times_s * 1000 / RAMP_MS)
    samples = (waves * ramp * ramp[::-1] * LEVEL * 32767).astype(np.int16)
    return np.concatenate([samples, _silence(GAP_MS)])


def _silence(duration_ms: int) -> NDArray[np.int16]:
    return np.zeros(RATE_HZ * duration_ms // 1000, np.int16)
