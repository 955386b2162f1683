"""What an engine counts and times, for Prometheus.

Every label value is one of a closed set and every series exists from the start: rates and alerts
work before the first event, nothing that a caller says can become a label, and counting costs a
microsecond.
"""

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from evibridge.engine.chat.tool_calls import ToolEnd
from evibridge.engine.webhooks.delivery import WebhookEnd
from evibridge.engine.webhooks.events import EVENT_NAMES, EventName
from evibridge.engine.workers import Workers

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""Of the page; every version of Prometheus reads it."""
ANSWER_BUCKETS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0)
"""Fine where a conversation feels fluent, up to where a caller gives up."""
WORK_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 4.0, 10.0)
"""From an idle model in this process to the time limit of a remote one."""

ENDS = (
    "client_left",
    "hang_up",
    "inactivity_timeout",
    "max_duration_timeout",
    "chat_group_not_found",
    "transcription_failure",
    "repeated_errors",
    "reader_too_slow",
    "engine_closed",
    "internal_error",
)
"""Why a chat ended."""
ModelPart = Literal["ears", "mind", "voice"]
QueuedPart = Literal["ears", "voice"]
"""Parts whose work waits for a thread of this process."""
ERROR_CODES = ("E0100", "E0101", "E0708", "E0712", "E0714", "E0715", "E0723", "I0100", "I0116")
REFUSAL_STATUSES = (401, 429, 503)
MIRROR_ENDS = ("mirror_left", "chat_ended", "reader_too_slow", "repeated_errors")
"""Why a mirror of a chat was closed."""
MIRROR_REFUSAL_STATUSES = (401, 403, 404, 429)
SEND_STATUSES = (200, 400, 401, 404, 408, 413, 415, 422, 429)
"""How messages to a chat by HTTP are answered."""
OTHER = "other"
"""The label of an end, a code or a status that is in none of these lists."""


class EngineMetrics:
    """The counters of one engine; engines of one process share nothing.

    The methods name the facts; any thread may call them.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._chats = self._gauge("chats", "Chats that are open now.")
        self._chats_ended = self._counters(
            "chats_ended", "Chats that have ended, by reason.", "reason", (*ENDS, OTHER)
        )
        self._turns = self._counter("turns", "Turns of callers that the agent set out to answer.")
        self._answer = self._histogram(
            "answer_seconds",
            "From the end of a caller's turn to the first audio of its answer.",
            ANSWER_BUCKETS_S,
        )
        self._recognition = self._histogram(
            "recognition_seconds",
            "From the end of a stretch of speech to its transcript, waiting included.",
            WORK_BUCKETS_S,
        )
        self._first_words = self._histogram(
            "mind_first_words_seconds",
            "From asking the mind to its first words or tool call.",
            WORK_BUCKETS_S,
        )
        self._first_chunk = self._histogram(
            "synthesis_first_chunk_seconds",
            "From asking the voice for a sentence to its first audio, waiting included.",
            WORK_BUCKETS_S,
        )
        self._interruptions = self._counter(
            "interruptions", "Times that a caller broke off the agent."
        )
        self._errors = self._counters(
            "errors_sent",
            "Errors told to clients, by EVI's code.",
            "code",
            (*ERROR_CODES, OTHER),
        )
        self._tool_calls = self._counters(
            "tool_calls", "Tool calls that are over, by outcome.", "outcome", get_args(ToolEnd)
        )
        statuses = (*map(str, REFUSAL_STATUSES), OTHER)
        self._refused = self._counters(
            "handshakes_refused", "Chats that were not opened, by HTTP status.", "status", statuses
        )
        self._add_control_plane()
        self._overloads = self._counters(
            "overloads", "Work that a full queue refused, by part.", "part", get_args(ModelPart)
        )
        self._add_webhooks()
        self._add_queues()

    def page(self) -> bytes:
        """Render everything in Prometheus' text format, whose type is `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def chat_started(self) -> None:
        """A chat is open."""
        self._chats.inc()

    def chat_ended(self, why: str) -> None:
        """A chat that had started is over; `why` is one of `ENDS`."""
        self._chats.dec()
        self._chats_ended.get(why, self._chats_ended[OTHER]).inc()

    def turn_ended(self) -> None:
        """A caller's turn is over, and the agent sets out to answer."""
        self._turns.inc()

    def turn_answered(self, after_s: float) -> None:
        """The first audio of an answer is sent, so long after the end of the caller's turn."""
        self._answer.observe(after_s)

    def speech_recognised(self, after_s: float) -> None:
        """The transcript of a stretch of speech is there, so long after it was asked for."""
        self._recognition.observe(after_s)

    def mind_began(self, after_s: float) -> None:
        """The first words or tool call of a reply are there, so long after it was asked for."""
        self._first_words.observe(after_s)

    def voice_began(self, after_s: float) -> None:
        """The first audio of a sentence is there, so long after it was asked for."""
        self._first_chunk.observe(after_s)

    def interrupted(self) -> None:
        """The caller has broken off what the agent was saying."""
        self._interruptions.inc()

    def error_sent(self, code: str) -> None:
        """A client was told an error."""
        self._errors.get(code, self._errors[OTHER]).inc()

    def tool_call_ended(self, outcome: ToolEnd) -> None:
        """A tool call got its answer, or never will."""
        self._tool_calls[outcome].inc()

    def handshake_refused(self, status: int) -> None:
        """A client asked for a chat in vain."""
        self._refused.get(str(status), self._refused[OTHER]).inc()

    def message_sent(self, status: int) -> None:
        """A message to a chat has come by HTTP, and was answered with this status."""
        self._sent.get(str(status), self._sent[OTHER]).inc()

    def mirror_opened(self) -> None:
        """Somebody watches a chat."""
        self._mirrors.inc()

    def mirror_closed(self, why: str) -> None:
        """A mirror that was open is gone; `why` is one of `MIRROR_ENDS`."""
        self._mirrors.dec()
        self._mirrors_closed.get(why, self._mirrors_closed[OTHER]).inc()

    def mirror_refused(self, status: int) -> None:
        """Somebody asked for a mirror in vain."""
        self._mirrors_refused.get(str(status), self._mirrors_refused[OTHER]).inc()

    def overloaded(self, part: ModelPart) -> None:
        """A part had too much to do already to take more."""
        self._overloads[part].inc()

    def webhook_ended(self, event: EventName, outcome: WebhookEnd) -> None:
        """A webhook was told an event, or never will be."""
        self._webhooks[event, outcome].inc()

    def watch(self, part: QueuedPart, workers: Workers) -> None:
        """Show how busy the threads of a part are, and time what they do from now on."""
        waited, worked = self._waited[part], self._worked[part]

        def on_done(waited_s: float, worked_s: float) -> None:
            waited.observe(waited_s)
            worked.observe(worked_s)

        workers.on_done = on_done
        self._queue_waiting[part].set_function(lambda: workers.waiting)
        self._queue_busy[part].set_function(lambda: workers.busy)

    def _add_control_plane(self) -> None:
        self._mirrors = self._gauge("mirrors", "Mirrors of chats that are open now.")
        self._mirrors_closed = self._counters(
            "mirrors_closed",
            "Mirrors that were closed, by reason.",
            "reason",
            (*MIRROR_ENDS, OTHER),
        )
        self._mirrors_refused = self._counters(
            "mirrors_refused",
            "Mirrors that were not opened, by HTTP status.",
            "status",
            (*map(str, MIRROR_REFUSAL_STATUSES), OTHER),
        )
        self._sent = self._counters(
            "control_plane_messages",
            "Messages to chats by HTTP, by the status of the answer.",
            "status",
            (*map(str, SEND_STATUSES), OTHER),
        )

    def _add_webhooks(self) -> None:
        webhooks = self._counter(
            "webhooks", "Webhooks delivered or given up, by event.", "event", "outcome"
        )
        self._webhooks = {
            (event, outcome): webhooks.labels(event, outcome)
            for event in EVENT_NAMES
            for outcome in get_args(WebhookEnd)
        }

    def _add_queues(self) -> None:
        names = get_args(QueuedPart)
        waiting = self._gauge("queue_waiting", "Pieces of work that wait now, by part.", "part")
        busy = self._gauge("queue_busy", "Threads that work now, by part.", "part")
        waited = self._histogram(
            "queue_wait_seconds", "How long work waited, by part.", WORK_BUCKETS_S, "part"
        )
        worked = self._histogram(
            "queue_work_seconds", "How long work took, by part.", WORK_BUCKETS_S, "part"
        )
        self._queue_waiting = {name: waiting.labels(name) for name in names}
        self._queue_busy = {name: busy.labels(name) for name in names}
        self._waited = {name: waited.labels(name) for name in names}
        self._worked = {name: worked.labels(name) for name in names}

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"evibridge_engine_{name}", meaning, labels, registry=self._registry)

    def _counters(
        self, name: str, meaning: str, label: str, values: tuple[str, ...]
    ) -> dict[str, Counter]:
        counter = self._counter(name, meaning, label)
        return {value: counter.labels(value) for value in values}

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"evibridge_engine_{name}", meaning, labels, registry=self._registry)

    def _histogram(
        self, name: str, meaning: str, buckets_s: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"evibridge_engine_{name}", meaning, labels, buckets=buckets_s, registry=self._registry
        )
