import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.conduct import Answering, Conduct, ToolOptions
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.registry import Tool, ToolDefinition, Tools, make_tool


def registered(tools: Tools, name: str) -> Tool:
    tool = tools.get(name)
    assert tool is not None
    return tool


def definition_fault(function: Any, **options: Any) -> str:
    with pytest.raises(ToolDefinitionError) as caught:
        Tools().tool(**options)(function)
    return str(caught.value)


def test_a_decorated_function_is_defined_for_the_model() -> None:
    tools = Tools()

    @tools.tool(timeout=5, fallback="The shop does not answer.")
    async def order_status(call: ToolContext, order_id: str) -> str:
        """Tell where an order is.

        Args:
            call: the caller
            order_id: the number printed
                on the receipt

        Returns:
            A sentence.
        """
        return f"{order_id} for {call.caller}"

    assert tools.definitions() == [
        ToolDefinition(
            name="order_status",
            description="Tell where an order is.",
            parameters={
                "type": "object",
                "properties": {
                    "order_id": {
                        "type": "string",
                        "description": "the number printed on the receipt",
                    }
                },
                "required": ["order_id"],
                "additionalProperties": False,
            },
            fallback="The shop does not answer.",
        )
    ]
    assert registered(tools, "order_status").conduct.timeout_s == 5


async def test_a_decorated_function_is_the_function_itself() -> None:
    tools = Tools()

    async def greet(name: str) -> str:
        """Greet."""
        return f"Hello {name}"

    decorated = tools.tool(greet)
    assert decorated is greet
    assert await decorated("Ada") == "Hello Ada"


def test_the_decorator_works_with_and_without_parentheses() -> None:
    tools = Tools()

    @tools.tool
    def first() -> None:
        """Do one thing."""

    @tools.tool()
    def second() -> None:
        """Do another."""

    assert [definition.name for definition in tools.definitions()] == ["first", "second"]
    assert registered(tools, "first").conduct.timeout_s is None
    assert tools.definitions()[0].fallback is None


def test_options_replace_name_and_description() -> None:
    tools = Tools()
    tools.tool(name="stock-2", description=" Look up the stock. ")(lambda: 7)
    assert tools.definitions()[0].name == "stock-2"
    assert tools.definitions()[0].description == "Look up the stock."


def test_options_say_how_a_tool_is_used() -> None:
    tools = Tools()

    @tools.tool(timeout=30, holding="One moment, please.", holding_after_s=4)
    def slow() -> None:
        """Take a while."""

    @tools.tool(requires_approval=True, holding="I have to ask.", background=True)
    def order() -> None:
        """Order a book."""

    @tools.tool(silent=True)
    def note() -> None:
        """Write something down."""

    @tools.tool
    def plain() -> None:
        """Do it."""

    assert {each.name: registered(tools, each.name).conduct for each in tools.definitions()} == {
        "slow": Conduct(30, "One moment, please.", 4),
        "order": Conduct(
            holding="I have to ask.",
            requires_approval=True,
            answering=Answering.IN_BACKGROUND,
        ),
        "note": Conduct(answering=Answering.SILENTLY),
        "plain": Conduct(),
    }


def test_a_function_may_be_registered_by_a_call_with_options() -> None:
    def order_status(order_id: str) -> str:
        """Tell where an order is."""
        return order_id

    tools = Tools()
    decorated = tools.tool(order_status, name="status", timeout=5, fallback="Sorry.")
    assert decorated is order_status
    assert registered(tools, "status").conduct == Conduct(timeout_s=5)
    assert registered(tools, "status").definition.fallback == "Sorry."


@pytest.mark.parametrize(("options", "required"), [({}, ["a"]), ({"strict": True}, ["a", "b"])])
def test_a_strict_tool_has_a_strict_schema(options: ToolOptions, required: list[str]) -> None:
    def tool(a: int, b: int = 1) -> str:
        """Do it."""
        return f"{a} {b}"

    made = make_tool(tool, options)
    assert made.definition.parameters["required"] == required
    assert made.arguments.read('{"a": 2}') == {"a": 2, "b": 1}


def test_a_bound_method_is_a_tool_of_its_object() -> None:
    class Shop:
        def __init__(self, name: str) -> None:
            self.name = name

        def describe(self, detail: str) -> str:
            """Describe the shop."""
            return f"{self.name}: {detail}"

    tools = Tools()
    tools.tool(Shop("Tea and Books").describe)
    assert registered(tools, "describe").function(detail="open") == "Tea and Books: open"
    assert list(tools.definitions()[0].parameters["properties"]) == ["detail"]


def test_an_unknown_name_is_no_tool() -> None:
    assert Tools().get("nothing") is None


def test_a_coroutine_function_is_recognised_behind_a_plain_wrapper() -> None:
    def traced(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    tools = Tools()

    @tools.tool
    @traced
    async def hidden(count: int) -> int:
        """Count."""
        return count

    @tools.tool
    @traced
    def plain(count: int) -> int:
        """Count."""
        return count

    assert registered(tools, "hidden").is_async
    assert not registered(tools, "plain").is_async


def test_a_second_tool_of_the_same_name_is_refused() -> None:
    tools = Tools()

    @tools.tool
    def order_status() -> None:
        """Tell where an order is."""

    with pytest.raises(ToolDefinitionError, match="Two tools are named 'order_status'"):
        tools.tool(order_status)
    tools.tool(name="order_status_2")(order_status)
    assert len(tools.definitions()) == 2


@pytest.mark.parametrize("name", ["", "two words", "größe", "a" * 65, "name\n", "a.b"])
def test_a_name_that_a_model_cannot_write_is_refused(name: str) -> None:
    def tool() -> None:
        """Do it."""

    assert "tool()" in definition_fault(tool, name=name)


def test_a_function_whose_own_name_will_not_do_needs_another() -> None:
    assert "set one with `name=`" in definition_fault(lambda: None, description="Do it.")


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_must_be_a_time(timeout: float) -> None:
    def tool() -> None:
        """Do it."""

    assert "The timeout of tool()" in definition_fault(tool, timeout=timeout)


def test_an_unknown_option_is_refused() -> None:
    def tool() -> None:
        """Do it."""

    words = definition_fault(tool, timeout=5, timeout_s=5, holdng="One moment.")
    assert words.startswith("tool() has the unknown option 'holdng'; there are name, description, ")
    assert "requires_approval" in words


def test_options_that_contradict_each_other_are_refused() -> None:
    def tool() -> None:
        """Do it."""

    assert "is both `background` and `silent`" in definition_fault(
        tool, background=True, silent=True
    )


def test_a_function_without_a_description_is_refused() -> None:
    def silent() -> None: ...

    def half() -> None:
        """
        Returns:
            nothing
        """

    assert "silent() has no description" in definition_fault(silent)
    assert "half() has no description" in definition_fault(half)
    assert "silent() has no description" in definition_fault(silent, description=" ")


def test_what_is_not_a_function_is_refused() -> None:
    for thing in (len, int, functools.partial(print, 1), "order_status"):
        assert "must be a function or a bound method" in definition_fault(thing)


def test_a_function_that_yields_is_refused() -> None:
    def some() -> Iterator[int]:
        """Count."""
        yield 1

    async def more() -> AsyncIterator[int]:
        """Count."""
        yield 1

    assert "some() yields values" in definition_fault(some)
    assert "more() yields values" in definition_fault(more)


def test_a_fault_of_a_parameter_names_function_and_parameter() -> None:
    class Shop:
        def status(self, *orders: str) -> None:
            """Tell."""

    assert "'orders' of " in definition_fault(Shop().status)
    assert "Shop.status()" in definition_fault(Shop().status)


def test_a_docstring_that_describes_another_parameter_is_refused() -> None:
    def tool(order_id: str) -> None:
        """Tell.

        Args:
            order: the number
        """

    assert "tool() describes the parameter 'order'" in definition_fault(tool)


def test_a_refused_function_is_not_registered() -> None:
    tools = Tools()
    with pytest.raises(ToolDefinitionError):
        tools.tool(lambda: None)
    assert tools.definitions() == []
