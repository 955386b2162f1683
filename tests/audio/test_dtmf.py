import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from evibridge.audio.dtmf import GAP_MS, LEVEL, PAUSE_MS, RAMP_MS, RATE_HZ, TONE_MS, tones_wav
from evibridge.audio.g711 import mulaw_to_pcm16, pcm16_to_mulaw
from evibridge.audio.wav import mono_pcm16, parse_wav

KEYS = "123A456B789C*0#D"
GRID = {  # ITU-T Q.23, written out
    "1": (697, 1209), "2": (697, 1336), "3": (697, 1477), "A": (697, 1633),
    "4": (770, 1209), "5": (770, 1336), "6": (770, 1477), "B": (770, 1633),
    "7": (852, 1209), "8": (852, 1336), "9": (852, 1477), "C": (852, 1633),
    "*": (941, 1209), "0": (941, 1336), "#": (941, 1477), "D": (941, 1633),
}  # fmt: skip
ALL_HZ = sorted(set(itertools.chain.from_iterable(GRID.values())))
MS = RATE_HZ // 1000
TONE, GAP, PAUSE, RAMP = TONE_MS * MS, GAP_MS * MS, PAUSE_MS * MS, RAMP_MS * MS


def samples_of(keys: str) -> NDArray[np.float64]:
    """The sound of keys, of full scale."""
    wav = parse_wav(tones_wav(keys))
    assert (wav.rate_hz, wav.channels, wav.sample_bytes) == (RATE_HZ, 1, 2)
    return np.frombuffer(wav.data, np.int16) / 32768


def amplitude(sound: NDArray[np.float64], hz: float) -> float:
    """How much of a frequency there is (one bin of a Fourier transform, as Goertzel has it)."""
    turns = np.exp(-2j * np.pi * hz * np.arange(len(sound)) / RATE_HZ)
    return float(abs(sound @ turns) * 2 / len(sound))


def keys_heard(sound: NDArray[np.float64]) -> str:
    """What a receiver of Q.24 makes of a sound, looking at 20 ms at a time."""
    heard: list[str] = []
    for start in range(0, len(sound), 20 * MS):
        frame = sound[start : start + 20 * MS]
        levels = {hz: amplitude(frame, hz) for hz in ALL_HZ}
        low_hz, high_hz = (max(half, key=levels.__getitem__) for half in (ALL_HZ[:4], ALL_HZ[4:]))
        is_tone = min(levels[low_hz], levels[high_hz]) > 0.1
        key = next(key for key, pair in GRID.items() if pair == (low_hz, high_hz))
        heard.append(key if is_tone else " ")
    return "".join(key for key, _ in itertools.groupby(heard)).replace(" ", "")


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_its_two_frequencies_and_no_other(key: str) -> None:
    steady = samples_of(key)[RAMP : TONE - RAMP]
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady)), 1 << 14))
    frequencies_hz = np.fft.rfftfreq(1 << 14, 1 / RATE_HZ)
    for hz in GRID[key]:
        near = abs(frequencies_hz - hz) < 60
        peak_hz = frequencies_hz[near][spectrum[near].argmax()]
        assert peak_hz == pytest.approx(hz, rel=0.005)  # receivers take 1.5 %
        spectrum[near] = 0
    assert spectrum.max() < len(steady) / 2 * LEVEL / 2 * 0.01


@pytest.mark.parametrize("key", KEYS)
def test_both_frequencies_have_the_same_level(key: str) -> None:
    steady = samples_of(key)[RAMP : TONE - RAMP]
    low, high = (amplitude(steady, hz) for hz in GRID[key])
    assert low == pytest.approx(LEVEL, rel=0.05)
    assert high == pytest.approx(LEVEL, rel=0.05)


def test_a_tone_leaves_room_below_full_scale() -> None:
    assert 0.4 < max(abs(samples_of(key)).max() for key in KEYS) <= 2 * LEVEL


@pytest.mark.parametrize("key", KEYS)
def test_a_tone_begins_and_ends_without_a_click(key: str) -> None:
    sound = samples_of(key)
    tone = sound[:TONE]
    assert tone[0] == tone[-1] == 0
    limits = 2 * LEVEL * np.arange(RAMP) / RAMP + 1 / 32768
    assert (abs(tone[:RAMP]) <= limits).all()
    assert (abs(tone[::-1][:RAMP]) <= limits).all()
    # No step is steeper than those of the waves themselves.
    steepest = LEVEL * 2 * np.pi * sum(GRID[key]) / RATE_HZ
    assert abs(np.diff(sound, prepend=0, append=0)).max() <= steepest
    # Nor does the beginning hold sound of other frequencies, as a click does.
    highest = abs(np.fft.rfft(tone, TONE))[3000 * TONE // RATE_HZ :]
    assert highest.max() < TONE / 2 * LEVEL * 0.01


def test_keys_follow_each_other_with_a_gap() -> None:
    sound = samples_of("42")
    assert len(sound) == 2 * (TONE + GAP)
    first, second = np.split(sound, 2)
    assert not first[TONE:].any()
    assert not second[TONE:].any()
    assert (first == samples_of("4")).all()
    assert (second == samples_of("2")).all()


def test_a_w_is_a_pause() -> None:
    sound = samples_of("1w2")
    assert len(sound) == 2 * (TONE + GAP) + PAUSE
    assert not sound[TONE : TONE + GAP + PAUSE].any()
    assert (sound[TONE + GAP + PAUSE :] == samples_of("2")).all()
    assert not samples_of("ww").any()
    assert len(samples_of("ww")) == 2 * PAUSE


def test_no_keys_are_no_sound() -> None:
    assert len(samples_of("")) == 0


@pytest.mark.parametrize("keys", [KEYS, "1155w00#", "w7w"])
def test_a_receiver_on_a_telephone_line_hears_the_keys(keys: str) -> None:
    line = mulaw_to_pcm16(pcm16_to_mulaw(bytes(mono_pcm16(parse_wav(tones_wav(keys))))))
    assert keys_heard(np.frombuffer(line, np.int16) / 32768) == keys.replace("w", "")


@pytest.mark.parametrize("keys", ["E", "1a", "W", " ", "1\n"])
def test_what_is_no_key_has_no_sound(keys: str) -> None:
    with pytest.raises(KeyError):
        tones_wav(keys)
