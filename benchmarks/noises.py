"""Sounds of a telephone line that are not somebody talking to the agent, made of numbers.

Each is a minute of 8 kHz mono as floats, at a level of its own scale; `at_level` brings a sound to
the level of the line. Random ones are the same in every run.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8_000
SECONDS = 60
Sound = NDArray[np.float64]

_SEED = 20
_ACTIVE_FRAME = 20 * RATE_HZ // 1000
_ACTIVE_RANGE_DB = 25
_DTMF_HZ = [(low, high) for low in (697, 770, 852, 941) for high in (1209, 1336, 1477)]


def at_level(sound: Sound, dbfs: float) -> Sound:
    """Bring a sound to an active level: that of its frames within 25 dB of the loudest."""
    whole = len(sound) // _ACTIVE_FRAME * _ACTIVE_FRAME
    power = np.mean(sound[:whole].reshape(-1, _ACTIVE_FRAME) ** 2, axis=1)
    active = power[power > np.max(power) / 10 ** (_ACTIVE_RANGE_DB / 10)]
    return sound * float(10 ** (dbfs / 20) / np.sqrt(active.mean()))


def white(seconds: float = SECONDS) -> Sound:
    """Noise of a bad line."""
    return np.random.default_rng(_SEED).normal(size=int(seconds * RATE_HZ))


def pink(seconds: float = SECONDS) -> Sound:
    """Noise of rooms and streets: most of it is low."""
    return _shaped(white(seconds), lambda hz: np.sqrt(100 / np.maximum(hz, 50)))


def coughs() -> Sound:
    """One to three coughs in a row, each 150 to 400 ms, every other one with a voiced end."""
    return _scattered(_cough, gap_s=(0.1, 0.35), at_most=3, pause_s=(1.5, 2.5))


def claps() -> Sound:
    """Hands, or something that falls on a table."""
    return _scattered(_clap, gap_s=(0.15, 0.5), at_most=5, pause_s=(1.0, 2.0))


def keyboard() -> Sound:
    """Somebody types: four to twelve clicks a second."""
    return _scattered(_click, gap_s=(0.08, 0.25), at_most=40, pause_s=(0.5, 1.5))


def doors() -> Sound:
    """A door falls shut: a thump, and what it shakes."""
    return _scattered(_thump, gap_s=(0.2, 0.4), at_most=2, pause_s=(2.0, 3.0))


def dog() -> Sound:
    """One to three barks in a row, 120 to 250 ms each."""
    return _scattered(_bark, gap_s=(0.2, 0.5), at_most=3, pause_s=(2.0, 3.0))


def breath() -> Sound:
    """Breathing into the microphone."""
    return _scattered(_breath, gap_s=(0.3, 0.6), at_most=2, pause_s=(1.5, 2.5))


def keypad() -> Sound:
    """Keys of the telephone, short and long presses."""
    return _scattered(_key, gap_s=(0.07, 0.2), at_most=6, pause_s=(1.0, 2.0))


def ringing() -> Sound:
    """Ringing and busy tones of several countries, ten seconds each."""
    cadences = [((440, 480), 2.0, 4.0), ((425,), 1.0, 4.0), ((400, 450), 0.4, 0.2)]
    cadences += [((425,), 0.48, 0.48), ((480, 620), 0.5, 0.5), ((950,), 0.33, 0.03)]
    return np.concatenate([_cadence(*cadence) for cadence in cadences])


def music() -> Sound:
    """Chords of a plucked instrument, two a second."""
    time_s = np.arange(RATE_HZ // 2) / RATE_HZ
    chords = [
        sum(
            np.exp(-3 * time_s) * np.sin(2 * np.pi * root_hz * third * n * time_s) / n
            for third in (1, 1.26, 1.5)
            for n in range(1, 6)
        )
        for root_hz in (220, 247, 196, 262)
    ]
    return np.resize(np.concatenate(chords), SECONDS * RATE_HZ)


def babble(voices: list[Sound]) -> Sound:
    """Several people who talk in the background, at the same time."""
    length = SECONDS * RATE_HZ
    people = [np.resize(np.roll(voice, 7 * RATE_HZ * n), length) for n, voice in enumerate(voices)]
    together: Sound = np.sum([person / np.std(person) for person in people], axis=0)
    return together


BURSTS: dict[str, Callable[[], Sound]] = {
    "coughs": coughs,
    "claps": claps,
    "keyboard": keyboard,
    "doors": doors,
    "dog": dog,
    "breath": breath,
    "keypad": keypad,
    "ringing": ringing,
}
"""What must not stop the agent: it is no speech, and it is over soon."""


def _scattered(
    make: Callable[[np.random.Generator], Sound],
    *,
    gap_s: tuple[float, float],
    at_most: int,
    pause_s: tuple[float, float],
) -> Sound:
    """A minute of groups of up to `at_most` of something, each of another loudness."""
    rng = np.random.default_rng(_SEED)
    line = np.zeros(SECONDS * RATE_HZ)
    at = RATE_HZ
    while at < len(line):
        loudness = 10 ** (rng.uniform(-12, 0) / 20)
        for _ in range(rng.integers(1, at_most + 1)):
            one = make(rng) * loudness
            part = line[at : at + len(one)]
            part += one[: len(part)]
            at += len(one) + int(rng.uniform(*gap_s) * RATE_HZ)
        at += int(rng.uniform(*pause_s) * RATE_HZ)
    return line


def _cough(rng: np.random.Generator) -> Sound:
    length_s = rng.uniform(0.15, 0.4)
    time_s = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
    throat_hz = rng.uniform(350, 700)
    noise = _shaped(
        rng.normal(size=len(time_s)),
        lambda hz: 1 / (1 + ((hz - throat_hz) / 300) ** 2) + 0.5 / (1 + ((hz - 1800) / 700) ** 2),
    )
    burst = np.minimum(time_s / 0.004, 1) * (np.exp(-time_s / 0.03) + 0.6 * np.exp(-time_s / 0.12))
    cough: Sound = noise / np.std(noise) * burst
    if rng.random() < 0.5:
        tail_s = rng.uniform(0.08, 0.15)
        cough = cough + 0.5 * _voiced(time_s, length_s - tail_s, length_s, rng.uniform(120, 280))
    return cough


def _voiced(time_s: Sound, begin_s: float, end_s: float, pitch_hz: float) -> Sound:
    """A falling moan between two moments."""
    along = np.clip((time_s - begin_s) / (end_s - begin_s), 0, 1)
    phase = 2 * np.pi * np.cumsum(pitch_hz * (1 - 0.3 * along)) / RATE_HZ
    moan = np.sum([np.sin(n * phase) / n for n in range(1, 9)], axis=0)
    swelling: Sound = moan * np.sin(np.pi * along)
    return swelling


def _clap(rng: np.random.Generator) -> Sound:
    time_s = np.arange(RATE_HZ // 8) / RATE_HZ
    echoes = np.exp(-time_s / rng.uniform(0.006, 0.015)) + 0.15 * np.exp(-time_s / 0.05)
    clap: Sound = rng.normal(size=len(time_s)) * echoes
    return clap


def _click(rng: np.random.Generator) -> Sound:
    time_s = np.arange(RATE_HZ // 50) / RATE_HZ
    ringing_hz = rng.uniform(1200, 3200)
    tone = np.sin(2 * np.pi * ringing_hz * time_s) + rng.normal(size=len(time_s))
    click: Sound = tone * np.exp(-time_s / rng.uniform(0.001, 0.004))
    return click


def _thump(rng: np.random.Generator) -> Sound:
    time_s = np.arange(int(0.45 * RATE_HZ)) / RATE_HZ
    low = np.sin(2 * np.pi * rng.uniform(70, 130) * time_s) * np.exp(-time_s / 0.08)
    rattle = 0.3 * rng.normal(size=len(time_s)) * np.exp(-time_s / 0.05)
    thump: Sound = low + rattle
    return thump


def _bark(rng: np.random.Generator) -> Sound:
    length_s = rng.uniform(0.12, 0.25)
    time_s = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
    arch = np.sin(np.pi * time_s / length_s)
    pitch_hz = rng.uniform(350, 650) * (0.7 + 0.5 * arch) * (1 + 0.05 * rng.normal())
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    voice = np.sum([np.sin(n * phase) / n for n in range(1, 6)], axis=0)
    bark: Sound = (voice + 0.5 * rng.normal(size=len(time_s))) * np.sqrt(arch)
    return bark


def _breath(rng: np.random.Generator) -> Sound:
    length_s = rng.uniform(0.6, 1.4)
    noise = _shaped(
        rng.normal(size=int(length_s * RATE_HZ)), lambda hz: 1 / (1 + ((hz - 900) / 800) ** 2)
    )
    breath: Sound = noise * np.sin(np.pi * np.arange(len(noise)) / len(noise)) ** 2
    return breath


def _key(rng: np.random.Generator) -> Sound:
    return _tones(_DTMF_HZ[rng.integers(len(_DTMF_HZ))], float(rng.choice([0.08, 0.15, 0.5])))


def _cadence(tones_hz: tuple[int, ...], on_s: float, off_s: float) -> Sound:
    period = np.concatenate([_tones(tones_hz, on_s), np.zeros(int(off_s * RATE_HZ))])
    return np.resize(period, SECONDS * RATE_HZ // 6)


def _tones(tones_hz: tuple[int, ...], seconds: float) -> Sound:
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    tones: Sound = np.sum([np.sin(2 * np.pi * hz * time_s) for hz in tones_hz], axis=0)
    return tones


def _shaped(sound: Sound, gain: Callable[[Sound], Sound]) -> Sound:
    hz: Sound = np.fft.rfftfreq(len(sound), 1 / RATE_HZ).astype(np.float64)
    shaped: Sound = np.fft.irfft(np.fft.rfft(sound) * gain(hz), len(sound))
    return shaped
