import json

import pytest

from evibridge import Tools, ready_tools
from evibridge.errors import ToolDefinitionError
from evibridge.testing import FakeCall, fake_call
from evibridge.tools_registry.outcome import ToolFailure, ToolOutcome, ToolResult
from evibridge.tools_registry.runner import ToolRunner
from tests.tools_registry.nobody import NOBODY

PLACES = {"the workshop": "+14155550100", "the desk": "sip:desk@shop.example"}


@pytest.fixture
def tools() -> Tools:
    tools = Tools()
    tools.tool(ready_tools.hang_up)
    tools.tool(ready_tools.end_with)
    tools.tool(ready_tools.send_digits)
    tools.tool(ready_tools.transfer(PLACES))
    return tools


async def use(tools: Tools, name: str, **arguments: str) -> tuple[ToolOutcome, FakeCall]:
    """What a tool answers, and what it asks of the call."""
    call = fake_call()
    runner = ToolRunner(tools, default_timeout_s=5)
    outcome = await runner.run(name, json.dumps(arguments), call.context, NOBODY)
    await runner.close()
    return outcome, call


async def test_a_call_is_hung_up(tools: Tools) -> None:
    outcome, call = await use(tools, "hang_up")

    assert isinstance(outcome, ToolResult)
    assert call.hung_up


async def test_a_call_ends_with_a_message(tools: Tools) -> None:
    outcome, call = await use(tools, "end_with", message="Goodbye.")

    assert isinstance(outcome, ToolResult)
    assert call.ended_with == "Goodbye."


async def test_keys_are_pressed(tools: Tools) -> None:
    outcome, call = await use(tools, "send_digits", digits="12w#")

    assert isinstance(outcome, ToolResult)
    assert call.digits_sent == ["12w#"]


@pytest.mark.parametrize("to", PLACES)
async def test_a_caller_is_put_through_to_a_place(tools: Tools, to: str) -> None:
    outcome, call = await use(tools, "transfer", to=to)

    assert isinstance(outcome, ToolResult)
    assert call.transferred_to == PLACES[to]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("end_with", {"message": ""}),
        ("send_digits", {"digits": "call me"}),
        ("send_digits", {"digits": "1" * 65}),
        ("transfer", {"to": "+19005550199"}),
    ],
)
async def test_what_cannot_be_done_is_told_to_the_model_and_not_done(
    tools: Tools, name: str, arguments: dict[str, str]
) -> None:
    outcome, call = await use(tools, name, **arguments)

    assert isinstance(outcome, ToolFailure)
    assert outcome.code == "bad_arguments"
    assert (call.ended_with, call.digits_sent, call.transferred_to) == (None, [], None)


def test_the_model_sees_the_places_and_no_number(tools: Tools) -> None:
    definitions = {each.name: each for each in tools.definitions()}

    assert definitions["transfer"].parameters["properties"]["to"]["enum"] == list(PLACES)
    assert "+1415" not in json.dumps([each.parameters for each in definitions.values()])


@pytest.mark.parametrize(
    ("places", "sentence"),
    [
        ({}, "at least one place"),
        ({"the workshop": "0155 55"}, r"The number of 'the workshop' in transfer\(\) must be"),
    ],
)
def test_places_that_cannot_be_dialled_are_refused(places: dict[str, str], sentence: str) -> None:
    with pytest.raises(ToolDefinitionError, match=sentence):
        ready_tools.transfer(places)
