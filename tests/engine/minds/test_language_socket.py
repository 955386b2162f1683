import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from evibridge.engine.minds import language_socket
from evibridge.engine.minds.language_socket import MAX_ANSWER_BYTES, LanguageSocketMind
from evibridge.engine.minds.mind import (
    Action,
    CallTool,
    Conversation,
    HistoryEntry,
    Prompt,
    Say,
    SayPart,
    ToolOutcome,
    ToolUse,
)
from evibridge.engine.voices.sentences import SentenceStream
from evibridge.errors import SettingsError, UpstreamFailed
from tests.engine.language_socket_server import RunningModel, running_model

PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def process() -> Iterator[RunningModel]:
    with running_model() as process:
        yield process


@pytest.fixture
def model(process: RunningModel) -> RunningModel:
    process.forget()
    return process


@asynccontextmanager
async def talking(
    model: RunningModel, variant: str, api_key: str | None = None, timeout_s: float = 10.0
) -> AsyncIterator[Conversation]:
    mind = LanguageSocketMind(model.url(variant), api_key, timeout_s)
    conversation = mind.conversation()
    async with asyncio.timeout(PATIENCE_S):
        yield conversation
        await conversation.close()


def heard(text: str) -> Prompt:
    return Prompt(history=[HistoryEntry("user", text)])


async def parts(steps: AsyncIterator[Action]) -> list[str]:
    actions = [step async for step in steps]
    assert all(isinstance(step, SayPart) for step in actions)
    return [step.text for step in actions if isinstance(step, SayPart)]


async def failure(steps: AsyncIterator[Action]) -> UpstreamFailed:
    with pytest.raises(UpstreamFailed) as caught:
        await parts(steps)
    return caught.value


async def test_the_model_is_told_the_conversation_and_its_answer_is_spoken(
    model: RunningModel,
) -> None:
    history = [
        HistoryEntry("assistant", "Hello."),
        HistoryEntry("user", "Is my order late?"),
        HistoryEntry("tool", "It is.", ToolUse("call_1", "order_status", {})),
        HistoryEntry("user", "Well?"),
        HistoryEntry("assistant", "It"),
    ]
    prompt = Prompt(
        system_prompt="Be short.", context="Calm.", history=history, custom_session_id="call-1"
    )
    async with talking(model, "answers") as conversation:
        assert await parts(conversation.reply(prompt)) == ["You said: It"]
    (request,) = await model.requests()
    assert request["custom_session_id"] == "call-1"
    assert [(entry["type"], entry["message"]) for entry in request["messages"]] == [
        ("assistant_message", {"role": "assistant", "content": "Hello."}),
        ("user_message", {"role": "user", "content": "Is my order late?"}),
        ("user_message", {"role": "user", "content": "Well? {Context: Calm.}"}),
        ("assistant_message", {"role": "assistant", "content": "It"}),
    ]
    assert request["messages"][0]["models"] == {"prosody": {"scores": {}}}


async def test_all_turns_of_a_chat_share_one_connection(model: RunningModel) -> None:
    async with talking(model, "answers") as conversation:
        assert await parts(conversation.reply(heard("one"))) == ["You said: one"]
        assert await parts(conversation.reply(heard("two"))) == ["You said: two"]
    (connection,) = await model.connections(closed=1)
    assert len(connection["requests"]) == 2


async def test_chats_do_not_share_a_connection(model: RunningModel) -> None:
    mind = LanguageSocketMind(model.url("answers"))
    chats = [mind.conversation(), mind.conversation()]
    answers = await asyncio.gather(
        *(parts(chat.reply(heard(name))) for chat, name in zip(chats, "ab", strict=True))
    )
    assert answers == [["You said: a"], ["You said: b"]]
    for chat in chats:
        await chat.close()
    assert len(await model.connections(closed=2)) == 2


@pytest.mark.parametrize(
    ("engines", "clients", "sent"),
    [
        (None, None, None),
        ("engine", None, "Bearer engine"),
        (None, "client", "Bearer client"),
        ("engine", "client", "Bearer client"),
    ],
)
async def test_the_key_of_the_client_comes_before_the_one_of_the_engine(
    model: RunningModel, engines: str | None, clients: str | None, sent: str | None
) -> None:
    prompt = Prompt(history=[HistoryEntry("user", "Hi")], language_model_api_key=clients)
    async with talking(model, "answers", engines) as conversation:
        await parts(conversation.reply(prompt))
    (connection,) = await model.connections()
    assert connection["authorization"] == sent
    assert connection["query"] == ""


async def test_a_name_that_the_model_gives_the_chat_is_sent_back(model: RunningModel) -> None:
    async with talking(model, "names") as conversation:
        for custom_session_id in (None, None, "by-the-client"):
            prompt = Prompt(
                history=[HistoryEntry("user", "Hi")], custom_session_id=custom_session_id
            )
            await parts(conversation.reply(prompt))
    names = [request["custom_session_id"] for request in await model.requests()]
    assert names == [None, "by-the-model", "by-the-client"]


async def test_words_are_passed_on_as_they_come(model: RunningModel) -> None:
    async with talking(model, "dribbles") as conversation:
        said = await parts(conversation.reply(heard("good. Morning")))
    assert said == ["You ", "said: ", "good. ", "Morning "]


async def test_whole_sentences_are_kept_apart(model: RunningModel) -> None:
    async with talking(model, "sends-sentences") as conversation:
        said = await parts(conversation.reply(heard("Hi")))
    stream = SentenceStream()
    spoken = [sentence for part in said for sentence in stream.feed(part)] + stream.flush()
    assert spoken == ["Hello.", "How are you?", "It is 3.5 degrees, says the U. S."]


async def test_a_slow_model_is_waited_for(model: RunningModel) -> None:
    async with talking(model, "is-slow") as conversation:
        assert await parts(conversation.reply(heard("Hi"))) == ["You said: Hi"]


async def test_messages_of_other_types_and_empty_texts_are_passed_over(
    model: RunningModel,
) -> None:
    async with talking(model, "chatters") as conversation:
        assert await parts(conversation.reply(heard("Hi"))) == ["As bytes."]


async def test_what_comes_outside_of_a_turn_is_no_answer(model: RunningModel) -> None:
    async with talking(model, "talks-on") as conversation:
        for text in ("one", "two"):
            assert await parts(conversation.reply(heard(text))) == [f"You said: {text}"]
            (connection,) = await model.connections()  # behind the late words: they are here
    assert len(connection["requests"]) == 2


async def test_an_answer_that_is_given_up_is_not_taken_for_the_next(model: RunningModel) -> None:
    async with talking(model, "never-ends") as conversation:
        for text in ("one", "two"):
            steps = conversation.reply(heard(text))
            assert await anext(steps) == SayPart(f"{text} 0 ")
            assert await anext(steps) == SayPart(f"{text} 1 ")
            await steps.aclose()  # type: ignore[attr-defined] # a generator, as every mind's
        first, second = await model.connections(closed=2)
    assert [len(first["requests"]), len(second["requests"])] == [1, 1]


async def test_a_turn_that_is_cancelled_closes_its_connection(model: RunningModel) -> None:
    async with talking(model, "stalls") as conversation:
        steps = conversation.reply(heard("Hi"))
        assert await anext(steps) == SayPart("Well")

        async def read() -> Action:
            return await anext(steps)

        reader = asyncio.create_task(read())
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert len(await model.connections(closed=1)) == 1


async def test_closing_a_chat_ends_an_answer_under_way(model: RunningModel) -> None:
    async with talking(model, "stalls") as conversation:
        steps = conversation.reply(heard("Hi"))
        assert await anext(steps) == SayPart("Well")
        await conversation.close()
        assert await parts(steps) == []
        assert len(await model.connections(closed=1)) == 1


async def test_a_connection_that_was_closed_between_turns_is_opened_again(
    model: RunningModel,
) -> None:
    async with talking(model, "leaves") as conversation:
        assert await parts(conversation.reply(heard("one"))) == ["You said: one"]
        assert await parts(conversation.reply(heard("two"))) == ["You said: two"]
    assert len(await model.connections(closed=2)) == 2


async def test_a_connection_that_is_lost_before_the_answer_is_opened_once_more(
    model: RunningModel,
) -> None:
    async with talking(model, "cuts-first") as conversation:
        assert await parts(conversation.reply(heard("Hi"))) == ["You said: Hi"]
    assert len(await model.requests()) == 2


async def test_a_connection_that_is_lost_again_fails_the_turn(model: RunningModel) -> None:
    async with talking(model, "cuts-always") as conversation:
        error = await failure(conversation.reply(heard("Hi")))
    assert "closed the connection (code 1011)" in str(error)
    assert not error.timed_out
    assert len(await model.connections(closed=2)) == 2


async def test_what_was_said_before_a_loss_stays_said(model: RunningModel) -> None:
    async with talking(model, "cuts") as conversation:
        steps = conversation.reply(heard("Hi"))
        assert await anext(steps) == SayPart("This is")
        assert "before it sent assistant_end" in str(await failure(steps))
    assert len(await model.requests()) == 1


async def test_a_silent_model_fails_the_turn_in_time(model: RunningModel) -> None:
    async with talking(model, "is-silent", timeout_s=0.3) as conversation:
        error = await failure(conversation.reply(heard("Hi")))
        assert error.timed_out
        assert "did not answer in time" in str(error)
        await model.connections(closed=1)


async def test_a_model_that_falls_silent_fails_the_turn(
    model: RunningModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language_socket, "GAP_TIMEOUT_S", 0.1)
    async with talking(model, "stalls") as conversation:
        steps = conversation.reply(heard("Hi"))
        assert await anext(steps) == SayPart("Well")
        assert (await failure(steps)).timed_out


async def test_a_handshake_that_is_not_answered_fails_the_turn_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/llm?key=hidden"
        conversation = LanguageSocketMind(url, first_token_timeout_s=0.2).conversation()
        error = await failure(conversation.reply(heard("Hi")))
    assert error.timed_out
    assert "hidden" not in str(error)


async def test_an_address_where_nobody_listens_fails_the_turn_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}"
    error = await failure(LanguageSocketMind(url).conversation().reply(heard("Hi")))
    assert not error.timed_out
    assert "cannot be reached" in str(error)


async def test_a_refused_key_is_told_without_the_key(model: RunningModel) -> None:
    async with talking(model, "refuses", "secret-key") as conversation:
        error = await failure(conversation.reply(heard("Hi")))
    assert "HTTP status 401" in str(error)
    assert "the key" in str(error)
    assert "secret-key" not in str(error)


async def test_a_key_that_cannot_be_sent_fails_the_turn(model: RunningModel) -> None:
    async with talking(model, "answers", "two\nlines") as conversation:
        error = await failure(conversation.reply(heard("Hi")))
    assert "line break" in str(error)


@pytest.mark.parametrize(
    ("variant", "fault"),
    [
        ("garbles", "not a JSON object"),
        ("lists", "not a JSON object"),
        ("forgets-text", "without text"),
        ("is-huge", "closed the connection"),
    ],
)
async def test_a_model_that_breaks_the_protocol_fails_the_turn(
    model: RunningModel, variant: str, fault: str
) -> None:
    async with talking(model, variant) as conversation:
        error = await failure(conversation.reply(heard("Hi")))
        assert fault in str(error)
        assert not error.timed_out
        await model.connections(closed=1)


async def test_an_answer_without_end_is_given_up(model: RunningModel) -> None:
    async with talking(model, "never-ends") as conversation:
        steps = conversation.reply(heard("x" * 10_000))
        said = 0

        async def listen() -> None:
            nonlocal said
            async for part in steps:
                assert isinstance(part, SayPart)
                said += len(part.text)

        with pytest.raises(UpstreamFailed, match="without end"):
            await listen()
        assert MAX_ANSWER_BYTES // 2 < said < MAX_ANSWER_BYTES


async def test_the_turn_after_a_failure_is_answered(model: RunningModel) -> None:
    async with talking(model, "cuts-first", timeout_s=10.0) as conversation:
        steps = conversation.reply(heard("Hi"))
        assert await anext(steps) == SayPart("You said: Hi")
        await steps.aclose()  # type: ignore[attr-defined]
        assert await parts(conversation.reply(heard("again"))) == ["You said: again"]


async def test_the_model_goes_on_after_a_tool_that_somebody_else_called(
    model: RunningModel,
) -> None:
    async with talking(model, "answers") as conversation:
        steps = conversation.after_tool(heard("Hi"), CallTool("t", {}), ToolOutcome("42", False))
        assert await parts(steps) == ["You said: Hi"]


async def test_the_agent_speaks_up_without_the_model(model: RunningModel) -> None:
    async with talking(model, "answers") as conversation:
        assert [step async for step in conversation.speak_up(Prompt(), "greeting")] == []
        (nudge,) = [step async for step in conversation.speak_up(Prompt(), "nudge")]
    assert isinstance(nudge, Say)
    assert nudge.text
    assert await model.connections() == []


@pytest.mark.parametrize("url", ["https://model.example/llm", "model.example", "wss://"])
def test_an_address_that_is_no_socket_is_refused_at_once(url: str) -> None:
    with pytest.raises(SettingsError, match="wss://"):
        LanguageSocketMind(url)
