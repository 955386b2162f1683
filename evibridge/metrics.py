"""What a service counts and times, for Prometheus.

As in the engine, every label value is one of a closed set and every series exists from the start:
nothing that a caller, a model or a tool says can become a label.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from evibridge import events
from evibridge.agent.calls import Calls
from evibridge.agent.tool_desk import MAX_OPEN_TOOLS
from evibridge.events import CallerRefusal, CallEvent, ChatOpening, EndReason

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""Of the page; every version of Prometheus reads it."""
CALL_BUCKETS_S = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
"""From a caller who hangs up at once to well beyond the longest call of the default settings."""
TOOL_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""From a look into memory to far beyond the default deadline, which is 8 s."""
LAG_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Timers are up to 1 ms late on an idle event loop too; a frame of audio is 20 ms."""
GC_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)

TOOL_FAILURES = (
    "unknown_tool",
    "bad_arguments",
    "busy",
    "not_approved",
    "declined",
    "timeout",
    "failed",
    "bad_result",
    "result_too_large",
    "unavailable",
    "mcp_error",
    "tool_error",
)
"""Codes of `tools_registry/runner.py`, of MCP servers' errors, and of a `ToolError` whose author
chose none."""
OTHER = "other"
"""The label of a code that a tool's author chose."""
TOOL_OUTCOMES = ("answered", "superseded", "cancelled", *TOOL_FAILURES, OTHER)


class ServiceMetrics:
    """The counters of one service; services of one process share nothing.

    The methods name the facts and are called on the event loop; an event costs about a microsecond.

    Args:
        calls: is asked how many calls there are whenever the page is read
        clock: monotonic seconds
    """

    def __init__(self, calls: Calls, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = CollectorRegistry()
        # Most that begins also ends; twice as much is kept for what a defect leaves open.
        self._calls_began = _Stopwatches(2 * calls.max_calls, clock)
        self._tools_began = _Stopwatches(2 * MAX_OPEN_TOOLS * calls.max_calls, clock)
        self._add_calls(calls)
        self._add_tools()
        self._add_process()
        self._told = self._plain_counters() | {
            events.CallBegan: self._call_began,
            events.CallEnded: self._call_ended,
            events.ChatOpened: self._chat_opened,
            events.CallerSaid: self._caller_said,
            events.AgentHeard: self._agent_heard,
            events.ToolStarted: self._tool_started,
            events.ToolFinished: self._tool_finished,
            events.ToolDelivered: self._tool_delivered,
        }

    def page(self) -> bytes:
        """Render everything in Prometheus' text format, whose type is `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def call_event(self, call_id: str, event: CallEvent) -> None:
        """Something has happened in a call; events that nobody counts are passed over."""
        told = self._told.get(type(event))
        if told is not None:
            told(call_id, event)

    def caller_refused(self, why: CallerRefusal) -> None:
        """A caller was not let in."""
        self._refused[why].inc()

    def event_loop_was_late(self, lag_s: float) -> None:
        """A timer of the event loop ran so long after its time."""
        self._lag.observe(lag_s)

    def garbage_was_collected(self, pause_s: float) -> None:
        """A garbage collection has held up every thread for so long."""
        self._gc_pause.observe(pause_s)

    # Events

    def _call_began(self, call_id: str, _: events.CallBegan) -> None:
        self._calls_began.start(call_id)

    def _call_ended(self, call_id: str, event: events.CallEnded) -> None:
        self._ended[event.reason].inc()
        lasted_s = self._calls_began.stop(call_id)
        if lasted_s is not None:
            self._call_seconds.observe(lasted_s)

    def _chat_opened(self, _: str, event: events.ChatOpened) -> None:
        self._chats[event.why].inc()

    def _caller_said(self, _: str, event: events.CallerSaid) -> None:
        if not event.interim:
            self._turns.inc()

    def _agent_heard(self, _: str, event: events.AgentHeard) -> None:
        self._sent.inc(event.sent_ms / 1000)
        self._heard.inc(event.heard_ms / 1000)

    def _tool_started(self, call_id: str, event: events.ToolStarted) -> None:
        self._tools_began.start((call_id, event.tool_call_id))

    def _tool_finished(self, call_id: str, event: events.ToolFinished) -> None:
        self._tools.get(event.outcome, self._tools[OTHER]).inc()
        took_s = self._tools_began.stop((call_id, event.tool_call_id))
        if took_s is not None:
            self._tool_seconds.observe(took_s)

    def _tool_delivered(self, _: str, event: events.ToolDelivered) -> None:
        self._deliveries.get(event.outcome, self._deliveries[OTHER]).inc()

    # Series

    def _add_calls(self, calls: Calls) -> None:
        self._gauge("calls", "Calls that go on now.", lambda: calls.live)
        self._gauge("calls_max", "Calls that may go on at a time.", lambda: calls.max_calls)
        self._refused = self._counters(
            "callers_refused", "Callers who heard the busy tone, by reason.", "why", CallerRefusal
        )
        self._ended = self._counters(
            "calls_ended", "Calls that have ended, by reason.", "reason", EndReason
        )
        self._call_seconds = self._histogram(
            "call_seconds", "From the beginning of a call to its end.", CALL_BUCKETS_S
        )
        self._chats = self._counters(
            "chats_opened", "Chats that the EVI server has opened, by reason.", "why", ChatOpening
        )
        self._turns = self._counter("caller_turns", "Utterances of callers, as understood.")
        self._sent = self._counter(
            "agent_audio_sent_seconds", "Voice of agents that was sent to carriers."
        )
        self._heard = self._counter(
            "agent_audio_heard_seconds", "Voice of agents that has reached callers."
        )

    def _add_tools(self) -> None:
        self._tools = self._counters(
            "tool_calls", "Tool calls that are over, by outcome.", "outcome", TOOL_OUTCOMES
        )
        self._deliveries = self._counters(
            "tool_deliveries",
            "Tools that went on after their answer and are done, by outcome.",
            "outcome",
            TOOL_OUTCOMES,
        )
        self._tool_seconds = self._histogram(
            "tool_seconds", "From the start of a tool call to its end.", TOOL_BUCKETS_S
        )

    def _add_process(self) -> None:
        ProcessCollector(registry=self._registry)
        self._lag = self._histogram(
            "event_loop_lag_seconds",
            "How late a timer ran, of the ten that are due in a second.",
            LAG_BUCKETS_S,
        )
        self._gc_pause = self._histogram(
            "gc_pause_seconds", "How long a garbage collection took.", GC_BUCKETS_S
        )

    def _plain_counters(self) -> dict[type, Callable[[str, Any], None]]:
        """What to do with events that are only counted."""
        return {
            kind: _counting(self._counter(name, meaning))
            for kind, (name, meaning) in _PLAIN_COUNTERS.items()
        }

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"evibridge_{name}", meaning, labels, registry=self._registry)

    def _counters(
        self, name: str, meaning: str, label: str, values: Iterable[str]
    ) -> dict[str, Counter]:
        counter = self._counter(name, meaning, label)
        return {value: counter.labels(value) for value in values}

    def _gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        gauge = Gauge(f"evibridge_{name}", meaning, registry=self._registry)
        gauge.set_function(read)

    def _histogram(self, name: str, meaning: str, buckets_s: tuple[float, ...]) -> Histogram:
        return Histogram(f"evibridge_{name}", meaning, buckets=buckets_s, registry=self._registry)


_PLAIN_COUNTERS: Mapping[type, tuple[str, str]] = {
    events.ChatLost: ("chats_lost", "Chats that were lost in the middle of a call."),
    events.CallerLost: ("callers_lost", "Phone lines that broke in the middle of a call."),
    events.CallerReturned: ("callers_returned", "Callers who came back on another line."),
    events.AgentSaid: ("agent_sentences", "Sentences that agents set out to speak."),
    events.AgentInterrupted: ("interruptions", "Times that the voice of an agent was cut off."),
    events.FillerPlayed: ("fillers", "Times that a caller was told to wait for the EVI server."),
    events.ServerReportedError: ("server_errors", "Errors that EVI servers reported."),
}


def _counting(counter: Counter) -> Callable[[str, Any], None]:
    inc = counter.inc
    return lambda _call_id, _event: inc()


class _Stopwatches:
    """Times what has begun and not ended; beyond `limit`, the oldest are forgotten."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._began_s: dict[Hashable, float] = {}

    def start(self, key: Hashable) -> None:
        self._began_s.pop(key, None)
        if len(self._began_s) >= self._limit:
            del self._began_s[next(iter(self._began_s))]
        self._began_s[key] = self._clock()

    def stop(self, key: Hashable) -> float | None:
        """Seconds since the start, None if that was forgotten."""
        began_s = self._began_s.pop(key, None)
        return None if began_s is None else self._clock() - began_s
