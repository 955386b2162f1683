"""The bridge in a process that times the tool calls of its calls.

    python -m benchmarks.timed_service --port 8080

Settings come from the environment. For every line on its standard input it writes a line to its
standard output: JSON with the `Times` of each tool call so far, by its id.

Nothing of the bridge is changed: what reads the server's messages, and what sends messages to it,
are wrapped. The tools do nothing but note when they are entered and left.
"""

import argparse
import asyncio
import gc
import sys
from dataclasses import dataclass
from time import perf_counter
from unittest.mock import patch

import orjson
import uvloop
from pydantic import BaseModel

from evibridge import Agent, Manners, ToolContext, Tools
from evibridge.agent import evi_client
from evibridge.agent.evi_client import EviChat
from evibridge.agent.evi_codec import decode
from evibridge.agent.evi_messages import ClientMessage, Message, ToolCall, ToolResponse
from evibridge.logs import configure_logs
from evibridge.service import start_service
from evibridge.settings import load_settings

tools = Tools()


@dataclass(slots=True)
class Times:
    """Of one tool call, on `time.perf_counter`'s clock; None for what has not happened.

    Attributes:
        decoded_s: its message was read
        entered_s: the function begins
        returned_s: the function is over
        written_s: its answer was sent: picows has called the kernel when its `send` returns
    """

    decoded_s: float
    entered_s: float | None = None
    returned_s: float | None = None
    written_s: float | None = None


_send = EviChat.send

times_of: dict[str, Times] = {}
"""All tool calls, by their ids."""


def timed_decode(text: bytes) -> Message:
    """Stands in for the reader of the server's messages."""
    message = decode(text)
    if isinstance(message, ToolCall):
        times_of[message.tool_call_id] = Times(perf_counter())
    return message


def timed_send(chat: EviChat, message: ClientMessage) -> None:
    """Stands in for the method of a chat that sends messages."""
    _send(chat, message)
    if isinstance(message, ToolResponse):
        times_of[message.tool_call_id].written_s = perf_counter()


class Order(BaseModel):
    """A small object, as arguments are."""

    number: int
    title: str
    express: bool = False


@tools.tool
async def async_tool(call: ToolContext, order: Order) -> str:
    """Take an order."""
    times = times_of[call.tool_call_id]
    times.entered_s = perf_counter()
    answer = f"Order {order.number} is taken."
    times.returned_s = perf_counter()
    return answer


@tools.tool
def plain_tool(call: ToolContext, order: Order) -> str:
    """Take an order."""
    times = times_of[call.tool_call_id]
    times.entered_s = perf_counter()
    answer = f"Order {order.number} is taken."
    times.returned_s = perf_counter()
    return answer


agent = Agent(system_prompt="You are on the phone.", tools=tools, manners=Manners(filler=None))


async def run(port: int) -> None:
    """Serve until the process is ended."""
    settings = load_settings(port=port)
    configure_logs(settings.log_level, settings.log_format)
    await start_service(agent, settings)
    gc.collect()
    gc.freeze()  # as `evibridge run` does

    def answer() -> None:
        if not sys.stdin.readline():
            asyncio.get_running_loop().remove_reader(sys.stdin)
            return
        print(orjson.dumps(times_of).decode(), flush=True)

    asyncio.get_running_loop().add_reader(sys.stdin, answer)

    with (
        patch.object(evi_client, "decode", timed_decode),
        patch.object(EviChat, "send", timed_send),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m benchmarks.timed_service")
    options.add_argument("--port", type=int, default=8080)
    uvloop.run(run(options.parse_args().port))
