"""How a stand-in speech service behaves, by the name of the model that it is asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from aiohttp import web
from hibari import Hibari

from evibridge.audio.wav import wav_file
from evibridge.engine.hearing.ears import WhisperEars
from tests.engine.chat_parts import tone

RATE_HZ = 24_000
VOICES = ("alloy", "nova")
HEARD = " Where is my order? "


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        pcm16: what is to be recognised, int16 mono PCM at 16 kHz
        attempt: 1 when the same was not asked before
    """

    request: web.Request
    fields: dict[str, Any]
    pcm16: bytes
    attempt: int


Variant = Callable[[Asked], Awaitable[web.StreamResponse]]


def variant(kind: str, model: str) -> Variant:
    """The behaviour with this name, of any kind or of this one."""
    return _ANY.get(model) or (_SPEECH if kind == "speech" else _TRANSCRIPTION)[model]


def _refusal(status: int, message: str, **headers: str) -> web.Response:
    body = {"error": {"message": message, "type": "invalid_request_error", "code": None}}
    return web.json_response(body, status=status, headers=headers)


async def _broken(_: Asked) -> web.StreamResponse:
    return _refusal(500, "The server had an error.")


async def _broken_once(asked: Asked) -> web.StreamResponse:
    if asked.attempt == 1:
        return _refusal(503, "Loading.")
    return await _tone(asked) if asked.request.path.endswith("speech") else await _fixed(asked)


async def _busy_once(asked: Asked) -> web.StreamResponse:
    if asked.attempt == 1:
        return _refusal(429, "Slow down.", **{"Retry-After": "0"})
    return await _tone(asked) if asked.request.path.endswith("speech") else await _fixed(asked)


async def _locked(asked: Asked) -> web.StreamResponse:
    return _refusal(401, f"Incorrect API key: {asked.request.headers.get('Authorization')}")


async def _refusing(_: Asked) -> web.StreamResponse:
    return _refusal(400, "I do not like this.")


async def _page(_: Asked) -> web.StreamResponse:
    return web.Response(text="<html><body>Welcome!</body></html>", content_type="text/html")


async def _reset(asked: Asked) -> web.StreamResponse:
    assert asked.request.transport is not None
    asked.request.transport.close()
    return web.Response()


async def _never(_: Asked) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def _json(_: Asked) -> web.StreamResponse:
    return web.json_response({"error": {"message": "No such voice."}})


async def _stream(asked: Asked, *pieces: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    await response.prepare(asked.request)
    for piece in pieces:
        await response.write(piece)
        await asyncio.sleep(0)  # a packet of its own
    return response


@cache
def _hibari() -> Hibari:
    return Hibari()


async def _real_speech(asked: Asked) -> web.StreamResponse:
    samples = await asyncio.to_thread(_hibari(), asked.fields["input"])
    pcm16 = (samples * 32767).clip(-32768, 32767).astype(np.int16).tobytes()
    return await _stream(asked, *(pcm16[at : at + 999] for at in range(0, len(pcm16), 999)))


async def _tone(asked: Asked) -> web.StreamResponse:
    if asked.fields["voice"] not in VOICES:
        return _refusal(400, f"There is no voice {asked.fields['voice']}.")
    return await _stream(asked, tone(1000, RATE_HZ))


async def _dribbling(asked: Asked) -> web.StreamResponse:
    pcm16 = tone(1000, RATE_HZ)
    sizes = np.random.default_rng(1).integers(1, 1999, 200).cumsum()
    ends = [0, 1, 2, 3, *(int(size) + 3 for size in sizes if size < len(pcm16) - 3), len(pcm16)]
    return await _stream(asked, *(pcm16[a:b] for a, b in pairwise(ends)))


async def _wav(asked: Asked) -> web.StreamResponse:
    file = wav_file(tone(1000, 22_050), 22_050)
    endless = b"\xff\xff\xff\xff"  # as of a file that is streamed
    return await _stream(asked, file[:20], file[20:40], endless + file[44:1001], file[1001:])


async def _mp3(asked: Asked) -> web.StreamResponse:
    return await _stream(asked, b"ID3\4" + bytes(5000))


async def _empty(asked: Asked) -> web.StreamResponse:
    return await _stream(asked)


async def _paused(asked: Asked) -> web.StreamResponse:
    await _stream(asked, tone(300, RATE_HZ))
    return await _never(asked)


async def _endless(asked: Asked) -> web.StreamResponse:
    return await _stream(asked, *([tone(10_000, RATE_HZ)] * 20))


async def _cut(asked: Asked) -> web.StreamResponse:
    response = await _stream(asked, tone(300, RATE_HZ))
    assert asked.request.transport is not None
    asked.request.transport.close()
    return response


@cache
def _whisper() -> WhisperEars:
    return WhisperEars.load()


async def _real_words(asked: Asked) -> web.StreamResponse:
    transcript = await _whisper().transcribe(asked.pcm16)
    return web.json_response({"text": transcript.text})


async def _fixed(_: Asked) -> web.StreamResponse:
    return web.json_response({"text": HEARD, "usage": {"type": "duration", "seconds": 1}})


async def _wordless(_: Asked) -> web.StreamResponse:
    return web.json_response({"text": " ... "})


async def _number(_: Asked) -> web.StreamResponse:
    return web.json_response({"text": 7})


async def _list(_: Asked) -> web.StreamResponse:
    return web.json_response([])


async def _half_json(_: Asked) -> web.StreamResponse:
    return web.Response(text='{"text": "Wh', content_type="application/json")


_ANY: dict[str, Variant] = {
    "broken": _broken,
    "broken-once": _broken_once,
    "busy-once": _busy_once,
    "locked": _locked,
    "never": _never,
    "page": _page,
    "refusing": _refusing,
    "reset": _reset,
}
_SPEECH: dict[str, Variant] = {
    "real": _real_speech,
    "tone": _tone,
    "cut": _cut,
    "dribbling": _dribbling,
    "empty": _empty,
    "endless": _endless,
    "json": _json,
    "mp3": _mp3,
    "paused": _paused,
    "wav": _wav,
}
_TRANSCRIPTION: dict[str, Variant] = {
    "real": _real_words,
    "fixed": _fixed,
    "half-json": _half_json,
    "json": _json,
    "list": _list,
    "number": _number,
    "wordless": _wordless,
}
