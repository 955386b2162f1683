"""A page's own voice sent back to it by aiortc as it comes: a floor that decodes and encodes.

    python -m benchmarks.webrtc_echo --port 8081

It has no agent, no chat, no session: whatever stock aiortc needs for the same media each way.
"""

import argparse
import asyncio
from typing import Any

import uvloop
from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from benchmarks.webrtc_loopback import offer_loopback_only


class Echo:
    """All its peers."""

    def __init__(self) -> None:
        self._peers: set[RTCPeerConnection] = set()

    async def answer(self, request: web.Request) -> web.Response:
        """`POST /webrtc/offer`, as the bridge has it."""
        offer = await request.json()
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.add(peer)

        def track_came(track: Any) -> None:
            peer.addTrack(track)

        peer.on("track", track_came)
        await peer.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return web.json_response({"type": "answer", "sdp": peer.localDescription.sdp})

    async def token(self, _: web.Request) -> web.Response:
        """`POST /browser/session`: anybody is let in."""
        return web.json_response({"token": "any"}, status=201)


async def run(port: int) -> None:
    """Serve until the process is ended."""
    echo = Echo()
    app = web.Application()
    app.router.add_post("/webrtc/offer", echo.answer)
    app.router.add_post("/browser/session", echo.token)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m benchmarks.webrtc_echo")
    options.add_argument("--port", type=int, default=8081)
    offer_loopback_only()
    uvloop.run(run(options.parse_args().port))
