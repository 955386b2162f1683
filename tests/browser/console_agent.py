"""The agent whose calls are seen in the console: it has a tool of every kind."""

import asyncio

from evibridge import Agent, ToolError, Tools

tools = Tools()
SLOW_S = 20.0


@tools.tool
async def order_status(order_id: str) -> dict[str, str]:
    """Tell where an order is."""
    await asyncio.sleep(0.4)
    return {"order": order_id, "sent": "2026-11-07", "last_seen": "Leeds depot"}


@tools.tool(timeout=2 * SLOW_S)
async def check_stock(isbn: str) -> str:
    """Look a book up on the shelves."""
    await asyncio.sleep(SLOW_S)
    return f"There is one copy of {isbn} at the harbour shop, and four at the warehouse."


@tools.tool(requires_approval=True, timeout=90, holding="For that a colleague has to agree.")
async def refund_order(order_id: str, amount: str) -> str:
    """Give the money back."""
    await asyncio.sleep(0.2)
    return f"{amount} pounds for {order_id} are on their way."


@tools.tool
async def book_courier(order_id: str) -> str:
    """Send somebody for a parcel."""
    await asyncio.sleep(0.7)
    raise ToolError(f"The courier does not answer. Nobody is sent for {order_id}.")


agent = Agent(
    name="Harbour Books",
    about="Ask where an order is.",
    system_prompt="You answer the phone for a book shop.",
    tools=tools,
)
