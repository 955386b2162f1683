from itertools import accumulate, pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evibridge.audio.resample import Resampler
from evibridge.errors import BadAudio

RATES = (8_000, 16_000, 24_000, 32_000, 48_000)
PAIRS = [(a, b) for a in RATES for b in RATES if a != b] + [(44_100, 16_000), (44_100, 8_000)]
every_pair = pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)

TONE_PEAK = 20_000
WARM_UP_MS = 10


def tone(hz: float, rate_hz: int, duration_ms: int = 100) -> bytes:
    at_s = np.arange(rate_hz * duration_ms // 1000) / rate_hz
    return (TONE_PEAK * np.sin(2 * np.pi * hz * at_s)).round().astype(np.int16).tobytes()


def noise(samples: int) -> bytes:
    return np.random.default_rng(7).integers(-32768, 32768, samples).astype(np.int16).tobytes()


def values(pcm16: bytes) -> NDArray[np.float64]:
    return np.frombuffer(pcm16, np.int16).astype(np.float64)


def steady(pcm16: bytes, rate_hz: int) -> NDArray[np.float64]:
    return values(pcm16)[rate_hz * WARM_UP_MS // 1000 :]


def level_db(signal: NDArray[np.float64]) -> float:
    """Level against the test tone's."""
    power = float(np.mean(signal**2)) / (TONE_PEAK**2 / 2)
    return 10 * float(np.log10(power + 1e-20))


def split(
    signal: NDArray[np.float64], hz: float, rate_hz: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The part of a signal that is a tone of `hz`, and everything else in it."""
    phase = 2 * np.pi * hz * np.arange(len(signal)) / rate_hz
    waves = np.column_stack((np.sin(phase), np.cos(phase)))
    found: NDArray[np.float64] = waves @ np.linalg.lstsq(waves, signal)[0]
    return found, signal - found


@every_pair
def test_the_pass_band_is_flat_and_holds_nothing_but_the_tone(from_hz: int, to_hz: int) -> None:
    edge_hz = 0.85 * min(from_hz, to_hz) / 2  # 3.4 kHz at a rate of 8 kHz

    for hz in np.linspace(100, edge_hz, 20):
        out = steady(Resampler(from_hz, to_hz).process(tone(hz, from_hz)), to_hz)
        found, rest = split(out, hz, to_hz)

        assert level_db(found) == pytest.approx(0, abs=0.1)
        assert level_db(rest) <= -60


@pytest.mark.parametrize(("from_hz", "to_hz"), [pair for pair in PAIRS if pair[0] > pair[1]])
def test_tones_above_the_new_nyquist_frequency_vanish(from_hz: int, to_hz: int) -> None:
    for hz in np.linspace(to_hz / 2, from_hz / 2, 100):
        out = steady(Resampler(from_hz, to_hz).process(tone(hz, from_hz)), to_hz)

        assert level_db(out) <= -60


@pytest.mark.parametrize(("from_hz", "to_hz"), [pair for pair in PAIRS if pair[0] < pair[1]])
def test_upsampling_mirrors_nothing_above_the_old_nyquist_frequency(
    from_hz: int, to_hz: int
) -> None:
    for hz in np.linspace(100, 0.99 * from_hz / 2, 40):
        out = steady(Resampler(from_hz, to_hz).process(tone(hz, from_hz)), to_hz)
        _, mirrored = split(out, hz, to_hz)

        assert level_db(mirrored) <= -60


@every_pair
def test_the_delay_is_at_most_5_ms(from_hz: int, to_hz: int) -> None:
    click_at = from_hz // 50
    click = np.zeros(from_hz // 10, np.int16)
    click[click_at] = 32_000

    heard_at = int(np.argmax(values(Resampler(from_hz, to_hz).process(click.tobytes()))))

    assert 0 <= heard_at / to_hz - click_at / from_hz <= 0.005


@every_pair
def test_a_20_ms_frame_gives_20_ms_at_once(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    frame = noise(from_hz // 50)

    assert [len(resampler.process(frame)) for _ in range(5)] == [2 * to_hz // 50] * 5


@given(
    st.sampled_from(PAIRS),
    st.lists(st.one_of(st.integers(0, 7), st.integers(0, 1000)), max_size=12),
)
def test_chunks_give_what_the_whole_stream_gives(pair: tuple[int, int], lengths: list[int]) -> None:
    from_hz, to_hz = pair
    stream = noise(sum(lengths))
    cuts = [0, *accumulate(lengths)]
    chunked = Resampler(*pair)

    chunks = [chunked.process(stream[2 * begin : 2 * end]) for begin, end in pairwise(cuts)]
    in_chunks = values(b"".join(chunks) + chunked.flush())
    whole = Resampler(*pair)
    in_one = values(whole.process(stream) + whole.flush())

    assert len(in_chunks) == len(in_one)
    assert (np.abs(in_chunks - in_one) <= 1).all()
    out_so_far = accumulate(len(chunk) // 2 for chunk in chunks)
    assert list(out_so_far) == [ceil(end * to_hz / from_hz) for end in cuts[1:]]


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48_000, 8_000), (8_000, 48_000)])
def test_loud_audio_is_clipped_and_does_not_wrap_around(from_hz: int, to_hz: int) -> None:
    half_wave = np.full(from_hz // 1000, 32767, np.int16)
    square = np.tile(np.concatenate((half_wave, -half_wave)), 50)

    out = steady(Resampler(from_hz, to_hz).process(square.tobytes()), to_hz)

    assert np.max(out) == 32767
    assert np.min(out) == -32768
    sign_changes = np.count_nonzero(np.diff(np.sign(out[out != 0])))
    assert sign_changes == pytest.approx(1000 * len(out) / to_hz, abs=1)


@every_pair
def test_the_faintest_sound_is_rounded_and_not_cut_off(from_hz: int, to_hz: int) -> None:
    for faintest in (1, -1):
        level = np.full(from_hz // 20, faintest, np.int16)

        out = steady(Resampler(from_hz, to_hz).process(level.tobytes()), to_hz)

        assert (out == faintest).all()


@every_pair
def test_flush_gives_the_end_of_the_stream(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    click = np.zeros(from_hz // 50, np.int16)
    click[-1] = 32_000

    before = values(resampler.process(click.tobytes()))
    tail = values(resampler.flush())

    assert np.abs(tail).max() > 10 * np.abs(before).max()
    assert len(tail) / to_hz <= 0.005


@every_pair
def test_after_a_flush_a_new_stream_begins(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    fresh = resampler.process(noise(997))
    resampler.flush()

    assert resampler.process(noise(997)) == fresh


@every_pair
def test_a_reset_forgets_the_stream(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    resampler.process(noise(997))

    resampler.reset()

    assert not any(resampler.flush())


def test_equal_rates_pass_audio_through() -> None:
    resampler = Resampler(16_000, 16_000)

    out = resampler.process(memoryview(noise(33)))

    assert isinstance(out, bytes)
    assert out == noise(33)
    assert resampler.flush() == b""


@pytest.mark.parametrize("to_hz", [8_000, 48_000])
def test_half_a_sample_is_refused(to_hz: int) -> None:
    with pytest.raises(BadAudio, match="even number of bytes, not 3"):
        Resampler(48_000, to_hz).process(b"abc")


@pytest.mark.parametrize(("from_hz", "to_hz"), [(0, 8_000), (8_000, 7_999), (192_001, 192_001)])
def test_a_rate_out_of_range_is_refused(from_hz: int, to_hz: int) -> None:
    with pytest.raises(BadAudio, match="use a rate from 8000 to 192000 Hz"):
        Resampler(from_hz, to_hz)


def test_rates_without_a_simple_ratio_are_refused() -> None:
    with pytest.raises(BadAudio, match="44101 Hz cannot be converted to 8000 Hz"):
        Resampler(44_101, 8_000)
