"""The agents whose calls are broken, for `evibridge run tests/faults/agents.py:NAME`."""

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

from evibridge import Agent, Manners, ToolContext, Tools

tools = Tools()


@tools.tool
async def order_status(order_id: str) -> str:
    """Tell where an order is.

    Args:
        order_id: the number on the receipt
    """
    return f"Order {order_id} is on its way."


@tools.tool(timeout=40)
async def order_book(call: ToolContext, title: str) -> str:
    """Order a book, which takes as long as the test's gate is shut.

    Args:
        title: of the book
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["FAULTS_GATE"]))
    try:
        writer.write(json.dumps({"call_id": call.call_id, "title": title}).encode() + b"\n")
        return (await reader.readline()).decode()
    finally:
        writer.close()


@tools.tool
async def say_goodbye(call: ToolContext) -> str:
    """End the call."""
    call.hang_up()
    return "The call ends."


agent = Agent(
    system_prompt="You answer for {{shop}}.",
    tools=tools,
    variables={"shop": "Lantern"},
    manners=Manners(filler=None, apology="Sorry!", closing="We close."),
)

with_filler = replace(
    agent, manners=replace(agent.manners, filler=Path(os.environ.get("FAULTS_FILLER", "none")))
)
