"""What operators' streams tell of calls, as lines to be read while it happens.

Messages go in as they come, lines come out; sockets and clocks are unknown here.
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from evibridge.errors import BadMessage
from evibridge.events import EndReason
from evibridge.operators.views import Snapshot
from evibridge.terminal.calls_in_words import ENDS, parties, state_of, time_in_call, took
from evibridge.terminal.calls_pages import ID_COLUMNS, heading, said
from evibridge.terminal.event_words import Event, Words, said_by_caller, said_by_operator, words_of
from evibridge.terminal.live_lines import Line, Tone
from evibridge.terminal.operator_answers import OTHER_VERSION, SNAPSHOT, SUMMARIES, checked
from evibridge.terminal_text import harmless

Message = Mapping[str, Any]


class Course:
    """One call, event by event: remembers what is needed to tell of the next one."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        """Of the agent's utterances that may still be heard."""
        self._cut: list[Event] = []
        """What was not heard to its end; the next event tells whether the agent was interrupted."""
        self._keys = ""
        self._hung_up_by: str | None = None

    def tell(self, event: Event) -> Iterator[Words]:
        """An event in words, and what has become certain by it."""
        kind = event["type"]
        if kind == "agent_heard":
            self._heard(event)
            return
        yield from self._cut_off(is_interrupted=kind == "agent_interrupted")
        match kind:
            case "agent_said":
                self.announced(event["utterance_id"], event["text"])
            case "command_given" if event["command"] == "hangup":
                self._hung_up_by = event["by"]
            case "caller_said":
                yield from _caller_said(event)
            case "operator_said":
                yield from _operator_said(event)
            case "digit_pressed":
                self._keys += event["digit"]
                yield Words("caller", f"enters {self._keys}", Tone.FAINT, is_interim=True)
            case "digits_entered":
                self._keys = ""
                yield Words("caller", "", is_interim=True)
            case "call_ended":
                yield self._ended(EndReason(event["reason"]))
        words = words_of(event)
        if words is not None:
            yield words

    def announced(self, utterance_id: str, text: str) -> None:
        """The agent is about to speak a sentence, or one more of an utterance."""
        before = self._texts.get(utterance_id)
        self._texts[utterance_id] = text if before is None else f"{before} {text}"

    def _heard(self, event: Event) -> None:
        text = self._texts.pop(event["utterance_id"], event["text_heard"])
        is_whole = event["heard_ms"] >= event["sent_ms"] and event["text_heard"] == text
        if not is_whole:
            self._cut.append(event)

    def _cut_off(self, *, is_interrupted: bool) -> Iterator[Words]:
        cut, self._cut = self._cut, []
        if not cut:
            if is_interrupted:
                yield Words("agent", "interrupted")
            return
        heard_ms, sent_ms = (sum(each[name] for each in cut) for name in ("heard_ms", "sent_ms"))
        words = " ".join(each["text_heard"] for each in cut if each["text_heard"])
        parts = ["interrupted" if is_interrupted else "not heard to the end"]
        if heard_ms < sent_ms:
            parts.append(f"heard {took(heard_ms)} of {took(sent_ms)}")
        if words:
            parts.append(f'until "{words}"')
        yield Words("agent", ", ".join(parts))

    def _ended(self, reason: EndReason) -> Words:
        sentence = ENDS[reason]
        if reason is EndReason.OPERATOR_HUNG_UP and self._hung_up_by is not None:
            sentence = f"Hung up by {self._hung_up_by}"
        return Words("call", f"{sentence}.", Tone.BROKEN)


def _caller_said(event: Event) -> Iterator[Words]:
    if event["interim"]:
        yield Words("caller", event["text"], Tone.FAINT, is_interim=True)
    else:
        yield Words("caller", "", is_interim=True)
        yield Words("caller", said_by_caller(event))


def _operator_said(event: Event) -> Iterator[Words]:
    if event["interim"]:
        text = f"{event['by']}: {event['text']}"
        yield Words("operator", text, Tone.FAINT, is_interim=True)
    else:
        yield Words("operator", "", is_interim=True)
        yield Words("operator", said_by_operator(event))


class Watch(ABC):
    """Reads a stream.

    Attributes:
        since: number of the last event that was told; None before the first message
        is_over: whether nothing more will come
    """

    def __init__(self) -> None:
        self.since: int | None = None
        self.is_over = False

    def lines(self, message: Message) -> list[Line]:
        """A message as lines.

        Raises:
            BadMessage: it cannot be read
        """
        try:
            self.since = message.get("seq", self.since)
            match message["type"]:
                case "snapshot":
                    return list(self._snapshot(message))
                case "gap":
                    missed = f"{message['missed']} events were missed."
                    return [Line("", missed, Tone.NEEDED)]
                case _:
                    return list(self._event(message))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise BadMessage(OTHER_VERSION) from None

    @abstractmethod
    def _snapshot(self, message: Message) -> Iterator[Line]:
        """How things stand, at the beginning or after a gap."""

    @abstractmethod
    def _event(self, event: Event) -> Iterator[Line]:
        """Something that has happened."""


class OneCall(Watch):
    """The stream of one call: times count from its beginning."""

    def __init__(self) -> None:
        super().__init__()
        self._course = Course()
        self._began_s = 0.0
        self._told_until_s: float | None = None
        """In the call; None before anything was told."""

    def _snapshot(self, message: Message) -> Iterator[Line]:
        call = checked(SNAPSHOT, message["call"])
        self._began_s = _unix_s(call["began_at"])
        if self._told_until_s is None:
            for text in heading(call):
                yield Line("", harmless(text))
        yield from self._said(call)
        self._told_until_s = _unix_s(message["at"]) - self._began_s
        if call["end_reason"] is not None:
            self.is_over = True
            end = Words("call", f"{ENDS[call['end_reason']]}.", Tone.BROKEN)
            yield _line(_in_call(call["lasts_s"]), end)
        else:
            yield _line(_in_call(call["lasts_s"]), Words("call", f"now: {state_of(call)}"))

    def _said(self, call: Snapshot) -> Iterator[Line]:
        """What has been said that was not told yet."""
        for line in call["lines"]:
            if line["utterance_id"] is not None and not line["is_over"]:
                self._course.announced(line["utterance_id"], line["text"])
            if self._told_until_s is None or line["at_s"] > self._told_until_s:
                tone = Tone.AGENT if line["who"] == "agent" else Tone.PLAIN
                yield _line(_in_call(line["at_s"]), Words(line["who"], said(line), tone))

    def _event(self, event: Event) -> Iterator[Line]:
        at_s = _unix_s(event["at"])
        if event["type"] == "call_began":  # before that it rang
            self._began_s = at_s
        self._told_until_s = at_s - self._began_s
        for words in self._course.tell(event):
            yield _line(_in_call(self._told_until_s), words)
        self.is_over = event["type"] == "call_ended"


class AllCalls(Watch):
    """The stream of all calls: times are UTC."""

    def __init__(self) -> None:
        super().__init__()
        self._courses: defaultdict[str, Course] = defaultdict(Course)

    def _snapshot(self, message: Message) -> Iterator[Line]:
        calls = checked(SUMMARIES, message["calls"])
        yield Line("", f"Calls that go on: {len(calls)}. Times are UTC.")
        for call in calls:
            words = Words("call", f"{state_of(call)}: {parties(call)}")
            yield _line(_among_calls(message["at"], call["call_id"]), words)

    def _event(self, event: Event) -> Iterator[Line]:
        call_id = event["call_id"]
        for words in self._courses[call_id].tell(event):
            if not words.is_interim:  # there is one place for such words, and there are many calls
                yield _line(_among_calls(event["at"], call_id), words)
        if event["type"] == "call_ended":
            del self._courses[call_id]


def _line(place: str, words: Words) -> Line:
    head = f"{place}  {words.who:8}  "
    return Line(head, harmless(words.text), words.tone, words.is_interim)


def _in_call(at_s: float) -> str:
    return f"{time_in_call(at_s):>8}"


def _among_calls(at: str, call_id: str) -> str:
    clock = datetime.fromisoformat(at).strftime("%H:%M:%S")
    return f"{clock}  {harmless(call_id)[:ID_COLUMNS]:{ID_COLUMNS}}"


def _unix_s(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
