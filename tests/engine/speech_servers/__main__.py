"""A stand-in for a speech service: `python -m tests.engine.speech_servers`.

It prints its origin, then serves until it is killed: OpenAI's `/v1/audio/speech` and
`/v1/audio/transcriptions`, where the model's name chooses how it behaves (`variants.py`).
"""

import asyncio

import uvloop
from aiohttp import web

from tests.engine.speech_servers.server import SpeechServer


async def _serve() -> None:
    runner = web.AppRunner(SpeechServer().app(), access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)  # noqa: T201 - read by who starts it
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve())
