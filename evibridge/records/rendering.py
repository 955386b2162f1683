"""The record of a call as text for a terminal."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from evibridge.events import CallKind, Direction
from evibridge.records.document import GivenCommand, Record, ToolUse, Turn, parsed
from evibridge.terminal_text import harmless, heard_of, paragraph

MIN_WIDTH = 40
"""Columns; a narrower terminal breaks the lines itself."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """Something that happened; `at_s` counts from the beginning of the call, None is unknown."""

    at_s: float | None
    who: str
    text: str


def readable(members: Mapping[str, Any], width: int = 80) -> str:
    """Write a record for people: what was said and done in order of time, and its figures.

    What of the agent's words was not heard stands in brackets. Characters that a terminal would
    obey are replaced.

    Args:
        members: of the record, as `Records.load` returns them
        width: of the terminal, in columns

    Raises:
        BadMessage: the members are not those of a record
    """
    record = parsed(members)
    width = max(width, MIN_WIDTH)
    lines = [paragraph("", harmless(text), width) for text in _heading(record)]
    entries = sorted(_entries(record), key=lambda entry: entry.at_s or 0.0)
    lines += ["", *(_entry(entry, width) for entry in entries)] if entries else []
    lines += ["", *(paragraph("", harmless(text), width) for text in _figures(record))]
    return "\n".join(lines) + "\n"


def _entry(entry: _Entry, width: int) -> str:
    at = "" if entry.at_s is None else f"{int(entry.at_s // 60)}:{entry.at_s % 60:04.1f}"
    return paragraph(f"{at:>8}  {entry.who:8}  ", harmless(entry.text), width)


def _heading(record: Record) -> Iterator[str]:
    yield f"Call {record.call_id}"
    yield _parties(record)
    if record.agent is not None:
        yield f"agent: {record.agent}"
    began = datetime.fromisoformat(record.began_at).astimezone(UTC)
    minutes, seconds = divmod(round(record.lasts_s), 60)
    yield f"began {began:%Y-%m-%d %H:%M:%S} UTC, lasted {minutes} min {seconds} s"
    yield _ending(record)
    if record.chat_ids:
        yield f"chats: {', '.join(record.chat_ids)}"
    recording = record.recording
    if recording is not None:
        file = recording.file or "none"
        yield f"recording: {file}, {recording.seconds:.1f} s at {recording.rate_hz} Hz"
        if recording.failure is not None:
            yield f"recording: {recording.failure}"


def _ending(record: Record) -> str:
    words = [f"ended: {record.end_reason.replace('_', ' ')}"]
    if record.transferred_to is not None:
        words.append(f"to {record.transferred_to}")
    if record.ended_by is not None:
        words.append(f"by {record.ended_by}")
    return " ".join(words)


def _parties(record: Record) -> str:
    """What kind of call it was, and between whom, as far as that is known."""
    if record.kind is CallKind.SIDECAR:  # of others' chats that is never known
        return str(record.kind)
    kind = f"{record.kind}, {record.direction}"
    if record.caller is None and record.called is None:
        return kind
    numbers = [record.caller or "unknown", record.called or "unknown"]
    if record.direction is Direction.OUTBOUND:  # whoever speaks with the agent was called
        numbers.reverse()
    return f"{kind}, from {numbers[0]} to {numbers[1]}"


def _entries(record: Record) -> Iterator[_Entry]:
    began = datetime.fromisoformat(record.began_at)
    for turn in record.turns:
        by = "" if turn.by is None else f"{turn.by} said: "
        yield _Entry(turn.at_s, turn.who, f"{by}{_said(turn)}")
    for use in record.tools:
        yield _Entry(use.at_s, "tool", _used(use))
    for command in record.commands:
        at_s = (datetime.fromisoformat(command.at) - began).total_seconds()
        yield _Entry(max(0.0, at_s), "operator", _asked(command))


def _said(turn: Turn) -> str:
    notes = []
    if turn.is_typed:
        notes.append("typed")
    if turn.was_interrupted:
        notes.append("interrupted")
    if turn.response_ms is not None:
        notes.append(f"after {turn.response_ms} ms")
    if turn.scores:
        notes.append(f"{turn.scores[0].name} {turn.scores[0].score:.2f}")
    words = heard_of(turn.text, turn.text_heard) if turn.who == "agent" else turn.text
    text = words or "(no words)"
    return f"{text} ({', '.join(notes)})" if notes else text


def _used(use: ToolUse) -> str:
    arguments = use.arguments
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    took = "" if use.duration_ms is None else f" in {use.duration_ms} ms"
    parts = [f"{use.name} {arguments}: {use.outcome or 'not ended'}{took}"]
    if use.approval is not None:
        parts.append(_decided(use.approval.by, approved=bool(use.approval.approved)))
    if use.content is not None:
        parts.append(f'told "{use.content}"')
    if use.delivered is not None:
        parts.append(f"done later: {use.delivered}")
    return ", ".join(parts)


def _decided(by: str | None, *, approved: bool) -> str:
    if by is None:
        return "nobody decided"
    return f"{'approved' if approved else 'declined'} by {by}"


def _asked(command: GivenCommand) -> str:
    return f"{command.by}: {command.command}" + ("" if command.text is None else f" {command.text}")


def _figures(record: Record) -> Iterator[str]:
    latencies = record.latencies
    if latencies.response_ms:
        yield (
            f"response: p50 {latencies.p50} ms, p95 {latencies.p95} ms, max {latencies.max} ms, "
            f"count {len(latencies.response_ms)}"
        )
    yield (
        f"interruptions: {record.interruptions}, keys pressed: {record.digits}, "
        f"reconnects: chat {record.reconnects.chat}, caller {record.reconnects.caller}"
    )
