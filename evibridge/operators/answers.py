"""What the operator API answers, as plain values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

NEVER_STORED = {"Cache-Control": "no-store"}
"""Goes with every answer: they hold personal data."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response with a JSON document."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        """The same in the words of aiohttp; good for one request."""
        return web.Response(
            status=self.status,
            body=self.body,
            content_type="application/json",
            headers={**NEVER_STORED, **self.headers},
        )


def answer(status: int, document: Any) -> Answer:
    """Answer with a document that is still to be written as JSON."""
    try:
        return Answer(status, orjson.dumps(document))
    except orjson.JSONEncodeError:  # half a surrogate pair, which no encoding has a form for
        return Answer(status, json.dumps(document, ensure_ascii=False).encode(errors="replace"))
