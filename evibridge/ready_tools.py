"""Tools that act on the call itself; an agent has those that its author adds.

    from evibridge import Tools, ready_tools

    tools = Tools()
    tools.tool(ready_tools.hang_up)
    tools.tool(ready_tools.transfer({"the workshop": "+14155550100"}))

Options may be given as for any other function: `tools.tool(ready_tools.hang_up, name="bye")`.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from evibridge.dialling import MAX_KEYS, checked_number
from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.context import ToolContext


async def hang_up(call: ToolContext) -> str:
    """End the phone call, when the caller has taken leave and nothing is left to be done."""
    await call.hang_up()
    return "The call ends as soon as you have said goodbye. Say goodbye in one short sentence."


async def end_with(
    call: ToolContext, message: Annotated[str, Field(min_length=1, max_length=500)]
) -> str:
    """End the phone call with a last message, which is spoken to the caller word for word.

    Args:
        call: the phone call
        message: the last words of the call; nothing is said after them
    """
    await call.end_with(message)
    return "The message is being spoken, and then the call ends. Say nothing more."


async def send_digits(
    call: ToolContext,
    digits: Annotated[str, Field(pattern=r"^[0-9*#A-Dw]+$", max_length=MAX_KEYS)],
) -> str:
    """Press keys of the telephone, as tones that the other side hears.

    For menus such as "for sales, press 1", and for extensions.

    Args:
        call: the phone call
        digits: the keys, of 0-9, * and #; a w among them is a pause of half a second
    """
    await call.send_digits(digits)
    return f"The keys {digits} are being pressed. Wait for what the other side says."


def transfer(places: Mapping[str, str]) -> Callable[..., Any]:
    """Make a tool that puts the caller through to one of these places, and to nobody else.

    The model chooses by name and never sees a number, so that no caller can talk it into dialling
    another one.

    Args:
        places: a name for each, as people would say it, and its number in E.164 or `sip:` address

    Raises:
        ToolDefinitionError: there are no places, or one of them cannot be dialled
    """
    if not places:
        raise ToolDefinitionError("transfer() needs at least one place to put callers through to.")
    for name, number in places.items():
        try:
            checked_number(number)
        except ValueError as fault:
            raise ToolDefinitionError(f"The number of {name!r} in transfer() {fault}.") from None

    async def transfer(call: ToolContext, to: str) -> str:
        """Put the caller through to somebody else, on request or when you cannot help.

        Args:
            call: the phone call
            to: who shall speak with the caller
        """
        await call.transfer(places[to])
        return f"The caller is put through to {to} as soon as you have said so. Say it briefly."

    transfer.__annotations__["to"] = Literal[tuple(places)]
    return transfer
