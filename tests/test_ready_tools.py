import json

import pytest

from evibridge import Tools, ready_tools
from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.context import NoCall, ToolContext
from evibridge.tools_registry.outcome import ToolFailure, ToolOutcome, ToolResult
from evibridge.tools_registry.runner import ToolRunner

PLACES = {"the workshop": "+14155550100", "the desk": "sip:desk@shop.example"}


class RecordedCall(NoCall):
    """Keeps what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def send_digits(self, digits: str) -> None:
        self.asked.append(("press", digits))

    def hang_up(self) -> None:
        self.asked.append(("hang up", ""))

    def end_with(self, text: str) -> None:
        self.asked.append(("end with", text))

    def transfer(self, to: str) -> None:
        self.asked.append(("transfer", to))


@pytest.fixture
def tools() -> Tools:
    tools = Tools()
    tools.tool(ready_tools.hang_up)
    tools.tool(ready_tools.end_with)
    tools.tool(ready_tools.send_digits)
    tools.tool(ready_tools.transfer(PLACES))
    return tools


async def use(
    tools: Tools, name: str, **arguments: str
) -> tuple[ToolOutcome, list[tuple[str, str]]]:
    """What a tool answers, and what it asks of the call."""
    live = RecordedCall()
    context = ToolContext(call_id="c1", chat_id="e1", live=live)
    runner = ToolRunner(tools, default_timeout_s=5)
    outcome = await runner.run(name, json.dumps(arguments), context)
    await runner.close()
    return outcome, live.asked


@pytest.mark.parametrize(
    ("name", "arguments", "asked"),
    [
        ("hang_up", {}, ("hang up", "")),
        ("end_with", {"message": "Goodbye."}, ("end with", "Goodbye.")),
        ("send_digits", {"digits": "12w#"}, ("press", "12w#")),
        ("transfer", {"to": "the workshop"}, ("transfer", "+14155550100")),
        ("transfer", {"to": "the desk"}, ("transfer", "sip:desk@shop.example")),
    ],
)
async def test_each_acts_on_the_call(
    tools: Tools, name: str, arguments: dict[str, str], asked: tuple[str, str]
) -> None:
    outcome, done = await use(tools, name, **arguments)

    assert isinstance(outcome, ToolResult)
    assert done == [asked]


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
    outcome, done = await use(tools, name, **arguments)

    assert isinstance(outcome, ToolFailure)
    assert outcome.code == "bad_arguments"
    assert done == []


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
