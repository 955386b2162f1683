"""The benchmark of tool calls runs, and its figures make sense."""

import pytest

from benchmarks import import_time, tool_dispatch
from benchmarks.evi_stand_in import ToolCalled
from benchmarks.service_metrics import Bound
from benchmarks.timed_service import Times
from benchmarks.tool_dispatch import Talked, ToolCallsReport


async def test_tool_calls_are_timed_inside_and_outside_of_the_service() -> None:
    result = await tool_dispatch.measure(3, seconds=1.3, warm_up_s=0.2)

    assert [dispatch.kind for dispatch in result.dispatches] == ["coroutine", "plain function"]
    assert sum(dispatch.called for dispatch in result.dispatches) >= 3
    for dispatch in result.dispatches:
        assert dispatch.unanswered == dispatch.answers_too_many == dispatch.errors == 0
        assert len(dispatch.together_ms) == len(dispatch.answered_after_ms) == dispatch.called
        for together_ms, answered_ms in zip(
            dispatch.together_ms, dispatch.answered_after_ms, strict=True
        ):
            assert 0 < together_ms < answered_ms
    assert result.unasked == 0
    assert result.load.core > 0
    assert "3 calls" in tool_dispatch.shown(result)


def test_only_what_was_called_after_the_warm_up_counts() -> None:
    told = ToolCallsReport(
        {
            "before": ToolCalled("async_tool", 0.9, 0.0),
            "once": ToolCalled("async_tool", 1.0, 0.001, [1.005]),
            "never": ToolCalled("async_tool", 1.5, 0.001),
            "twice": ToolCalled("plain_tool", 2.0, 0.001, [2.004, 2.5], errors=1),
        },
        unasked=2,
    )
    times = {
        "before": Times(0.9, 0.91, 0.92, 0.93),
        "once": Times(1.001, 1.002, 1.003, 1.0045),
        "never": Times(1.5),
    }
    talked = Talked(from_s=1.0, until_s=2.0, core=0.2, others=0.0)

    result = tool_dispatch.result_of(3, talked, told, times, Bound(2.0), 1.0)

    coroutines, functions = result.dispatches
    assert (coroutines.called, coroutines.unanswered, coroutines.answers_too_many) == (2, 1, 0)
    assert coroutines.together_ms == [pytest.approx(2.5)]
    assert coroutines.answered_after_ms == [pytest.approx(5.0)]
    assert (functions.called, functions.answers_too_many, functions.errors) == (1, 1, 1)
    shown = tool_dispatch.shown(result)
    assert "Missed by: coroutine, plain function, answers that nobody asked for." in shown


def test_what_a_file_with_a_tool_costs_is_measured_in_fresh_interpreters() -> None:
    imports = import_time.measure(rounds=1)

    [file_ms], [own_ms] = imports.file_ms, imports.own_ms
    assert 0 < own_ms < file_ms
    assert imports.packages_ms[0] > 0
    assert "pydantic" in imports.packages
    assert imports.mcp_packages == []
    assert "evibridge.tools_registry.mcp.server" in imports.mcp_modules
    assert imports.mcp_ms[0]
    assert "the whole file" in import_time.shown(imports)
    assert import_time.figures(imports)["own_ms"] == own_ms
