"""The body of a request: how it comes, and whether it is JSON."""

import asyncio
from typing import Any

import orjson
from aiohttp import web

from evibridge.operators.errors import refused, unfit_for

MAX_BODY_BYTES = 64 * 1024
"""A message of the control plane with a long prompt stays far below this."""
BODY_TIMEOUT_S = 5.0
"""For all of it."""


async def read_body(request: web.Request) -> bytes:
    """Receive a body; one that was not sent is empty.

    Raises:
        RequestRefused: it is not of this kind, too long, too slow, or broken off
    """
    if not request.body_exists:
        return b""
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise refused("not_json")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise refused("body_too_large")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    raise refused("body_too_large")
    except TimeoutError:
        raise refused("body_too_slow") from None
    except (web.RequestPayloadError, ConnectionError):
        raise refused("body_broken") from None
    return bytes(body)


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
