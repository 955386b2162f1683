"""Through Hume's own SDK: tools of the client, and the engine's own two."""

import asyncio
import json

import pytest
from hume.empathic_voice import (
    AssistantEnd,
    BuiltinToolConfig,
    SessionSettings,
    Tool,
    ToolCallMessage,
    ToolErrorMessage,
    ToolResponseMessage,
    UserInput,
    WebSocketError,
)

from evibridge.engine.chat.timeouts import ChatLimits
from evibridge.engine.minds.mind import CallTool, HangUp, Say, ToolOutcome
from tests.engine.chat_client import serving
from tests.engine.chat_parts import RuleMind, Steps, ToneVoice
from tests.engine.hume_client import (
    ChatSocket,
    chatting,
    close_code,
    kinds,
    next_of,
    of_type,
    receive,
    rest,
    until,
    words,
)

SCHEMA = {"type": "object", "properties": {"order_id": {"type": "string"}}}
ORDER_STATUS = Tool(
    type="function",
    name="order_status",
    description="Tells where an order is.",
    parameters=json.dumps(SCHEMA),
    fallback_content="The shop's computer is down.",
)
LOOK = CallTool("order_status", {"order_id": "1042"})
FOUND = json.dumps({"summary": None, "references": [{"name": "News", "url": "https://e.org"}]})


def shop(said: str) -> Steps:
    return [Say("One moment."), LOOK] if "order" in said else [Say("Good.")]


def tell(outcome: ToolOutcome) -> Steps:
    return [Say(outcome.content or "I do not know.")]


async def called(chat: ChatSocket, tool: Tool = ORDER_STATUS) -> ToolCallMessage:
    """Offer a tool, ask for the order, and return the call."""
    await chat.send_publish(SessionSettings(tools=[tool]))
    await chat.send_publish(UserInput(text="Where is order 1042?"))
    return await next_of(chat, ToolCallMessage)


# Tools of the client


async def test_a_tool_is_offered_called_and_answered() -> None:
    mind = RuleMind(shop, after_tool=tell)
    async with serving(mind) as engine, chatting(engine) as chat:
        call = await called(chat)
        answer = ToolResponseMessage(
            tool_call_id=call.tool_call_id,
            tool_name="order_status",
            tool_type="function",
            content='{"status": "here"}',
        )
        await chat.send_publish(answer)
        turn = await until(chat, AssistantEnd)

    (offer,) = mind.prompts[0].tools
    assert (offer.name, offer.description) == ("order_status", "Tells where an order is.")
    assert offer.parameters == SCHEMA
    assert (call.name, call.tool_type, call.response_required) == ("order_status", "function", True)
    assert json.loads(call.parameters) == {"order_id": "1042"}
    assert words(turn)[-1] == '{"status": "here"}'
    assert mind.outcomes == [ToolOutcome('{"status": "here"}', failed=False)]
    assert mind.prompts[-1].history[-1].role == "tool"


@pytest.mark.parametrize(
    ("content", "fallback", "told"),
    [
        ("Ask later.", "It is down.", "Ask later."),
        (None, "It is down.", "It is down."),
        (None, None, "I do not know."),
    ],
)
async def test_a_failure_is_told_by_its_content_else_by_the_fallback_else_by_the_mind(
    content: str | None, fallback: str | None, told: str
) -> None:
    tool = ORDER_STATUS.model_copy(update={"fallback_content": fallback})
    mind = RuleMind(shop, after_tool=tell)
    async with serving(mind) as engine, chatting(engine) as chat:
        call = await called(chat, tool)
        failure = ToolErrorMessage(
            tool_call_id=call.tool_call_id,
            error="timeout after 8 s",
            code="timeout",
            level="warn",
            tool_type="function",
            content=content,
        )
        await chat.send_publish(failure)
        turn = await until(chat, AssistantEnd)

    assert words(turn)[-1] == told
    assert mind.outcomes[0].failed
    assert "timeout after" not in repr(mind.prompts[-1])


async def test_a_late_tool_is_given_up_with_the_fallback() -> None:
    mind = RuleMind(shop, after_tool=tell)
    limits = ChatLimits(tool_timeout_s=0.05)
    async with serving(mind, limits=limits) as engine, chatting(engine) as chat:
        call = await called(chat)
        turn = await until(chat, AssistantEnd)
        await chat.send_publish(ToolResponseMessage(tool_call_id=call.tool_call_id, content="Late"))
        late = await next_of(chat, ToolErrorMessage)

    (given_up,) = of_type(turn, ToolErrorMessage)
    assert (given_up.tool_call_id, given_up.level) == (call.tool_call_id, "warn")
    assert words(turn)[-1] == "The shop's computer is down."
    assert (late.tool_call_id, late.level) == (call.tool_call_id, "warn")
    assert len(mind.outcomes) == 1


async def test_a_caller_who_changes_his_mind_supersedes_the_call() -> None:
    mind = RuleMind(shop, after_tool=tell)
    async with serving(mind) as engine, chatting(engine) as chat:
        old = await called(chat)
        await chat.send_publish(UserInput(text="I mean order 1043."))
        new = await next_of(chat, ToolCallMessage)
        await chat.send_publish(ToolResponseMessage(tool_call_id=old.tool_call_id, content="Old"))
        refused = await next_of(chat, ToolErrorMessage)
        await chat.send_publish(ToolResponseMessage(tool_call_id=new.tool_call_id, content="New."))
        turn = await until(chat, AssistantEnd)

    assert refused.tool_call_id == old.tool_call_id != new.tool_call_id
    assert words(turn)[-1] == "New."
    assert [outcome.content for outcome in mind.outcomes] == ["New."]


async def test_an_answer_to_an_unknown_call_is_refused_and_changes_nothing() -> None:
    mind = RuleMind(shop, after_tool=tell)
    async with serving(mind) as engine, chatting(engine) as chat:
        call = await called(chat)
        await chat.send_publish(ToolResponseMessage(tool_call_id="call_unknown", content="What?"))
        refused = await next_of(chat, ToolErrorMessage)
        await chat.send_publish(ToolResponseMessage(tool_call_id=call.tool_call_id, content="Yes."))
        turn = await until(chat, AssistantEnd)

    assert refused.tool_call_id == "call_unknown"
    assert words(turn)[-1] == "Yes."


async def test_the_first_of_two_answers_counts() -> None:
    mind = RuleMind(shop, after_tool=tell)
    async with serving(mind) as engine, chatting(engine) as chat:
        call = await called(chat)
        for content in ("First.", "Second."):
            await chat.send_publish(
                ToolResponseMessage(tool_call_id=call.tool_call_id, content=content)
            )
        turn = await until(chat, AssistantEnd)
        await chat.send_publish(UserInput(text="Thanks."))
        after = await until(chat, AssistantEnd)

    assert words(turn)[-1] == "First."
    assert not of_type(turn + after, ToolErrorMessage)


async def test_tools_are_called_one_after_the_other() -> None:
    def again(outcome: ToolOutcome) -> Steps:
        return [LOOK] if outcome.content == "Look again." else tell(outcome)

    mind = RuleMind(shop, after_tool=again)
    async with serving(mind) as engine, chatting(engine) as chat:
        first = await called(chat)
        await chat.send_publish(
            ToolResponseMessage(tool_call_id=first.tool_call_id, content="Look again.")
        )
        second = await next_of(chat, ToolCallMessage)
        await chat.send_publish(
            ToolResponseMessage(tool_call_id=second.tool_call_id, content="It is here.")
        )
        turn = await until(chat, AssistantEnd)

    assert first.tool_call_id != second.tool_call_id
    assert words(turn) == ["It is here."]


async def test_a_schema_that_is_no_json_is_a_mistake() -> None:
    tool = ORDER_STATUS.model_copy(update={"parameters": "an order id"})
    mind = RuleMind(shop)
    async with serving(mind) as engine, chatting(engine) as chat:
        await chat.send_publish(SessionSettings(tools=[tool]))
        assert (await next_of(chat, WebSocketError)).code == "E0101"
        await chat.send_publish(UserInput(text="Hello?"))
        await until(chat, AssistantEnd)

    assert mind.prompts[-1].tools == []


# Tools of the engine


def built_in(name: str, fallback: str | None = None) -> SessionSettings:
    """Settings that allow a tool of the engine."""
    tool = BuiltinToolConfig.model_validate({"name": name, "fallback_content": fallback})
    return SessionSettings(builtin_tools=[tool])


async def test_the_agent_hangs_up_with_its_own_tool_after_the_farewell() -> None:
    mind = RuleMind(lambda _: [Say("Goodbye."), CallTool("hang_up", {})])
    async with serving(mind, voice=ToneVoice(200)) as engine, chatting(engine) as chat:
        await chat.send_publish(built_in("hang_up"))
        await chat.send_publish(UserInput(text="Bye."))
        events = await rest(chat)

        assert close_code(chat) == 1000
    (call,), (answer,) = of_type(events, ToolCallMessage), of_type(events, ToolResponseMessage)
    assert (call.name, call.tool_type, call.response_required) == ("hang_up", "builtin", False)
    assert (answer.tool_call_id, answer.tool_type) == (call.tool_call_id, "builtin")
    assert words(events) == ["Goodbye."]
    assert isinstance(events[-1], AssistantEnd)


async def test_a_mind_that_hangs_up_without_a_word_says_goodbye() -> None:
    async with (
        serving(RuleMind(lambda _: [HangUp()]), voice=ToneVoice(200)) as engine,
        chatting(engine) as chat,
    ):
        await chat.send_publish(UserInput(text="Bye."))
        events = await rest(chat)

        assert close_code(chat) == 1000
    assert words(events) == ["Goodbye."]


async def test_hanging_up_has_to_be_allowed_by_the_client() -> None:
    mind = RuleMind(lambda _: [CallTool("hang_up", {})], after_tool=lambda _: [Say("Hello?")])
    async with serving(mind) as engine, chatting(engine) as chat:
        await chat.send_publish(UserInput(text="Bye."))
        turn = await until(chat, AssistantEnd)

    assert kinds(turn) == ["user_message", "assistant_message", "audio_output", "assistant_end"]


async def test_the_agent_searches_the_web() -> None:
    async def search(query: str) -> str:
        queries.append(query)
        return FOUND

    queries: list[str] = []
    mind = RuleMind(
        lambda _: [CallTool("web_search", {"query": "news"})],
        after_tool=lambda outcome: [Say("News."), Say(str(outcome.content == FOUND))],
    )
    async with serving(mind, web_search=search) as engine, chatting(engine) as chat:
        await chat.send_publish(built_in("web_search"))
        await chat.send_publish(UserInput(text="What is new?"))
        turn = await until(chat, AssistantEnd)

    assert queries == ["news"]
    assert kinds(turn) == [
        *("user_message", "tool_call", "tool_response"),
        *["assistant_message", "audio_output"] * 2,
        "assistant_end",
    ]
    (call,), (answer,) = of_type(turn, ToolCallMessage), of_type(turn, ToolResponseMessage)
    assert (call.tool_type, call.response_required) == ("builtin", False)
    assert (answer.tool_call_id, answer.tool_name) == (call.tool_call_id, "web_search")
    assert answer.content == FOUND
    assert words(turn) == ["News.", "True"]


async def test_a_failed_search_is_told_with_the_fallback_of_the_client() -> None:
    async def search(query: str) -> str:
        raise OSError(query)

    mind = RuleMind(lambda _: [CallTool("web_search", {"query": "news"})], after_tool=tell)
    async with serving(mind, web_search=search) as engine, chatting(engine) as chat:
        await chat.send_publish(built_in("web_search", "The web is away."))
        await chat.send_publish(UserInput(text="What is new?"))
        turn = await until(chat, AssistantEnd)

    (error,) = of_type(turn, ToolErrorMessage)
    assert (error.tool_type, error.level) == ("builtin", "warn")
    assert words(turn) == ["The web is away."]


async def test_the_client_cannot_answer_for_the_engine() -> None:
    async def search(_: str) -> str:
        await searching.wait()
        return "Found."

    searching = asyncio.Event()
    mind = RuleMind(lambda _: [CallTool("web_search", {"query": "news"})], after_tool=tell)
    async with serving(mind, web_search=search) as engine, chatting(engine) as chat:
        await chat.send_publish(built_in("web_search"))
        await chat.send_publish(UserInput(text="What is new?"))
        call = await next_of(chat, ToolCallMessage)
        await chat.send_publish(ToolResponseMessage(tool_call_id=call.tool_call_id, content="No."))
        assert isinstance(await receive(chat), ToolErrorMessage)
        searching.set()
        assert words(await until(chat, AssistantEnd)) == ["Found."]
