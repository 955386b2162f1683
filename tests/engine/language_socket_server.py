"""A stand-in for an EVI custom language model with a WebSocket: a process of its own.

The path chooses how it behaves: one of `VARIANTS`, `refuses` or `cuts-first`; any other path
answers plainly. `GET /connections` tells what it was sent; with `?closed=N` it
answers once N connections have ended. `DELETE /connections` forgets all of them.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

from aiohttp import WSMsgType, web

from tests.processes import ROOT

TIMEOUT_S = 10.0
UNTIL_KILLED_S = 3600.0


class Connections:
    """What every connection has sent, and how many have ended."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []
        self.one_closed = asyncio.Condition()

    async def show(self, request: web.Request) -> web.Response:
        closed = int(request.query.get("closed", "0"))
        async with self.one_closed:
            enough = self.one_closed.wait_for(lambda: self._closed() >= closed)
            await asyncio.wait_for(enough, TIMEOUT_S)
        return web.json_response(self.all)

    async def forget(self, _: web.Request) -> web.Response:
        self.all.clear()
        return web.Response()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        variant = request.match_info["variant"]
        if variant == "refuses":
            return web.Response(status=401, text="Who are you?")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        seen: dict[str, Any] = {
            "query": request.query_string,
            "authorization": request.headers.get("Authorization"),
            "requests": [],
            "closed": False,
        }
        self.all.append(seen)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    seen["requests"].append(json.loads(message.data))
                    heard = seen["requests"][-1]["messages"][-1]["message"]["content"]
                    if variant != "cuts-first" or len(self.all) > 1:
                        await VARIANTS.get(variant, answers)(socket, heard)
                    else:
                        await cuts_always(socket, heard)
        except ConnectionError:
            pass  # the turn was given up
        finally:
            async with self.one_closed:
                seen["closed"] = True
                self.one_closed.notify_all()
        return socket

    def _closed(self) -> int:
        return sum(connection["closed"] for connection in self.all)


async def say(socket: web.WebSocketResponse, text: str, **more: str) -> None:
    await socket.send_json({"type": "assistant_input", "text": text, **more})


async def end(socket: web.WebSocketResponse) -> None:
    await socket.send_json({"type": "assistant_end"})


async def answers(socket: web.WebSocketResponse, heard: str) -> None:
    await say(socket, f"You said: {heard}")
    await end(socket)


async def dribbles(socket: web.WebSocketResponse, heard: str) -> None:
    for word in f"You said: {heard}".split():
        await say(socket, f"{word} ")
    await end(socket)


async def sends_sentences(socket: web.WebSocketResponse, _: str) -> None:
    for sentence in ("Hello.", "How are you?", "It is 3.", "5 degrees, says the U.", "S."):
        await say(socket, sentence)
    await end(socket)


async def chatters(socket: web.WebSocketResponse, _: str) -> None:
    await socket.send_json({"type": "thinking", "text": "no answer"})
    await socket.send_json({"text": "no type"})
    await say(socket, "")
    await socket.send_bytes(b'{"type": "assistant_input", "text": "As bytes."}')
    await end(socket)


async def names(socket: web.WebSocketResponse, _: str) -> None:
    await say(socket, "Named.", custom_session_id="by-the-model")
    await end(socket)


async def is_slow(socket: web.WebSocketResponse, heard: str) -> None:
    await asyncio.sleep(0.3)
    await answers(socket, heard)


async def stalls(socket: web.WebSocketResponse, _: str) -> None:
    await say(socket, "Well")
    await asyncio.sleep(UNTIL_KILLED_S)


async def is_silent(_: web.WebSocketResponse, __: str) -> None:
    await asyncio.sleep(UNTIL_KILLED_S)


async def never_ends(socket: web.WebSocketResponse, heard: str) -> None:
    for number in range(1_000_000):
        await say(socket, f"{heard} {number} ")


async def talks_on(socket: web.WebSocketResponse, heard: str) -> None:
    await answers(socket, heard)
    await answers(socket, "Late words.")


async def leaves(socket: web.WebSocketResponse, heard: str) -> None:
    await answers(socket, heard)
    await socket.close()


async def cuts(socket: web.WebSocketResponse, _: str) -> None:
    await say(socket, "This is")
    await socket.close(code=1011)


async def cuts_always(socket: web.WebSocketResponse, _: str) -> None:
    await socket.close(code=1011)


async def garbles(socket: web.WebSocketResponse, _: str) -> None:
    await socket.send_str("<html>not JSON</html>")


async def lists(socket: web.WebSocketResponse, _: str) -> None:
    await socket.send_str("[1]")


async def forgets_text(socket: web.WebSocketResponse, _: str) -> None:
    await socket.send_json({"type": "assistant_input", "text": None})


async def is_huge(socket: web.WebSocketResponse, _: str) -> None:
    await say(socket, "x" * 2_000_000)


VARIANTS = {
    "dribbles": dribbles,
    "sends-sentences": sends_sentences,
    "chatters": chatters,
    "names": names,
    "is-slow": is_slow,
    "stalls": stalls,
    "is-silent": is_silent,
    "never-ends": never_ends,
    "talks-on": talks_on,
    "leaves": leaves,
    "cuts": cuts,
    "cuts-always": cuts_always,
    "garbles": garbles,
    "lists": lists,
    "forgets-text": forgets_text,
    "is-huge": is_huge,
}


class RunningModel:
    """What a test asks the stand-in."""

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def url(self, variant: str) -> str:
        return f"ws://{self.origin}/{variant}"

    async def connections(self, *, closed: int = 0) -> list[dict[str, Any]]:
        """All connections so far, once so many have ended."""
        return await asyncio.to_thread(self._connections, closed)

    def _connections(self, closed: int) -> list[dict[str, Any]]:
        with urlopen(
            f"http://{self.origin}/connections?closed={closed}", timeout=TIMEOUT_S
        ) as seen:
            answer: list[dict[str, Any]] = json.load(seen)
        return answer

    async def requests(self) -> list[dict[str, Any]]:
        """All turns so far."""
        return [turn for connection in await self.connections() for turn in connection["requests"]]

    def forget(self) -> None:
        """Begin anew, as if nobody had come."""
        url = f"http://{self.origin}/connections"
        with urlopen(Request(url, method="DELETE"), timeout=TIMEOUT_S):
            pass


@contextmanager
def running_model() -> Iterator[RunningModel]:
    """A fresh stand-in on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engine.language_socket_server"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            yield RunningModel(process.stdout.readline().strip())
        finally:
            process.kill()


async def _serve() -> None:
    connections = Connections()
    app = web.Application()
    app.router.add_get("/connections", connections.show)
    app.router.add_delete("/connections", connections.forget)
    app.router.add_get("/{variant}", connections.serve)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(":".join(map(str, runner.addresses[0][:2])), flush=True)  # noqa: T201 - for who started it
    await asyncio.sleep(UNTIL_KILLED_S)


if __name__ == "__main__":
    asyncio.run(_serve())
