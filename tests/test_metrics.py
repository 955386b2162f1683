import re
import sys

import pytest

from evibridge import events
from evibridge.agent.calls import Calls
from evibridge.errors import ToolError
from evibridge.events import CallerRefusal, CallEvent, ChatOpening, EndReason
from evibridge.metrics import OTHER, TOOL_FAILURES, TOOL_OUTCOMES, ServiceMetrics
from evibridge.tools_registry import runner
from evibridge.tools_registry.mcp.results import MCP_ERROR
from tests.metrics_page import Page, read_page

CALL = "CA1"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> ServiceMetrics:
    return ServiceMetrics(Calls(max_calls=2), clock)


def page_of(metrics: ServiceMetrics) -> Page:
    return read_page(metrics.page().decode(), prefix="evibridge_")


def changed(metrics: ServiceMetrics, before: Page) -> Page:
    """What is no longer as it was, without what the process does by itself."""
    return {
        name: value - before[name]
        for name, value in page_of(metrics).items()
        if value != before[name] and not name.startswith("process_")
    }


def test_every_series_is_there_before_anything_has_happened(metrics: ServiceMetrics) -> None:
    page = page_of(metrics)

    assert page["calls_max"] == 2
    for reason in EndReason:
        assert page[f'calls_ended_total{{reason="{reason}"}}'] == 0
    for why in ChatOpening:
        assert page[f'chats_opened_total{{why="{why}"}}'] == 0
    for refusal in CallerRefusal:
        assert page[f'callers_refused_total{{why="{refusal}"}}'] == 0
    for outcome in TOOL_OUTCOMES:
        assert page[f'tool_calls_total{{outcome="{outcome}"}}'] == 0
    not_zero = {name for name, value in page.items() if value and "_created" not in name}
    assert {name for name in not_zero if not name.startswith("process_")} == {"calls_max"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_the_process_is_on_the_page(metrics: ServiceMetrics) -> None:
    page = page_of(metrics)

    assert page["process_resident_memory_bytes"] > 0
    assert page["process_cpu_seconds_total"] > 0


@pytest.mark.parametrize(
    ("event", "series"),
    [
        (events.ChatOpened("c", "g"), 'chats_opened_total{why="first"}'),
        (events.ChatOpened("c", "g", ChatOpening.AFRESH), 'chats_opened_total{why="afresh"}'),
        (events.ChatLost(1006, None), "chats_lost_total"),
        (events.CallerLost(), "callers_lost_total"),
        (events.CallerReturned(), "callers_returned_total"),
        (events.CallerSaid("Hello.", interim=False, typed=False), "caller_turns_total"),
        (events.AgentSaid("u", "Good day."), "agent_sentences_total"),
        (events.AgentInterrupted(), "interruptions_total"),
        (events.FillerPlayed(), "fillers_total"),
        (events.ServerReportedError("E0101", "a_slug", "A sentence."), "server_errors_total"),
        (events.CallEnded(EndReason.EVI_LOST), 'calls_ended_total{reason="evi_lost"}'),
    ],
)
def test_an_event_is_counted_once(metrics: ServiceMetrics, event: CallEvent, series: str) -> None:
    before = page_of(metrics)
    metrics.call_event(CALL, event)

    assert changed(metrics, before) == {series: 1}


@pytest.mark.parametrize(
    "event",
    [
        events.CallBegan(),
        events.CallerSaid("Hel", interim=True, typed=False),
        events.DigitPressed("1"),
        events.DigitsEntered("12"),
        events.HangUpDecided(EndReason.AGENT_HUNG_UP),
        events.AgentPaused(),
        events.ToolStarted("t", "order_status", "{}"),
    ],
)
def test_other_events_are_not_counted(metrics: ServiceMetrics, event: CallEvent) -> None:
    before = page_of(metrics)
    metrics.call_event(CALL, event)

    assert changed(metrics, before) == {}


def test_what_was_sent_and_what_was_heard_are_seconds(metrics: ServiceMetrics) -> None:
    metrics.call_event(CALL, events.AgentHeard("u", 2500, 1250, "Good day."))
    metrics.call_event(CALL, events.AgentHeard("v", 500, 0, ""))

    page = page_of(metrics)

    assert page["agent_audio_sent_seconds_total"] == 3.0
    assert page["agent_audio_heard_seconds_total"] == 1.25


def test_a_call_is_timed_from_its_first_event_to_its_last(
    metrics: ServiceMetrics, clock: Clock
) -> None:
    metrics.call_event(CALL, events.CallBegan())
    clock.now_s += 20
    metrics.call_event("CA2", events.CallBegan())
    clock.now_s += 40
    metrics.call_event(CALL, events.CallEnded(EndReason.CALLER_HUNG_UP))

    page = page_of(metrics)

    assert page["call_seconds_count"] == 1
    assert page["call_seconds_sum"] == 60
    assert page['call_seconds_bucket{le="30.0"}'] == 0
    assert page['call_seconds_bucket{le="60.0"}'] == 1


def test_a_tool_is_timed_in_its_call(metrics: ServiceMetrics, clock: Clock) -> None:
    for call_id, seconds in (("CA1", 1.5), ("CA2", 0.5)):
        metrics.call_event(call_id, events.ToolStarted("same", "order_status", "{}"))
        clock.now_s += seconds
    metrics.call_event("CA1", events.ToolFinished("same", "order_status", "answered"))
    metrics.call_event("CA2", events.ToolFinished("same", "order_status", "timeout"))

    page = page_of(metrics)

    assert page['tool_calls_total{outcome="answered"}'] == 1
    assert page['tool_calls_total{outcome="timeout"}'] == 1
    assert page['tool_seconds_bucket{le="0.5"}'] == 1
    assert page['tool_seconds_bucket{le="2.0"}'] == 2
    assert page["tool_seconds_sum"] == 2.5


def test_the_code_that_a_tools_author_chose_is_no_label(metrics: ServiceMetrics) -> None:
    metrics.call_event(CALL, events.ToolFinished("t", "pay", "card_4711_declined"))

    page = page_of(metrics)

    assert page[f'tool_calls_total{{outcome="{OTHER}"}}'] == 1
    assert not [name for name in page if "4711" in name]


def test_the_codes_of_failures_are_those_of_the_runner() -> None:
    codes, _, chosen_by_authors = (runner.__doc__ or "").partition("and those that tools choose")

    assert chosen_by_authors
    of_runner = re.findall("`([a-z_]+)`", codes)
    assert (*of_runner, MCP_ERROR, ToolError("No.").code) == TOOL_FAILURES


def test_what_never_ends_is_forgotten_at_last(metrics: ServiceMetrics, clock: Clock) -> None:
    for number in range(5):  # twice the two calls that may go on, and one
        metrics.call_event(f"CA{number}", events.CallBegan())
    clock.now_s += 1
    for number in range(5):
        metrics.call_event(f"CA{number}", events.CallEnded(EndReason.FAULT))

    page = page_of(metrics)

    assert page['calls_ended_total{reason="fault"}'] == 5
    assert page["call_seconds_count"] == 4


def test_what_begins_twice_makes_nothing_else_forgotten(
    metrics: ServiceMetrics, clock: Clock
) -> None:
    for number in range(4):  # as many as are kept
        metrics.call_event(f"CA{number}", events.CallBegan())
    metrics.call_event("CA3", events.CallBegan())
    clock.now_s += 1
    for number in range(4):
        metrics.call_event(f"CA{number}", events.CallEnded(EndReason.FAULT))

    assert page_of(metrics)["call_seconds_count"] == 4


@pytest.mark.parametrize("why", CallerRefusal)
def test_refused_callers_are_counted_by_the_reason(
    metrics: ServiceMetrics, why: CallerRefusal
) -> None:
    metrics.caller_refused(why)

    assert page_of(metrics)[f'callers_refused_total{{why="{why}"}}'] == 1


def test_lags_and_pauses_fall_into_buckets(metrics: ServiceMetrics) -> None:
    metrics.event_loop_was_late(0.03)
    metrics.garbage_was_collected(0.003)

    page = page_of(metrics)

    assert page['event_loop_lag_seconds_bucket{le="0.02"}'] == 0
    assert page['event_loop_lag_seconds_bucket{le="0.05"}'] == 1
    assert page['gc_pause_seconds_bucket{le="0.002"}'] == 0
    assert page['gc_pause_seconds_bucket{le="0.005"}'] == 1


def test_services_count_for_themselves() -> None:
    one, other = ServiceMetrics(Calls(max_calls=1)), ServiceMetrics(Calls(max_calls=1))
    one.call_event(CALL, events.CallerLost())

    assert page_of(other)["callers_lost_total"] == 0
