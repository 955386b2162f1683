"""Whether a moment of sound is somebody's voice: neither noise nor tone nor an echo.

A voice is periodic at its pitch, which coughs, breath, clicks and the noise of a line are not; it
has overtones, which the tones of a telephone have not; and it is louder than what a caller's
loudspeaker gives back of the agent. Costs some tens of microseconds: to be asked only when it
matters.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evibridge.engine.hearing.audio_in import HEARING_RATE_HZ

WINDOW_SAMPLES = 768
"""48 ms at 16 kHz: four periods of a low voice."""

_MIN_DBFS = -38.0
"""The agent speaks at -21 dBFS, its echo on a telephone is some 25 dB weaker."""

_RATE_HZ = HEARING_RATE_HZ // 2  # of a voice, 4 kHz are enough
_FRAME = WINDOW_SAMPLES // 2
_NEWEST = 128  # samples that are news since the window before: the level is theirs
_FFT = 512
_HIGHEST_PITCH_HZ, _LOWEST_PITCH_HZ = 400, 70
_SHORTEST, _LONGEST = _RATE_HZ // _HIGHEST_PITCH_HZ, _RATE_HZ // _LOWEST_PITCH_HZ
_MIN_PERIODICITY = 0.53  # noise is below 0.5, most vowels are above 0.8
# What repeats sooner than at the highest pitch repeats at each multiple as well: a bark, a whistle.
# A creaking voice does so too, but not as exactly.
_TOO_SHORT = 9
_HIGH_PITCHED = 0.95  # of the periodicity at the pitch of a voice
_EXACT = 0.72
_MIN_OVERTONES = 0.01  # of all power in the pitch band: with less, it is what a hum leaves there
# Two tones fill this many bins of the spectrum with all of their power.
_TONE_BINS = 10
_MAX_TONAL = 0.996

_Spectrum = NDArray[np.floating[Any]]

_WINDOW = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
_HZ = np.fft.rfftfreq(_FFT, 1 / _RATE_HZ)
# Thumps and hum are below, consonants and most of a line's noise above.
_PITCH_BAND = (_HZ >= 200) & (_HZ <= 1500)
_VOICE_BAND = (_HZ >= 200) & (_HZ <= 3400)
_LAGS = np.arange(_TOO_SHORT, _LONGEST + 1)


def _autocorrelation(power: _Spectrum) -> _Spectrum:
    return np.fft.irfft(power)[: _LONGEST + 1]


# The window itself fades with the lag; divided by this, a periodic sound has 1 at its period.
_FADING = _autocorrelation(np.abs(np.fft.rfft(_WINDOW, _FFT)) ** 2)
_FADING = (_FADING / _FADING[0])[_LAGS]


def is_voiced(window: NDArray[np.int16]) -> bool:
    """Tell whether somebody's voice is in the last 48 ms: int16 mono PCM at 16 kHz."""
    frame = (window[::2].astype(np.float32) + window[1::2]) / 2
    newest = frame[-_NEWEST:]
    if _dbfs(float(np.dot(newest, newest)) / _NEWEST) < _MIN_DBFS:
        return False
    power = np.abs(np.fft.rfft(frame * _WINDOW, _FFT)) ** 2
    pitch_power = power * _PITCH_BAND
    if pitch_power.sum() < _MIN_OVERTONES * power.sum():
        return False
    return _has_pitch(pitch_power) and not _is_tone(power * _VOICE_BAND)


def _has_pitch(power: _Spectrum) -> bool:
    autocorrelation = _autocorrelation(power)
    periodicity = autocorrelation[_LAGS] / (autocorrelation[0] * _FADING + 1e-9)
    voice = min(periodicity[_SHORTEST - _TOO_SHORT :].max(), 1.0)
    if voice < _MIN_PERIODICITY:
        return False
    sooner = periodicity[: _SHORTEST - _TOO_SHORT + 1]
    return not (_peaks(sooner) > max(_HIGH_PITCHED * voice, _EXACT)).any()


def _peaks(curve: _Spectrum) -> _Spectrum:
    """The heights of the peaks, between the samples of a curve, and 0 where there is none."""
    left, middle, right = curve[:-2], curve[1:-1], curve[2:]
    bend = left - 2 * middle + right
    heights = middle - (right - left) ** 2 / (8 * np.minimum(bend, -1e-9))
    return np.where((middle >= left) & (middle >= right), heights, 0)


def _is_tone(power: _Spectrum) -> bool:
    strongest = np.partition(power, -_TONE_BINS)[-_TONE_BINS:]
    return bool(strongest.sum() > _MAX_TONAL * power.sum())


def _dbfs(mean_square: float) -> float:
    return 10 * math.log10(mean_square / 32768**2 + 1e-12)
