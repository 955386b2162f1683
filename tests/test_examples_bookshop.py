"""The book shop of the examples: its script, its tools, and how the two fit."""

import importlib.util
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType

import orjson
import pytest

from evibridge import Agent, ToolContext
from evibridge.engine.minds.mind import (
    Action,
    CallTool,
    HangUp,
    HistoryEntry,
    Prompt,
    Say,
    ToolOffer,
    ToolOutcome,
)
from evibridge.engine.minds.script import ScriptedMind
from evibridge.engine.minds.scripted.definition import Script, Texts, Turn
from evibridge.engine.minds.scripted.script_file import read_script
from evibridge.tools_registry.outcome import ToolResult
from evibridge.tools_registry.runner import ToolRunner
from tests.tools_registry.nobody import NOBODY

EXAMPLE = Path(__file__).parents[1] / "examples" / "bookshop.py"


@pytest.fixture
def bookshop() -> ModuleType:
    """The example as a fresh module, so that no test sees the reservations of another."""
    spec = importlib.util.spec_from_file_location("bookshop", EXAMPLE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def agent(bookshop: ModuleType) -> Agent:
    agent = bookshop.agent
    assert isinstance(agent, Agent)
    return agent


@pytest.fixture
def script(agent: Agent) -> Script:
    assert agent.script
    return read_script(Path(agent.script))


class Caller:
    """A caller of the shop; the shop's own tools are run."""

    def __init__(self, agent: Agent, runner: ToolRunner) -> None:
        self._conversation = ScriptedMind.load(Path(agent.script or "")).conversation()
        self._runner = runner
        self._context = ToolContext(call_id="call", chat_id="chat", caller="+15550100")
        self._tools = [
            ToolOffer(tool.name, tool.description, tool.parameters, tool.fallback)
            for tool in agent.tools.definitions()
        ]

    async def is_greeted(self) -> list[Action]:
        prompt = Prompt(tools=self._tools)
        return [step async for step in self._conversation.speak_up(prompt, "greeting")]

    async def says(self, text: str) -> list[Action]:
        """Say something; returns what the caller notices: words and the end of the call."""
        prompt = Prompt(tools=self._tools, history=[HistoryEntry("user", text)])
        return [step async for step in self._played(prompt, self._conversation.reply(prompt))]

    async def hears(self, text: str) -> str:
        """Say something; returns the words of the answer."""
        return " ".join(step.text for step in await self.says(text) if isinstance(step, Say))

    async def _played(self, prompt: Prompt, steps: AsyncIterator[Action]) -> AsyncIterator[Action]:
        async for step in steps:
            if not isinstance(step, CallTool):
                yield step
                continue
            arguments = orjson.dumps(step.arguments).decode()
            result = await self._runner.run(step.name, arguments, self._context, NOBODY)
            outcome = ToolOutcome(result.content, failed=not isinstance(result, ToolResult))
            after = self._conversation.after_tool(prompt, step, outcome)
            async for following in self._played(prompt, after):
                yield following


@pytest.fixture
async def caller(agent: Agent) -> AsyncIterator[Caller]:
    runner = ToolRunner(agent.tools, default_timeout_s=5)
    yield Caller(agent, runner)
    await runner.close()


def all_turns(turns: tuple[Turn, ...]) -> Iterator[Turn]:
    for turn in turns:
        yield turn
        yield from all_turns(turn.answers)


def test_the_script_calls_the_tools_that_the_agent_has(agent: Agent, script: Script) -> None:
    offered = {tool.name: tool.parameters for tool in agent.tools.definitions()}
    called = [turn.call for turn in all_turns(script.turns) if turn.call]
    assert {call.tool for call in called} == offered.keys()
    for call in called:
        assert call.arguments.keys() == offered[call.tool]["properties"].keys()


def test_every_sentence_of_the_script_is_finished(script: Script) -> None:
    """A comma in a YAML list cuts a sentence in two, and nobody notices until it is spoken."""

    def texts() -> Iterator[Texts]:
        yield script.greeting
        yield script.fallback
        for turn in all_turns(script.turns):
            yield from (turn.say, turn.meanwhile, turn.failed, *turn.missing.values())

    for variants in texts():
        for variant in variants:
            *_, last = variant.parts
            assert not isinstance(last, str) or last.endswith((".", "?", "!")), last


@pytest.mark.parametrize(
    "question",
    [
        "Where is order 1042?",
        "Where is order 10 42?",
        "Where is order 10-42?",
        "Where is order 1,042?",
        "Where is order 10.42?",
        "Where is order ten forty-two?",
        "Where is order 1 0 4 2?",
        "Where's my order, one zero four two?",
        "Hello, um, where is my order number one oh four two, please?",
        "What is the status of order number one thousand and forty-two?",
        "Can you tell me where my parcel 1042 is?",
        "Could you track order 1042 for me?",
        "What about order 1042?",
        "Will order 1042 arrive by Friday?",
        "When does order 1042 come?",
        "Has order 1042 left already?",
        "Has my parcel ten forty-two arrived yet?",
        "Order 1042.",
        "It's 1042.",
        "Where in order number, one oh for two.",
    ],
)
async def test_order_1042_is_found(caller: Caller, question: str) -> None:
    assert "Order 1042 is on its way and arrives on Friday." in await caller.hears(question)


async def test_an_order_is_asked_for_its_number(caller: Caller) -> None:
    assert "number on the receipt" in await caller.hears("Where is my order?")
    assert "arrives on Friday" in await caller.hears("Ten forty two.")
    assert "arrives on Friday" in await caller.hears("When will my order arrive?")


async def test_an_unknown_number_can_be_put_right(caller: Caller) -> None:
    assert "no order with the number 1 1 4 2" in await caller.hears("Where is order 1,142?")
    assert "arrives on Friday" in await caller.hears("1 0 4 2")


async def test_another_order_can_be_asked_for(caller: Caller) -> None:
    await caller.hears("Where is order 1042?")
    assert "number of that order" in await caller.hears("And my other order?")
    assert "delivered on Monday" in await caller.hears("19, O5.")


async def test_a_book_is_found_and_put_aside(caller: Caller, bookshop: ModuleType) -> None:
    answer = await caller.hears("Good morning, do you have pride in prejudice?")
    assert "we have Pride and Prejudice. It costs seven pounds." in answer
    assert "Under what name?" in await caller.hears("Yes, please.")
    assert "under the name of Ada Lovelace" in await caller.hears("My name is ada lovelace.")
    assert bookshop.reserved == [("Pride and Prejudice", "Ada Lovelace", "+15550100")]


async def test_a_book_is_reserved_in_one_sentence(caller: Caller, bookshop: ModuleType) -> None:
    await caller.hears("Could you reserve The Hobbit for Ada, please?")
    assert bookshop.reserved == [("The Hobbit", "Ada", "+15550100")]


async def test_it_is_the_book_that_was_talked_about(caller: Caller, bookshop: ModuleType) -> None:
    await caller.hears("How much is The Hobbit?")
    assert "what name" in await caller.hears("Please keep it for me.")
    await caller.hears("Ada.")
    assert bookshop.reserved == [("The Hobbit", "Ada", "+15550100")]


async def test_a_book_is_put_aside_however_that_is_written(
    caller: Caller, bookshop: ModuleType
) -> None:
    await caller.hears("Could you put a side pride and prejudice for Charles?")
    assert bookshop.reserved == [("Pride and Prejudice", "Charles", "+15550100")]


async def test_a_book_is_reserved_question_by_question(
    caller: Caller, bookshop: ModuleType
) -> None:
    assert "Which book" in await caller.hears("I'd like to reserve a book.")
    assert "what name" in await caller.hears("Moby Dick")
    await caller.hears("It's Ada")
    assert bookshop.reserved == [("Moby Dick", "Ada", "+15550100")]


async def test_a_book_that_is_not_there_is_told(caller: Caller) -> None:
    assert "cannot find the phone book" in await caller.hears("Do you have the phone book?")


@pytest.mark.parametrize(
    ("mood", "title"),
    [
        ("Something funny.", "Three Men in a Boat"),
        ("A murder, please.", "Murder on the Orient Express"),
        ("The stars.", "A Brief History of Time"),
    ],
)
async def test_a_recommendation_ends_in_a_reservation(
    caller: Caller, bookshop: ModuleType, mood: str, title: str
) -> None:
    assert "funny" in await caller.hears("Could you recommend a good book?")
    assert title in await caller.hears(mood)
    assert "Under what name?" in await caller.hears("Yes please.")
    await caller.hears("Ada.")
    assert bookshop.reserved == [(title, "Ada", "+15550100")]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("What are your opening hours?", "from nine to six"),
        ("while you're opening hours.", "from nine to six"),
        ("When do you close on Saturday?", "from nine to six"),
        ("when you clone on Saturday.", "from nine to six"),
        ("What time do you open on Sunday?", "On Sundays we are closed"),
        ("Once time will open on Sunday.", "On Sundays we are closed"),
        ("is the shop open on Sunday.", "On Sundays we are closed"),
        ("Where is the book shop?", "Lantern Lane"),
        ("How much is the delivery?", "three pounds"),
        ("How long does delivery take?", "two to three days"),
        ("What does it cost to send a book?", "three pounds"),
        ("How much is Moby Dick?", "eleven pounds"),
        ("How much does a book cost?", "between six and twelve pounds"),
        ("Do you sell gift vouchers?", "A voucher may have any value"),
        ("I'm looking for a present for my mother.", "something funny"),
        ("Can I bring back a book?", "with the receipt"),
        ("Are you a robot?", "the voice of the Paper Lantern"),
        ("How are you today?", "Very well, thank you"),
        ("Tell me a joke.", "maths book"),
        ("Tell me a long story.", "Once upon a time"),
        ("Read Me A Bed Time Story.", "Once upon a time"),
        ("Do you know a good story?", "Once upon a time"),
        ("What is the name of the cat?", "Comma"),
        ("What is your favourite book?", "Moby Dick"),
        ("What can you do?", "I can look up an order"),
        ("Can I speak to a human?", "the cat"),
        ("Could you repeat that, please?", "I said, Good day, this is the Paper Lantern"),
        ("Thank you very much.", "You are very welcome"),
        ("Colourless green ideas sleep furiously.", "I did not catch that"),
    ],
)
async def test_questions_are_understood_as_recognisers_write_them(
    caller: Caller, said: str, answer: str
) -> None:
    await caller.is_greeted()
    assert answer in await caller.hears(said)


@pytest.mark.parametrize("wish", ["Tell me about the shop.", "Tell me a story."])
async def test_a_long_answer_is_worth_interrupting(caller: Caller, wish: str) -> None:
    answer = await caller.hears(wish)
    assert answer.count(". ") >= 4


@pytest.mark.parametrize(
    "said",
    [
        "Goodbye!",
        "Good bye.",
        "Bye bye!",
        "No thanks, that's all.",
        "No things, that's all.",
        "That would be all. Thank you, bye!",
        "Have a nice day!",
    ],
)
async def test_a_farewell_ends_the_call(caller: Caller, said: str) -> None:
    *_, last = await caller.says(said)
    assert last == HangUp()


@pytest.mark.parametrize("excuse", ["I don't have the number.", "Never mind."])
async def test_a_caller_without_a_number_finds_a_way_out(caller: Caller, excuse: str) -> None:
    assert "number" in await caller.hears("Where is my order?")

    assert "anything else" in await caller.hears(excuse)


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("I'd like to order a book for my daughter.", "Name a title"),
        ("Which books do you have?", "Three thousand"),
        ("Can I pay by card?", "By card"),
        ("Cancel my reservation.", "Nothing is lost"),
    ],
)
async def test_an_ordinary_wish_is_understood(caller: Caller, said: str, answered: str) -> None:
    assert answered in await caller.hears(said)
