"""The benchmarks of calls by WebRTC run, and their figures make sense."""

import pytest

from benchmarks import webrtc_calls, webrtc_latency
from benchmarks.webrtc_calls import BRIDGE, ECHO, Result
from benchmarks.webrtc_latency import arrived_after_ms, silenced_after_ms


async def test_the_bridge_and_an_echo_are_compared() -> None:
    bridge, echo = await webrtc_calls.compare(1, seconds=0.5, rounds=1)
    assert (bridge.program, echo.program) == (BRIDGE, ECHO)
    for each in (bridge, echo):
        assert 0 < each.per_call < 1
        assert each.agent_frames > 0
    assert "times the CPU of the echo; bar: 1.25." in webrtc_calls.shown([bridge, echo])


async def test_voices_and_interruptions_are_timed() -> None:
    results = await webrtc_latency.measure(1, seconds=2.5)
    assert [bool(each.times_ms) for each in results] == [True, True]
    assert all(each.after_ms(0.5) >= 0 for each in results)
    assert "interruption to silence" in webrtc_latency.shown(results)


def test_a_ramp_shows_what_was_wanted() -> None:
    result = Result(
        BRIDGE, 20, 0.4, 0.1, 1.0, talkspurts=0, gaps=0, pages_late_ms=3.0, disturbed=0.0
    )
    assert "Wanted: 20 calls on a core without a gap." in webrtc_calls.shown([result])


def test_a_loud_packet_is_found_again_within_the_time_to_the_next() -> None:
    assert arrived_after_ms([1.0, 1.5, 2.0], [0.9, 1.002, 2.1]) == pytest.approx([2, 100])
    assert arrived_after_ms([1.0], []) == []


def test_silence_begins_behind_the_last_sound() -> None:
    sounds_s = [0.9, 0.98, 1.01, 1.03, 1.7, 1.9]
    assert silenced_after_ms(sounds_s, [1.0]) == pytest.approx([30])
    assert silenced_after_ms([0.98, 1.7], [1.0]) == [0.0]
    assert silenced_after_ms([0.1, 1.7], [1.0]) == [], "the agent was silent before"
    assert silenced_after_ms([0.98, 1.01], [1.0]) == [], "it is not known whether more would come"
