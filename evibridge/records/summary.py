"""An ended call in a list of calls: what is told of it, and by which words it is found."""

import re
import unicodedata
from datetime import datetime
from typing import Any

from evibridge.records.document import Outline
from evibridge.records.voices import agents_voice, callers_voice

MAX_WORD = 64
"""Characters of a word that count; nothing that is said is longer."""

_WORD = re.compile(r"[^\W_]+")
_ACCENTS = re.compile("[\u0300-\u036f]+")


def summary(record: Outline) -> dict[str, Any]:
    """Return the members that lists of calls have of an ended call, as of a live one."""
    last = record.turns[-1] if record.turns else None
    waited = record.latencies.response_ms
    return {
        "call_id": record.call_id,
        "kind": record.kind.value,
        "direction": record.direction.value,
        "state": "ended",
        "began_at": record.began_at,
        "lasts_s": record.lasts_s,
        "agent": record.agent,
        "caller": record.caller,
        "called": record.called,
        "chat_id": record.chat_id,
        "chat_group_id": record.chat_group_id,
        "paused_by": None,
        "held_by": None,
        "taken_over_by": None,
        "approvals": [],
        "last_line": None if last is None else {"who": last.who, "text": last.text},
        "expression": _expression(record),
        "response_ms": waited[-1] if waited else None,
        "end_reason": record.end_reason.value,
        "tool": None,
        "ended": ended(record),
    }


def ended(record: Outline) -> dict[str, Any]:
    """Return what is told of a call only once it is over, beside the end reason."""
    turns, lasts_s = record.turns, record.lasts_s
    return {
        "at": record.ended_at,
        "by": record.ended_by,
        "transferred_to": record.transferred_to,
        "turns": len(turns),
        "interruptions": record.interruptions,
        "tools": len(record.tools),
        "response_p50_ms": record.latencies.p50,
        "response_p95_ms": record.latencies.p95,
        "is_recorded": is_recorded(record),
        "voices": {
            "caller": callers_voice(turns, lasts_s),
            "agent": agents_voice(turns, lasts_s),
        },
    }


def is_recorded(record: Outline) -> bool:
    """Whether there is a recording, if only of a part of the call."""
    return record.recording is not None and record.recording.file is not None


def _expression(record: Outline) -> dict[str, Any] | None:
    """How the caller sounded most, when he was last heard."""
    scores = next((turn.scores for turn in reversed(record.turns) if turn.scores), None)
    return None if scores is None else {"name": scores[0].name, "score": scores[0].score}


def began_ms(record: Outline) -> int:
    """When the call began, in Unix milliseconds."""
    return round(datetime.fromisoformat(record.began_at).timestamp() * 1000)


def words(text: str) -> list[str]:
    """Return the words of a text as they are compared: letters and digits without accents."""
    plain = text if text.isascii() else _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    return [word[:MAX_WORD] for word in _WORD.findall(plain.casefold())]


def words_of(record: Outline) -> list[str]:
    """Return the words by which a call is found."""
    texts = (
        record.call_id,
        record.end_reason.value,
        record.caller or "",
        record.called or "",
        *(turn.text for turn in record.turns),
        *(use.name for use in record.tools),
    )
    return [word for text in texts for word in words(text)]
