"""The least that a bridge in Python can cost: picows at both ends and the codec between, no logic.

    python -m benchmarks.floor --port 8081 --evi-url http://127.0.0.1:8765

No sessions, limits, marks, tickets or checks: whatever the bridge costs beyond this is the price of
being a bridge. Both are measured in the same run, because times vary from machine to machine and
from minute to minute, and ratios hardly do. Of the bridge's own code only the conversion of audio
is in here; `benchmarks.hot_path` shows what that costs.
"""

import argparse
import asyncio
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import pybase64
import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_connect,
    ws_create_server,
)

from evibridge.audio.g711 import mulaw_to_pcm16, pcm16_to_mulaw
from evibridge.audio.resample import Resampler

CONFIG_ID = "floor"
"""By which the stand-in counts."""
QUERY = {
    "session_settings[audio][encoding]": "linear16",
    "session_settings[audio][sample_rate]": "8000",
    "session_settings[audio][channels]": "1",
}
WAV_HEADER_BYTES = 44
MAX_FRAME_BYTES = 16 * 1024 * 1024


class TwilioSide(WSListener):
    """The media stream."""

    def __init__(self, evi_url: str) -> None:
        self._evi_url = evi_url
        self._early: list[bytes] = []
        self._dialling: asyncio.Task[None]
        self.evi: WSTransport | None = None
        self.transport: WSTransport
        self.stream_sid = b""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Dial the EVI server at once."""
        self.transport = transport
        self._dialling = asyncio.get_running_loop().create_task(self._dial())

    async def _dial(self) -> None:
        self.evi, _ = await ws_connect(
            lambda: EviSide(self), self._evi_url, max_frame_size=MAX_FRAME_BYTES
        )
        for message in self._early:
            self.evi.send(WSMsgType.TEXT, message)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame of the caller becomes an `audio_input`."""
        del transport
        if frame.msg_type != WSMsgType.TEXT:
            return
        message: dict[str, Any] = orjson.loads(frame.get_payload_as_memoryview())
        if message["event"] == "media":
            mulaw = pybase64.b64decode(message["media"]["payload"])
            audio_input = b'{"type":"audio_input","data":"%b"}' % pybase64.b64encode(
                mulaw_to_pcm16(mulaw)
            )
            if self.evi is None:
                self._early.append(audio_input)
            else:
                self.evi.send(WSMsgType.TEXT, audio_input)
        elif message["event"] == "start":
            self.stream_sid = message["start"]["streamSid"].encode()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The caller has gone."""
        del transport
        if self.evi is not None:
            self.evi.disconnect()


class EviSide(WSListener):
    """The chat."""

    def __init__(self, twilio: TwilioSide) -> None:
        self._twilio = twilio
        self._resampler = Resampler(48_000, 8_000)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A chunk of the agent's voice becomes a `media` message."""
        del transport
        if frame.msg_type != WSMsgType.TEXT:
            return
        message: dict[str, Any] = orjson.loads(frame.get_payload_as_memoryview())
        if message["type"] == "audio_output":
            wav = memoryview(pybase64.b64decode(message["data"]))
            mulaw = pcm16_to_mulaw(self._resampler.process(wav[WAV_HEADER_BYTES:]))
            media = b'{"event":"media","streamSid":"%b","media":{"payload":"%b"}}' % (
                self._twilio.stream_sid,
                pybase64.b64encode(mulaw),
            )
            self._twilio.transport.send(WSMsgType.TEXT, media)


async def run(port: int, evi_origin: str, config_id: str) -> None:
    """Serve until the process is ended."""
    query = urlencode({"config_id": config_id, **QUERY})
    evi_url = f"ws://{urlsplit(evi_origin).netloc}/v0/evi/chat?{query}"

    def accept(request: WSUpgradeRequest) -> TwilioSide:
        del request
        return TwilioSide(evi_url)

    server = await ws_create_server(accept, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m benchmarks.floor")
    options.add_argument("--port", type=int, default=8081)
    options.add_argument("--evi-url", required=True)
    options.add_argument("--config-id", default=CONFIG_ID)
    given = options.parse_args()
    uvloop.run(run(given.port, given.evi_url, given.config_id))
