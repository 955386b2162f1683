"""The benchmark of recordings runs, and its figures make sense."""

import pytest

from benchmarks import recording


async def test_a_recording_is_as_long_as_its_call_whatever_the_line_does() -> None:
    results = await recording.measure(minutes=3)

    assert [result.how for result in results] == [*recording.TICKS_S]
    for result in results:
        assert result.failure is None
        assert result.wav_s == pytest.approx(180, abs=0.001)
        assert result.stalls > 0
        assert 0.9 < result.kept <= 1
        assert result.cpu_s_per_hour > 0
    assert "recorded and listened to" in recording.shown(results)
