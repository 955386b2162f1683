"""The body of a request: how it comes, and whether it is JSON."""

from typing import Any

import orjson
from aiohttp import web

from evibridge.operators.errors import refused, unfit_for
from evibridge.sockets import receive_body

MAX_BODY_BYTES = 64 * 1024
"""A message of the control plane with a long prompt stays far below this."""
BODY_TIMEOUT_S = 5.0
"""For all of it."""
CODES = {400: "body_broken", 408: "body_too_slow", 413: "body_too_large", 415: "not_json"}
"""Of the refusals, by the statuses of those of `receive_body`."""


async def read_body(request: web.Request) -> bytes:
    """Receive a body; one that was not sent is empty.

    Raises:
        RequestRefused: it is not of this kind, too long, too slow, or broken off
    """
    if not request.body_exists:
        return b""
    if request.content_type != "application/json":
        raise refused("not_json")
    try:
        return await receive_body(request, max_bytes=MAX_BODY_BYTES, timeout_s=BODY_TIMEOUT_S)
    except web.HTTPException as refusal:
        raise refused(CODES[refusal.status]) from None


def parsed(body: bytes) -> Any:
    """Read JSON; an empty body is an empty object.

    Raises:
        RequestRefused: it is not JSON
    """
    if not body:
        return {}
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise unfit_for(["body"], f"Invalid JSON: {error}", "json_invalid") from None
