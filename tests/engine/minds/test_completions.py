"""The mind against a stand-in model in a process of its own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any, get_args

import pytest
from structlog.testing import capture_logs

from evibridge.engine.minds import completions
from evibridge.engine.minds.completions import CompletionsMind
from evibridge.engine.minds.mind import (
    Action,
    CallTool,
    Conversation,
    HistoryEntry,
    Occasion,
    Prompt,
    SayPart,
    ToolOffer,
    ToolOutcome,
    ToolUse,
)
from evibridge.errors import UpstreamFailed
from tests.engine.model_servers.running import RunningModel, running_model
from tests.engine.model_servers.variants import ANSWER

KEY = "sk-very-secret"
ASKED = HistoryEntry("user", "Where is my order?")
STATUS = ToolOffer("order_status", "Tells where an order is.")
PROMPT = Prompt(history=[ASKED])
WITH_TOOL = Prompt(history=[ASKED], tools=[STATUS])
CALL = CallTool("order_status", {"order_id": "1042"})

Thinks = Callable[..., Conversation]


@pytest.fixture(scope="module")
def process() -> Iterator[RunningModel]:
    with running_model() as process:
        yield process


@pytest.fixture
def server(process: RunningModel) -> RunningModel:
    process.forget()
    return process


@pytest.fixture
def next_try_comes_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completions, "RETRY_WAITS_S", (0.01, 0.02))


@pytest.fixture
async def thinks(server: RunningModel) -> AsyncIterator[Thinks]:
    """Makes the conversation of a mind whose model behaves in a certain way."""
    minds: list[CompletionsMind] = []

    def think(model: str | None = "normal", **settings: Any) -> Conversation:
        defaults = {"base_url": f"{server.origin}/v1", "api_key": KEY}
        mind = CompletionsMind(**{**defaults, **settings}, model=model)
        minds.append(mind)
        return mind.conversation()

    yield think
    for mind in minds:
        await mind.close()


async def read(source: AsyncIterator[Action], into: list[Action]) -> None:
    async with asyncio.timeout(20):
        async for action in source:
            into.append(action)  # noqa: PERF401 - what came before a failure counts


async def actions(source: AsyncIterator[Action]) -> list[Action]:
    """All of an answer."""
    done: list[Action] = []
    await read(source, done)
    return done


def abandoned(source: AsyncIterator[Action]) -> aclosing[AsyncGenerator[Action, None]]:
    """An answer that is closed before its end, as a chat does it."""
    assert isinstance(source, AsyncGenerator)
    return aclosing(source)


def text(spoken: list[Action]) -> str:
    return "".join(action.text for action in spoken if isinstance(action, SayPart))


async def failure(source: AsyncIterator[Action], said: str = "") -> UpstreamFailed:
    """How an answer fails that does not get further than this."""
    spoken: list[Action] = []
    with pytest.raises(UpstreamFailed) as failed:
        await read(source, spoken)
    assert text(spoken) == said
    assert KEY not in repr(failed.getrepr(chain=True))
    return failed.value


def bodies(server: RunningModel) -> list[dict[str, Any]]:
    return [request["body"] for request in server.requests()]


# Speaking


async def test_an_answer_is_spoken_word_by_word(thinks: Thinks) -> None:
    spoken = await actions(thinks().reply(PROMPT))
    assert len(spoken) > 10
    assert text(spoken).strip() == ANSWER.format(heard="Where is my order?")


async def test_a_word_is_there_before_the_answer_is_over(thinks: Thinks) -> None:
    async with abandoned(thinks("stalls").reply(PROMPT)) as spoken:
        assert await anext(spoken) == SayPart("Well, ")


async def test_an_answer_that_arrives_in_crumbs_is_whole(thinks: Thinks) -> None:
    crumbs = await actions(thinks("dribbles").reply(PROMPT))
    assert crumbs == await actions(thinks("normal").reply(PROMPT))


async def test_thoughts_of_the_model_are_not_spoken(thinks: Thinks) -> None:
    assert await actions(thinks("thinks").reply(PROMPT)) == [SayPart("Yes.")]


async def test_a_refusal_is_spoken(thinks: Thinks) -> None:
    assert text(await actions(thinks("refuses").reply(PROMPT))) == "I cannot help with that."


@pytest.mark.parametrize("occasion", get_args(Occasion))
async def test_a_model_that_speaks_unasked_is_told_why_and_offered_no_tools(
    thinks: Thinks, server: RunningModel, occasion: Occasion
) -> None:
    assert text(await actions(thinks().speak_up(WITH_TOOL, occasion)))
    body = bodies(server)[0]
    assert "does not hear" in body["messages"][-1]["content"]
    assert "tools" not in body
    assert "parallel_tool_calls" not in body


async def test_a_tool_that_a_model_calls_without_having_it_is_not_called(thinks: Thinks) -> None:
    assert await actions(thinks("useless-arguments").speak_up(WITH_TOOL, "nudge")) == []


# What the model is told


async def test_a_request_says_what_the_owner_chose(thinks: Thinks, server: RunningModel) -> None:
    await actions(thinks(temperature=0.2, max_tokens=100).reply(PROMPT))
    (request,) = server.requests()
    assert request["authorization"] == f"Bearer {KEY}"
    assert request["query"] == {}
    body = request["body"]
    assert body["messages"][1:] == [{"role": "user", "content": "Where is my order?"}]
    assert {name: body[name] for name in body if name != "messages"} == {
        "model": "normal",
        "stream": True,
        "temperature": 0.2,
        "max_tokens": 100,
    }


async def test_what_the_owner_did_not_choose_is_left_to_the_service(
    thinks: Thinks, server: RunningModel
) -> None:
    await actions(thinks().reply(PROMPT))
    assert bodies(server)[0].keys() == {"model", "messages", "stream"}


async def test_the_key_of_the_client_goes_before_that_of_the_engine(
    thinks: Thinks, server: RunningModel
) -> None:
    conversation = thinks()
    await actions(conversation.reply(Prompt(history=[ASKED], language_model_api_key="sk-client")))
    await actions(conversation.reply(PROMPT))
    asked_with = [request["authorization"] for request in server.requests()]
    assert asked_with == ["Bearer sk-client", f"Bearer {KEY}"]


async def test_a_key_of_the_client_that_cannot_be_one_is_not_shown(thinks: Thinks) -> None:
    prompt = Prompt(history=[ASKED], language_model_api_key="sk-ключ\n")
    failed = await failure(thinks().reply(prompt))
    assert "language_model_api_key" in str(failed)
    assert "ключ" not in str(failed)


async def test_no_key_of_the_environment_is_shown_to_a_service_that_wants_none(
    thinks: Thinks, server: RunningModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    await actions(thinks(api_key=None).reply(PROMPT))
    assert server.requests()[0]["authorization"] is None


async def test_openai_itself_knows_the_limit_of_tokens_by_another_name(
    thinks: Thinks, server: RunningModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completions, "_OPENAI_HOST", "127.0.0.1")
    await actions(thinks(max_tokens=100).reply(PROMPT))
    assert bodies(server)[0]["max_completion_tokens"] == 100
    assert "max_tokens" not in bodies(server)[0]


# EVI's custom language model


async def test_a_custom_language_model_is_told_the_name_of_the_session(
    thinks: Thinks, server: RunningModel
) -> None:
    conversation = thinks(None, base_url=server.origin, sends_session_id=True)
    prompt = Prompt(history=[ASKED], custom_session_id="call 4711 & more")
    assert text(await actions(conversation.reply(prompt)))
    (request,) = server.requests()
    assert request["path"] == "/chat/completions"
    assert request["query"] == {"custom_session_id": "call 4711 & more"}
    assert request["body"].keys() == {"messages", "stream"}


async def test_a_session_without_a_name_is_not_given_one(
    thinks: Thinks, server: RunningModel
) -> None:
    await actions(thinks(None, base_url=server.origin, sends_session_id=True).reply(PROMPT))
    assert server.requests()[0]["query"] == {}


@pytest.mark.parametrize("end", ["", "/", "/chat/completions", "/chat/completions/"])
async def test_an_address_may_be_written_with_its_end_and_a_query(
    thinks: Thinks, server: RunningModel, end: str
) -> None:
    address = f"{server.origin}/normal{end}?shop=7"
    conversation = thinks(None, base_url=address, sends_session_id=True)
    await actions(conversation.reply(Prompt(history=[ASKED], custom_session_id="4711")))
    (request,) = server.requests()
    assert request["path"] == "/normal/chat/completions"
    assert request["query"] == {"shop": "7", "custom_session_id": "4711"}


# Tools


async def test_a_tool_call_is_the_last_action_and_its_result_is_told(
    thinks: Thinks, server: RunningModel
) -> None:
    conversation = thinks("calls-tool")
    assert await actions(conversation.reply(WITH_TOOL)) == [SayPart("One moment. "), CALL]
    said = HistoryEntry("assistant", "One moment.")
    result = HistoryEntry("tool", "It is late.", ToolUse("call_7f", CALL.name, CALL.arguments))
    after = Prompt(history=[ASKED, said, result], tools=[STATUS])
    spoken = await actions(conversation.after_tool(after, CALL, ToolOutcome("It is late.", False)))
    assert text(spoken).strip() == "The tool said: It is late."
    first, second = bodies(server)
    assert first["tools"][0]["function"]["name"] == "order_status"
    assert first["parallel_tool_calls"] is False
    assert [message["role"] for message in second["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
    ]


async def test_of_two_tool_calls_the_first_is_made(thinks: Thinks) -> None:
    assert await actions(thinks("calls-two-tools").reply(WITH_TOOL)) == [CallTool("first", {})]


async def test_a_server_that_knows_no_parallel_tool_calls_is_asked_without_them_from_then_on(
    thinks: Thinks, server: RunningModel
) -> None:
    conversation = thinks("without-parallel-tool-calls")
    for _ in range(2):
        assert (await actions(conversation.reply(WITH_TOOL)))[-1] == CALL
    assert ["parallel_tool_calls" in body for body in bodies(server)] == [True, False, False]


async def test_a_request_refused_for_another_reason_leaves_that_parameter_alone(
    thinks: Thinks, server: RunningModel
) -> None:
    conversation = thinks("status-400")
    for _ in range(2):
        assert "refuses the request" in str(await failure(conversation.reply(WITH_TOOL)))
    sent = ["parallel_tool_calls" in body for body in bodies(server)]
    assert sent == [True, False, True, False]


async def test_useless_arguments_are_told_to_the_model_which_may_correct_them(
    thinks: Thinks, server: RunningModel
) -> None:
    assert await actions(thinks("useless-arguments-once").reply(WITH_TOOL)) == [CALL]
    call, result = bodies(server)[1]["messages"][-2:]
    assert call["tool_calls"][0]["function"]["name"] == "order_status"
    assert '{"order_id": ' in result["content"]


async def test_useless_arguments_twice_are_a_failure(thinks: Thinks, server: RunningModel) -> None:
    failed = await failure(thinks("useless-arguments").reply(WITH_TOOL))
    assert "calling tools" in str(failed)
    assert len(bodies(server)) == 2


# Failures


@pytest.mark.usefixtures("next_try_comes_soon")
@pytest.mark.parametrize(
    ("model", "words", "tries"),
    [
        ("status-400", "refuses the request", 1),
        ("status-401", "API key", 1),
        ("status-404", "no model status-404", 1),
        ("status-429", "quota", 3),
        ("status-500", "out of order", 3),
        ("html-404", "check its address", 1),
        ("html", "check that its address", 1),
        ("resets", "cannot be reached", 3),
        ("reports-error", "an error instead", 3),
        ("garbage", "check its address", 1),
        ("garbage-bytes", "check its address", 1),
        ("deep-garbage", "check its address", 1),
        ("other-json", "check its address", 1),
        ("empty", "gave an empty answer", 1),
        ("empty-by-length", "used up its tokens", 1),
        ("empty-by-filter", "content filter", 1),
    ],
)
async def test_a_failure_is_one_sentence_and_another_try_is_made_where_it_may_help(
    thinks: Thinks, server: RunningModel, model: str, words: str, tries: int
) -> None:
    failed = await failure(thinks(model).reply(PROMPT))
    assert words in str(failed)
    assert str(failed).endswith(".")
    assert not failed.timed_out
    assert len(bodies(server)) == tries


@pytest.mark.usefixtures("next_try_comes_soon")
@pytest.mark.parametrize(
    "model", ["busy-once", "out-of-order-twice", "resets-once", "cut-before-words"]
)
async def test_a_failure_that_passes_is_not_noticed(thinks: Thinks, model: str) -> None:
    assert text(await actions(thinks(model).reply(PROMPT))).startswith("Grüß Gott")


async def test_an_answer_that_breaks_off_is_not_begun_again(
    thinks: Thinks, server: RunningModel
) -> None:
    failed = await failure(thinks("cut").reply(PROMPT), said="Well, ")
    assert "broke off" in str(failed)
    assert len(bodies(server)) == 1


@pytest.mark.parametrize("model", ["never", "slow"])
async def test_a_model_that_does_not_begin_in_time_is_given_up(
    thinks: Thinks, server: RunningModel, model: str
) -> None:
    failed = await failure(thinks(model, first_token_timeout_s=0.3).reply(PROMPT))
    assert failed.timed_out
    assert "within 0.3 s" in str(failed)
    assert await server.last_end() == "client_left"
    assert len(bodies(server)) == 1


async def test_further_tries_stay_within_the_time_for_the_first_word(
    thinks: Thinks, server: RunningModel
) -> None:
    failed = await failure(thinks("status-500", first_token_timeout_s=0.19).reply(PROMPT))
    assert "out of order" in str(failed)
    assert len(bodies(server)) == 1


async def test_a_model_that_falls_silent_in_the_middle_is_given_up(
    thinks: Thinks, server: RunningModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completions, "GAP_TIMEOUT_S", 0.3)
    failed = await failure(thinks("stalls").reply(PROMPT), said="Well, ")
    assert failed.timed_out
    assert "paused" in str(failed)
    assert await server.last_end() == "client_left"


@pytest.mark.usefixtures("next_try_comes_soon")
async def test_a_server_that_is_not_there_is_named(thinks: Thinks) -> None:
    failed = await failure(thinks(base_url="http://127.0.0.1:1/v1").reply(PROMPT))
    assert str(failed).startswith("The language model at http://127.0.0.1:1/v1 cannot be reached")


@pytest.mark.usefixtures("next_try_comes_soon")
async def test_what_fails_is_logged_without_keys_and_words(thinks: Thinks) -> None:
    with capture_logs() as logs:
        await failure(thinks("status-401").reply(PROMPT))
        await failure(thinks("status-500").reply(PROMPT))
    assert logs
    assert KEY not in str(logs)
    assert "Where is my order?" not in str(logs)


# Interruptions


async def test_an_answer_that_nobody_wants_any_more_ends_at_the_server(
    thinks: Thinks, server: RunningModel
) -> None:
    async with abandoned(thinks("stalls").reply(PROMPT)) as spoken:
        await anext(spoken)
    assert await server.last_end() == "client_left"


@pytest.mark.parametrize("model", ["never", "slow", "stalls"])
async def test_a_reader_that_is_cancelled_ends_the_request(
    thinks: Thinks, server: RunningModel, model: str
) -> None:
    reader = asyncio.create_task(actions(thinks(model).reply(PROMPT)))
    await server.asked()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert await server.last_end() == "client_left"


async def test_a_conversation_goes_on_after_an_interruption(thinks: Thinks) -> None:
    conversation = thinks()
    async with abandoned(conversation.reply(PROMPT)) as spoken:
        await anext(spoken)
    assert text(await actions(conversation.reply(PROMPT))).startswith("Grüß Gott")
    await conversation.close()


async def test_many_conversations_speak_at_once(thinks: Thinks) -> None:
    conversation = thinks()
    prompts = [Prompt(history=[HistoryEntry("user", f"Order {n}.")]) for n in range(40)]
    answers = await asyncio.gather(*(actions(conversation.reply(p)) for p in prompts))
    for number, answer in enumerate(answers):
        assert f"Order {number}." in text(answer)
