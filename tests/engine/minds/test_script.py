from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from evibridge.engine.minds.mind import (
    Action,
    CallTool,
    Conversation,
    HangUp,
    HistoryEntry,
    Prompt,
    Say,
    ToolOffer,
    ToolOutcome,
)
from evibridge.engine.minds.script import ScriptedMind
from evibridge.errors import EngineSetupError

SCRIPT = """
greeting: Good day, {{caller}}.
turns:
  - name: order status
    heard: where is order {order_id:number}
    missing: {order_id: Which order?}
    call: {tool: order_status, with: {order_id: "{order_id}"}}
    meanwhile: One moment.
    failed: I cannot look it up.
  - name: goodbye
    heard: goodbye
    say: Goodbye.
    hang_up: true
fallback: Pardon?
"""
ORDER_STATUS = ToolOffer(
    "order_status",
    description="Tell where an order is.",
    parameters={"type": "object", "properties": {"order_id": {"type": "string"}}},
)
CALL = CallTool("order_status", {"order_id": "1042"})


@pytest.fixture
def mind(tmp_path: Path) -> ScriptedMind:
    path = tmp_path / "shop.yaml"
    path.write_text(SCRIPT, encoding="utf-8")
    return ScriptedMind.load(path)


def heard(*texts: str, tools: tuple[ToolOffer, ...] = (ORDER_STATUS,)) -> Prompt:
    history = [HistoryEntry("user", text) for text in texts]
    return Prompt(variables={"caller": "Ada"}, tools=list(tools), history=history)


async def actions(steps: AsyncIterator[Action]) -> list[Action]:
    return [step async for step in steps]


async def reply(conversation: Conversation, *texts: str) -> list[Action]:
    return await actions(conversation.reply(heard(*texts)))


async def test_a_conversation_goes_from_greeting_to_farewell(mind: ScriptedMind) -> None:
    conversation = mind.conversation()
    assert await actions(conversation.speak_up(heard(), "greeting")) == [Say("Good day, Ada.")]
    assert await reply(conversation, "Where is my order?") == [Say("Which order?")]
    assert await reply(conversation, "Where is my order?", "10 42") == [Say("One moment."), CALL]
    outcome = ToolOutcome("It arrives on Friday.", failed=False)
    assert await actions(conversation.after_tool(heard("10 42"), CALL, outcome)) == [
        Say("It arrives on Friday.")
    ]
    assert await reply(conversation, "Goodbye!") == [Say("Goodbye."), HangUp()]


async def test_a_failed_tool_is_told_in_its_own_words_or_in_those_of_the_script(
    mind: ScriptedMind,
) -> None:
    conversation = mind.conversation()
    for content, told in [("No such order.", "No such order."), (None, "I cannot look it up.")]:
        assert (await reply(conversation, "Where is order 1042?"))[-1] == CALL
        outcome = ToolOutcome(content, failed=True)
        assert await actions(conversation.after_tool(heard(), CALL, outcome)) == [Say(told)]


async def test_a_tool_that_is_not_offered_is_excused_and_logged_once(mind: ScriptedMind) -> None:
    with capture_logs() as logs:
        for _ in range(2):
            conversation = mind.conversation()
            prompt = heard("Where is order 1042?", tools=())
            assert await actions(conversation.reply(prompt)) == [Say("I cannot look it up.")]
    assert [entry for entry in logs if entry["log_level"] == "warning"] == [
        {"event": "script_tool_not_offered", "tool": "order_status", "log_level": "warning"}
    ]


async def test_a_reply_that_is_broken_off_does_not_harm_the_next(mind: ScriptedMind) -> None:
    conversation = mind.conversation()
    steps = conversation.reply(heard("Where is order 1042?"))
    assert await anext(steps) == Say("One moment.")
    assert await reply(conversation, "Elephants!") == [Say("Pardon?")]
    assert (await reply(conversation, "Where is order 1042?"))[-1] == CALL


async def test_conversations_of_one_mind_know_nothing_of_each_other(mind: ScriptedMind) -> None:
    assert (await reply(mind.conversation(), "Where is order 1042?"))[-1] == CALL
    assert await reply(mind.conversation(), "Where is my order?") == [Say("Which order?")]


async def test_the_turn_taken_is_logged_without_what_was_said(mind: ScriptedMind) -> None:
    with capture_logs() as logs:
        await reply(mind.conversation(), "Where is order 1042?")
    assert logs == [{"event": "script_turn", "turn": "order status", "log_level": "debug"}]


def test_a_script_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineSetupError, match="check the path"):
        ScriptedMind.load(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Hello!", "Hello! Nice to hear you."),
        ("How are you?", "Very well, thank you."),
        ("Who am I talking to? Who are you?", "I follow a script."),
        ("What can you do?", "the tools order status."),
        ("What did you say?", "I said, Hello, this is evibridge."),
        ("Thank you!", "You are welcome."),
        ("Tell me a story.", "lived happily ever after."),
        ("My name is Ada.", "Nice to meet you, Ada."),
        ("Quantum chromodynamics.", "I did not catch that."),
    ],
)
async def test_without_a_script_there_is_small_talk(said: str, answer: str) -> None:
    conversation = ScriptedMind.load().conversation()
    assert await actions(conversation.speak_up(heard(), "greeting"))
    (action,) = await reply(conversation, said)
    assert isinstance(action, Say)
    assert answer in action.text


async def test_small_talk_ends_with_a_goodbye() -> None:
    assert await reply(ScriptedMind.load().conversation(), "Bye bye!") == [
        Say("Goodbye!"),
        HangUp(),
    ]
