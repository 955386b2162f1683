"""The body of an HTTP request, as strangers may send it."""

import asyncio

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError


async def receive_body(request: web.Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """Receive a body as it is, not unpacked and not decoded.

    aiohttp's own ways to read one inflate it, or decode it by whatever codec the request names,
    some of which take a second for 64 KiB.

    Args:
        request: nothing of its body has been read
        max_bytes: of the body
        timeout_s: for all of it

    Raises:
        web.HTTPUnsupportedMediaType: it has a `Content-Encoding`
        web.HTTPRequestEntityTooLarge: it is too long, or is announced to be
        web.HTTPRequestTimeout: it did not come in time
        web.HTTPBadRequest: it is broken, or broken off
    """
    encodings = request.headers.getall("Content-Encoding", [])
    if any(encoding.strip().lower() != "identity" for encoding in encodings):
        raise web.HTTPUnsupportedMediaType(text="Send the body without a Content-Encoding.")
    announced = request.content_length or 0
    if announced > max_bytes:
        raise web.HTTPRequestEntityTooLarge(max_bytes, announced)
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > max_bytes:
                    raise web.HTTPRequestEntityTooLarge(max_bytes, len(body))
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="The body did not come in time.") from None
    except (web.RequestPayloadError, HttpProcessingError, OSError):
        raise web.HTTPBadRequest(text="The body did not come as it was announced.") from None
    return bytes(body)
