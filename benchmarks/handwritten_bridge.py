"""A bridge as a tutorial writes it, to be measured beside ours: aiohttp, json, base64 and audioop.

    python -m benchmarks.handwritten_bridge --port 9000 --evi-url http://127.0.0.1:8765

Two tasks a call, one for each direction. It forgets everything that a service needs: nobody may
interrupt, nothing is bounded or checked, and whatever breaks ends the call. Its sound is worse,
because `audioop.ratecv` does not filter.
"""

import argparse
import asyncio
import audioop
import base64
import io
import json
import wave
from typing import Any
from urllib.parse import urlencode

import aiohttp
import uvloop
from aiohttp import web

from benchmarks.floor import QUERY
from evibridge.sockets import origin_to_ws

PHONE_RATE_HZ = 8_000
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class HandwrittenBridge:
    """Answers media streams and dials the EVI server for each.

    Args:
        evi_url: of new chats
    """

    def __init__(self, evi_url: str) -> None:
        self._evi_url = evi_url
        self._http: aiohttp.ClientSession

    async def start(self, _: web.Application) -> None:
        """Needs the running event loop."""
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        """One call."""
        phone = web.WebSocketResponse()
        await phone.prepare(request)
        async with self._http.ws_connect(self._evi_url, max_msg_size=MAX_MESSAGE_BYTES) as evi:
            stream_sid = ""
            speaking: asyncio.Task[None] | None = None
            async for frame in phone:
                message = json.loads(frame.data)
                if message["event"] == "start":
                    stream_sid = message["start"]["streamSid"]
                    speaking = asyncio.create_task(speak(evi, phone, stream_sid))
                elif message["event"] == "media":
                    await evi.send_str(json.dumps(heard(message["media"])))
                elif message["event"] == "stop":
                    break
            if speaking is not None:
                speaking.cancel()
        return phone


def heard(media: dict[str, str]) -> dict[str, str]:
    """A frame of the caller as EVI wants it."""
    pcm16 = audioop.ulaw2lin(base64.b64decode(media["payload"]), 2)
    return {"type": "audio_input", "data": base64.b64encode(pcm16).decode()}


async def speak(
    evi: aiohttp.ClientWebSocketResponse, phone: web.WebSocketResponse, stream_sid: str
) -> None:
    """Pass on what the agent says."""
    state: Any = None
    async for frame in evi:
        message = json.loads(frame.data)
        if message["type"] != "audio_output":
            continue
        with wave.open(io.BytesIO(base64.b64decode(message["data"]))) as wav:
            rate_hz, pcm16 = wav.getframerate(), wav.readframes(wav.getnframes())
        pcm16, state = audioop.ratecv(pcm16, 2, 1, rate_hz, PHONE_RATE_HZ, state)
        payload = base64.b64encode(audioop.lin2ulaw(pcm16, 2)).decode()
        media = {"event": "media", "streamSid": stream_sid, "media": {"payload": payload}}
        await phone.send_str(json.dumps(media))


async def run(port: int, evi_origin: str, config_id: str) -> None:
    """Serve until the process is ended."""
    query = urlencode({"config_id": config_id, **QUERY})
    bridge = HandwrittenBridge(f"{origin_to_ws(evi_origin)}/v0/evi/chat?{query}")
    app = web.Application()
    app.on_startup.append(bridge.start)
    app.router.add_get("/twilio/media", bridge.stream)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m benchmarks.handwritten_bridge")
    options.add_argument("--port", type=int, default=9000)
    options.add_argument("--evi-url", required=True)
    options.add_argument("--config-id", default="handwritten")
    given = options.parse_args()
    uvloop.run(run(given.port, given.evi_url, given.config_id))
