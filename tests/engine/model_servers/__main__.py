"""A stand-in for a language model: `python -m tests.engine.model_servers --first-token-ms 150`.

It prints its origin, then serves until it is killed. OpenAI's protocol is at
`/v1/chat/completions`, where the model's name chooses how it behaves (`variants.py`, for example
`normal`); EVI's custom language model is at `/chat/completions` and `/VARIANT/chat/completions`.
"""

import argparse
import asyncio

import uvloop
from aiohttp import web

from tests.engine.model_servers.server import ModelServer


async def _serve(port: int, first_token_s: float, token_s: float) -> None:
    runner = web.AppRunner(
        ModelServer(first_token_s, token_s).app(), access_log=None, handler_cancellation=True
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    host, bound_port = runner.addresses[0][:2]
    print(f"http://{host}:{bound_port}", flush=True)  # noqa: T201 - whoever started it reads the origin here
    await asyncio.Event().wait()


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--first-token-ms", type=float, default=0)
    parser.add_argument("--token-ms", type=float, default=0, help="between two words")
    chosen = parser.parse_args()
    uvloop.run(_serve(chosen.port, chosen.first_token_ms / 1000, chosen.token_ms / 1000))


if __name__ == "__main__":
    _main()
