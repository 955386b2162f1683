"""An agent whose tools do each thing that a tool may do."""

import asyncio
from pathlib import Path

from evibridge import Agent, DigitCollection, Manners, ToolContext, ToolError, Tools, ready_tools

SCRIPT = Path(__file__).with_name("workshop.yaml")
BOSS = "+14155550177"

tools = Tools()
tools.tool(ready_tools.transfer({"the boss": BOSS}))


@tools.tool
async def repair_status(number: int) -> str:
    """Tell how far a repair is.

    Args:
        number: of the bicycle
    """
    if number != 7:
        raise ToolError(f"There is no bicycle {number}.", code="unknown_bicycle")
    return "It is ready. Come by."


@tools.tool(fallback="The prices cannot be read.")
async def price_list() -> str:
    """Read the prices, and fail."""
    raise OSError("the list is lost")


@tools.tool
async def whose_call(call: ToolContext) -> str:
    """Tell who calls whom."""
    return f"{call.caller} calls {call.called} about {call.parameters.get('about')}."


@tools.tool
async def tell_holiday(call: ToolContext) -> None:
    """Have the agent tell of the holiday."""
    await call.say("On Monday we are closed.")


@tools.tool(requires_approval=True, holding="One moment. I have to ask the boss.")
async def refund(pounds: int) -> str:
    """Give money back.

    Args:
        pounds: how much
    """
    return f"You get {pounds} pounds."


@tools.tool(background=True)
async def send_receipt() -> str:
    """Send a receipt, and fail."""
    raise ToolError("There is no address.", code="no_address")


@tools.tool
def dial_extension(call: ToolContext) -> None:
    """Dial an extension."""
    call.send_digits("12w#")


@tools.tool
async def close_shop(call: ToolContext) -> str:
    """Say a last word."""
    await call.end_with("We are closed. Goodbye.")
    return "The call ends."


@tools.tool(timeout=60)
async def wait_for_ever() -> None:
    """Never answer."""
    await asyncio.Event().wait()


@tools.tool
async def pin(call: ToolContext) -> str:
    """Tell the keys of the caller."""
    return f"Your keys were {call.digits}."


AGENT = Agent(system_prompt="You answer for a workshop.", tools=tools, script=SCRIPT)
ANSWERS_KEYS = Agent(
    system_prompt="You answer for a workshop.",
    tools=tools,
    script=SCRIPT,
    manners=Manners(digits=DigitCollection(pause_s=0.05, sent_as="user_input")),
)
