"""A book shop that answers the phone."""

from difflib import get_close_matches
from pathlib import Path

from evibridge import Agent, ToolContext, ToolError, Tools

ORDERS = {
    "1042": "is on its way and arrives on Friday",
    "1043": "is packed and leaves us tomorrow morning",
    "1431": "waits for you at the counter",
    "1905": "was delivered on Monday",
}
BOOKS = {
    "The Hobbit": "nine pounds",
    "Pride and Prejudice": "seven pounds",
    "Moby Dick": "eleven pounds",
    "Murder on the Orient Express": "eight pounds",
    "Three Men in a Boat": "six pounds",
    "A Brief History of Time": "ten pounds",
}

tools = Tools()
reserved: list[tuple[str, str, str | None]] = []


@tools.tool(timeout=5)
async def order_status(order_id: str) -> str:
    """Tell where an order is.

    Args:
        order_id: the number printed on the receipt
    """
    if order_id not in ORDERS:
        raise ToolError(
            f"I find no order with the number {' '.join(order_id)}. "
            "Could you read it to me once more, digit by digit?"
        )
    return f"Order {order_id} {ORDERS[order_id]}."


@tools.tool(timeout=5)
async def find_book(title: str) -> str:
    """Tell whether a book is in the shop, and its price.

    Args:
        title: the title, as well as the caller remembers it
    """
    book = closest(title)
    return f"Yes, we have {book}. It costs {BOOKS[book]}."


@tools.tool(timeout=5)
async def reserve_book(call: ToolContext, title: str, name: str) -> str:
    """Put a book aside for a caller.

    Args:
        call: the phone call, which the model does not see
        title: the title, as well as the caller remembers it
        name: who comes to fetch it
    """
    book = closest(title)
    reserved.append((book, name, call.caller))
    return f"{book} waits for you at the counter until Saturday, under the name of {name}."


def closest(title: str) -> str:
    titles = {book.lower(): book for book in BOOKS}
    found = get_close_matches(title.lower(), titles, n=1)
    if not found:
        raise ToolError(f"I am sorry, I cannot find {title} on our shelves.")
    return titles[found[0]]


agent = Agent(
    name="The Paper Lantern",
    about="Ask where an order is, whether a book is on the shelf, or have one put aside.",
    system_prompt=(
        "You answer the phone for the Paper Lantern, a small book shop. "
        "Be warm and brief. Look orders and books up with the tools; never guess."
    ),
    tools=tools,
    script=Path(__file__).with_name("bookshop.yaml"),
)
