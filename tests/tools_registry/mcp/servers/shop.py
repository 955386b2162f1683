"""A server written with the `mcp` package: on its pipes, or over HTTP on the port that is given.

Port 0 is any that is free; the port is written to standard output once the server listens.
"""

import asyncio
import os
import socket
import sys

import uvicorn
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

server = MCPServer("shop", log_level="CRITICAL")
given_up = asyncio.Event()
released = asyncio.Event()


class Family(BaseModel):
    """A type that contains itself."""

    children: list["Family"] = []


@server.tool()
def order_status(order_id: str, copies: int = 1) -> str:
    """Tell where an order is."""
    return f"Order {order_id} is on its way, {copies} times."


@server.tool()
def family_order(family: Family) -> str:
    """Order for a family."""
    return f"{len(family.children)}"


@server.tool(name="order.cancel")
def order_cancel(order_id: str) -> str:
    """Cancel an order."""
    raise ToolError(f"Order {order_id} has been sent already.")


@server.tool()
def catalogue(size: int) -> list[str]:
    """List all books."""
    return ["x" * size]


@server.tool()
def cover() -> Image:
    """Show a book."""
    return Image(data=b"png", format="png")


@server.tool()
async def wait() -> str:
    """Answer once `release` is called."""
    try:
        await released.wait()
    except asyncio.CancelledError:
        given_up.set()
        raise
    released.clear()
    return "released"


@server.tool()
async def release() -> str:
    """Let `wait` answer."""
    released.set()
    return "done"


@server.tool()
async def wait_was_given_up() -> str:
    """Answer once a `wait` was cancelled."""
    async with asyncio.timeout(10):
        await given_up.wait()
    given_up.clear()
    return "yes"


@server.tool()
async def add_tool(name: str, ctx: Context) -> str:
    """Offer one more tool."""
    server.add_tool(order_status, name=name)
    await ctx.notify_tools_changed()
    return "added"


@server.tool()
def process() -> dict[str, object]:
    """Tell about this process."""
    return {"pid": os.getpid(), "environment": sorted(os.environ)}


@server.tool()
def die() -> None:
    """End at once."""
    os._exit(7)


def serve(port: int) -> None:
    """Serve over HTTP until the process is ended."""
    # With its protocol named, so that asyncio sends without delay.
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen()
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(server.streamable_http_app(), log_level="critical")
    asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


if __name__ == "__main__":
    serve(int(sys.argv[1])) if len(sys.argv) > 1 else server.run()
