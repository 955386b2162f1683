"""The agent that the bridge serves while lively calls are measured: it has a tool."""

from evibridge import Agent, Manners, Tools

tools = Tools()


@tools.tool
async def find_order(number: int) -> str:
    """Tell where an order is."""
    return f"Order {number} is on its way and arrives on Friday."


agent = Agent(
    system_prompt="You answer the phone for a book shop.",
    tools=tools,
    # Its voice would be made in the background, on the core that is measured.
    manners=Manners(filler=None),
)
