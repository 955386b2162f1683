"""The benchmarks run and their figures make sense; how large a figure is, no test asks."""

from benchmarks import call_figures, calls_per_core, hot_path
from benchmarks.call_figures import BRIDGE, FLOOR, NO_BRIDGE


async def test_calls_are_measured_beside_the_floor_and_without_a_bridge() -> None:
    results = await calls_per_core.measure([2], rounds=1, warm_up_s=0.2)

    assert [result.program for result in results] == [NO_BRIDGE, FLOOR, BRIDGE]
    without, floor, bridge = results
    assert without.cost is None
    assert floor.cost is not None
    assert floor.cost.times_floor == 1.0
    assert bridge.cost is not None
    assert bridge.cost.cpu_ms_per_call_s > 0
    assert bridge.cost.frames_lost == floor.cost.frames_lost == 0
    assert bridge.heard_ms.p50 > 0
    assert "2, evibridge" in call_figures.shown(results)


def test_every_step_of_the_hot_path_is_timed() -> None:
    path = hot_path.measure(seconds_per_step=0.01)

    steps = path.caller_frame + path.agent_chunk
    assert len(steps) == 10
    assert all(step.us > 0 for step in steps)
    assert path.ms_per_call_s > 0
    assert "write audio_input" in hot_path.shown(path)
