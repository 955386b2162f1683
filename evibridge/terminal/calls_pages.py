"""Calls as text for a terminal: a table of many, and all that is known of one that goes on."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from evibridge.operators.views import Said, Snapshot, Summary
from evibridge.terminal.calls_in_words import (
    ENDS,
    length,
    parties,
    state_of,
    time_in_call,
)
from evibridge.terminal_text import beginning, columns, harmless, heard_of, paragraph

ID_COLUMNS = 10
"""Of an id: enough for those of calls to differ, and to be typed instead of all of it."""
MIN_WORDS = 20
"""Columns for the last words; a narrower terminal breaks the lines itself."""
HEADINGS = ("state", "id", "caller", "began UTC", "length", "response", "last words")


def table(calls: Sequence[Summary], width: int | None, now: datetime) -> str:
    """Calls, one a line.

    Args:
        calls: in the order in which they are to stand
        width: of the terminal, in columns; None shows all of the last words
        now: the time of day is told of calls that began within a day
    """
    ids = _short([call["call_id"] for call in calls])
    rows = [
        HEADINGS,
        *(_row(call, call_id, now) for call, call_id in zip(calls, ids, strict=True)),
    ]
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)][:-1]
    room = None if width is None else max(width - sum(widths) - 2 * len(widths), MIN_WORDS)
    return "".join(f"{_in_columns(row, widths, room)}\n" for row in rows)


def _row(call: Summary, call_id: str, now: datetime) -> tuple[str, ...]:
    began = datetime.fromisoformat(call["began_at"]).astimezone(UTC)
    response_ms = call["response_ms"]
    cells = (
        state_of(call),
        call_id,
        call["caller"] or "unknown",
        f"{began:%H:%M}" if now - began < timedelta(days=1) else f"{began:%Y-%m-%d}",
        length(call["lasts_s"]),
        "" if response_ms is None else f"{response_ms / 1000:.2f} s",
        "; ".join(_last(call)),
    )
    return tuple(map(harmless, cells))


def _last(call: Summary) -> Iterator[str]:
    """Why it ended, and what was said last."""
    if call["end_reason"] is not None:
        yield ENDS[call["end_reason"]]
    if call["last_line"] is not None:
        yield f"{call['last_line']['who']}: {call['last_line']['text']}"


def _short(ids: Sequence[str]) -> list[str]:
    """The beginnings of ids, as long as they have to be in order to differ."""
    longest = max(map(len, ids), default=0)
    count = len(set(ids))
    enough = (n for n in range(ID_COLUMNS, longest) if len({each[:n] for each in ids}) == count)
    shown = next(enough, longest)
    return [each[:shown] for each in ids]


def _in_columns(row: Sequence[str], widths: Sequence[int], room: int | None) -> str:
    *cells, last = row
    padded = (cell + " " * (wide - columns(cell)) for cell, wide in zip(cells, widths, strict=True))
    return "  ".join((*padded, last if room is None else beginning(last, room))).rstrip()


def page(call: Snapshot, width: int) -> str:
    """A call that goes on, or of which there is no record.

    Args:
        call: as it is now
        width: of the terminal, in columns
    """
    lines = [paragraph("", harmless(text), width) for text in heading(call)]
    if call["lines"]:
        lines.append("")
    for line in call["lines"]:
        head = f"{time_in_call(line['at_s']):>8}  {line['who']:8}  "
        lines.append(paragraph(head, harmless(said(line)), width))
    lines += ["", *(paragraph("", harmless(text), width) for text in _now(call))]
    return "\n".join(lines) + "\n"


def heading(call: Snapshot) -> Iterator[str]:
    """What a call is."""
    yield f"Call {call['call_id']}"
    yield parties(call)
    began = datetime.fromisoformat(call["began_at"]).astimezone(UTC)
    so_far = "so far" if call["end_reason"] is None else "in all"
    yield f"began {began:%Y-%m-%d %H:%M:%S} UTC, {length(call['lasts_s'])} {so_far}"
    if call["chat_id"]:
        yield f"chat: {call['chat_id']}"


def said(line: Said) -> str:
    """What was said, and what of it was heard, once that is known; operators have names."""
    if line["by"] is not None:
        return f"{line['by']}: {line['text'] or '(no words)'}"
    if line["who"] == "caller" or not line["is_over"]:
        return line["text"] or "(no words)"
    return heard_of(line["text"], line["text_heard"]) or "(no words)"


def _now(call: Snapshot) -> Iterator[str]:
    end = call["end_reason"]
    yield f"now: {state_of(call)}" if end is None else f"{ENDS[end]}."
    if call["open_tools"]:
        yield f"tools that run: {', '.join(call['open_tools'])}"
    for each in call["approvals"]:
        yield (
            f"needs approval within {each['expires_in_s']:.0f} s: {each['name']} "
            f"{each['parameters']}, id {each['tool_call_id']}"
        )
    if call["digits"]:
        yield f"keys pressed: {call['digits']}"
    if call["response_ms"] is not None:
        yield f"last response: {call['response_ms']} ms"
