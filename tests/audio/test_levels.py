import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.audio.levels import LevelMeter, Levels

RATE_HZ = 8000
WINDOW = 400


def stereo(caller: list[int], agent: list[int]) -> bytes:
    return np.array([caller, agent], np.int16).T.tobytes()


def test_the_two_sides_are_measured_apart() -> None:
    loud, quiet = [16_384, -16_384] * (WINDOW // 2), [328, -328] * (WINDOW // 2)

    first, second = LevelMeter(RATE_HZ).levels_of(stereo(loud + quiet, quiet + loud))

    assert first == pytest.approx(Levels(caller=0.5, agent=0.01), abs=0.0001)
    assert second == pytest.approx(Levels(caller=0.01, agent=0.5), abs=0.0001)


def test_silence_is_0_and_the_loudest_sound_is_1() -> None:
    levels = LevelMeter(RATE_HZ).levels_of(stereo([0] * WINDOW, [-32_768] * WINDOW))

    assert levels == [(0.0, 1.0)]


def test_a_sine_is_as_loud_as_its_mean_power() -> None:
    sine = (32_767 * np.sin(np.arange(WINDOW) * 2 * np.pi * 200 / RATE_HZ)).astype(int).tolist()

    [levels] = LevelMeter(RATE_HZ).levels_of(stereo(sine, [0] * WINDOW))

    assert levels.caller == pytest.approx(0.7071, abs=0.0001)


def test_there_is_no_level_before_a_window_is_complete() -> None:
    meter = LevelMeter(RATE_HZ)

    assert meter.levels_of(b"") == []
    assert meter.levels_of(stereo([0] * 399, [0] * 399)) == []
    assert meter.levels_of(stereo([0], [0])) == [(0.0, 0.0)]


@given(
    frames=st.lists(
        st.tuples(st.integers(-32_768, 32_767), st.integers(-32_768, 32_767)), max_size=60
    ),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_levels_do_not_depend_on_how_the_sound_is_cut(
    frames: list[tuple[int, int]], cuts: list[int]
) -> None:
    rate_hz = 200  # windows of 10 frames
    sound = np.array(frames, np.int16).tobytes()
    edges = sorted(4 * cut for cut in cuts)
    pieces = [
        sound[begin:end] for begin, end in zip([0, *edges], [*edges, len(sound)], strict=True)
    ]
    meter = LevelMeter(rate_hz)

    levels = [level for piece in pieces for level in meter.levels_of(piece)]

    assert levels == LevelMeter(rate_hz).levels_of(sound)
    assert len(levels) == len(frames) // 10
    assert all(0 <= level <= 1 for both in levels for level in both)
