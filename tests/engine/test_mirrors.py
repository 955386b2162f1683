"""Mirrors of chats: what they are told, and what they may send."""

import base64

import pytest

from evibridge.engine.chat.mistakes import MAX_IDENTICAL_FAULTS
from evibridge.engine.hearing.ears import Transcript
from evibridge.engine.metrics import EngineMetrics
from tests.engine.chat_client import (
    AUDIO,
    of_type,
    serving,
    types,
    words,
)
from tests.engine.chat_parts import silence, tone
from tests.engine.control_plane_client import TURN, called, chatting, send, shop, turn_of, watching

# What mirrors are told


async def test_what_has_happened_is_told_first_and_then_what_happens() -> None:
    async with serving(shop()) as engine, chatting(engine) as (chat, chat_id):
        before = await turn_of(chat, "Hello?")
        async with watching(engine, chat_id) as mirror:
            history = [await mirror.next() for _ in range(4)]
            after = await turn_of(chat, "And now?")
            live = await mirror.until("assistant_end")

    assert history[0]["type"] == "chat_metadata"
    assert history[0]["chat_id"] == chat_id
    assert history[1:] == [told for told in before if told["type"] != "audio_output"]
    assert live == after
    assert "audio_output" in types(live)


async def test_several_mirrors_see_the_same_and_one_that_leaves_changes_nothing() -> None:
    async with (
        serving(shop()) as engine,
        chatting(engine) as (chat, chat_id),
        watching(engine, chat_id, root="//v0/evi/chat") as second,
    ):
        async with watching(engine, chat_id.upper()) as first:
            turn = await turn_of(chat, "Hello?")
            assert (await first.until("assistant_end"))[1:] == turn
        assert (await second.until("assistant_end"))[1:] == turn
        turn = await turn_of(chat, "And now?")
        assert await second.until("assistant_end") == turn


class EagerEars:
    """Recognises as many words as it hears half seconds, also while the caller goes on."""

    idle = True

    async def transcribe(self, pcm16: bytes) -> Transcript:
        return Transcript(" ".join(["word"] * (len(pcm16) // 16_000)))


@pytest.mark.parametrize(("verbose", "interim"), [("true", [True, False]), ("false", [False])])
async def test_provisional_transcripts_are_mirrored_as_the_chat_wants_them(
    verbose: str, interim: list[bool]
) -> None:
    query = f"allow_connection=true&verbose_transcription={verbose}"
    async with (
        serving(shop(), ears=EagerEars()) as engine,
        chatting(engine, query=query) as (chat, chat_id),
        watching(engine, chat_id) as mirror,
    ):
        await chat.send("session_settings", audio=AUDIO)
        await chat.send_audio(tone(800) + silence(1_100))
        turn = await mirror.until("assistant_end")

    said = of_type(turn, "user_message")
    assert [message["interim"] for message in said] == interim


async def test_settings_are_shown_to_mirrors_alone_and_without_keys() -> None:
    query = "allow_connection=true&session_settings[system_prompt]=Listen."
    async with serving(shop()) as engine, chatting(engine, query=query) as (chat, chat_id):
        await chat.send(
            "session_settings",
            variables={"name": "Ada"},
            language_model_api_key="sk-own",
            metadata={"floor": 3},
            custom_session_id="call-4711",
        )
        async with watching(engine, chat_id) as mirror:
            told = await mirror.until("session_settings") + [await mirror.next()]
            await mirror.send("session_settings", context={"text": "Verified."})
            await send(engine, chat_id, "session_settings", context=None)
            told += [await mirror.next(), await mirror.next()]
            turn = await turn_of(chat, "Hello?")

    echo = {"type": "session_settings"}
    mine = {"custom_session_id": "call-4711"}
    assert told[1:] == [
        echo | {"system_prompt": "Listen."},
        echo | {"variables": {"name": "Ada"}} | mine,
        echo | {"context": {"text": "Verified."}} | mine,
        echo | {"context": None} | mine,
    ]
    assert types(turn) == TURN


async def test_what_can_be_read_and_not_be_written_is_not_shown() -> None:
    nested = '{"a":' * 500 + "1" + "}" * 500
    async with (
        serving(shop()) as engine,
        chatting(engine) as (chat, chat_id),
        watching(engine, chat_id) as mirror,
    ):
        await chat.send_raw(f'{{"type": "session_settings", "metadata": {nested}}}')
        told = [await mirror.next(), await mirror.next()]

    assert told[1:] == [{"type": "session_settings"}]


async def test_what_was_not_obeyed_is_not_shown() -> None:
    async with (
        serving(shop()) as engine,
        chatting(engine) as (chat, chat_id),
        watching(engine, chat_id) as mirror,
    ):
        await chat.send("session_settings", audio={**AUDIO, "sample_rate": 1})
        await chat.send("tool_response", tool_call_id="none", content="")
        told = [await mirror.next() for _ in range(3)]

    assert types(told) == ["chat_metadata", "error", "tool_error"]


@pytest.mark.parametrize(
    ("kind", "members"),
    [("tool_response", {"content": "It is here."}), ("tool_error", {"error": "timeout"})],
)
@pytest.mark.parametrize("by", ["chat", "mirror", "send"])
async def test_whoever_answers_a_tool_mirrors_see_that_it_is_answered(
    kind: str, members: dict[str, str], by: str
) -> None:
    async with (
        serving(shop()) as engine,
        chatting(engine) as (chat, chat_id),
        watching(engine, chat_id) as mirror,
    ):
        call_id = await called(chat)
        await mirror.until("tool_call")
        members = {"tool_call_id": call_id, **members}
        if by == "send":
            await send(engine, chat_id, kind, **members)
        else:
            await (chat if by == "chat" else mirror).send(kind, **members)
        turn = await chat.until("assistant_end")
        shown = await mirror.until("assistant_end")

    assert shown[0] == {"type": kind, **members}
    assert shown[1:] == turn
    assert types(turn) == TURN[1:]


# What mirrors send


async def test_what_a_mirror_sends_has_the_effect_that_the_client_would_have() -> None:
    mind = shop()
    async with (
        serving(mind) as engine,
        chatting(engine) as (chat, chat_id),
        watching(engine, chat_id) as mirror,
    ):
        await mirror.send("session_settings", system_prompt="Be brief.")
        await mirror.send("user_input", text="Hello?")
        turn = await chat.until("assistant_end")
        await mirror.send("assistant_input", text="Please hold on.")
        spoken = await chat.until("assistant_end")
        await mirror.send("pause_assistant_message")
        await mirror.send("user_input", text="And now?")
        await mirror.send("resume_assistant_message")
        resumed = await chat.until("assistant_end")

    assert types(turn) == TURN
    assert words(turn + spoken + resumed) == [
        "You said Hello?",
        "Please hold on.",
        "You said And now?",
    ]
    assert mind.prompts[-1].system_prompt == "Be brief."


async def test_the_answer_of_a_tool_that_comes_too_late_is_told_to_its_mirror_alone() -> None:
    mind = shop()
    async with (
        serving(mind) as engine,
        chatting(engine) as (chat, chat_id),
        watching(engine, chat_id) as mirror,
        watching(engine, chat_id) as other,
    ):
        call_id = await called(chat)
        await mirror.send("tool_response", tool_call_id=call_id, content="First.")
        turn = await chat.until("assistant_end")
        await mirror.send("tool_response", tool_call_id=call_id, content="Second.")
        await mirror.send("tool_response", tool_call_id="call_x", content="Dead.")
        late = (await mirror.until("tool_error"))[-1]
        await mirror.send("user_input", text="Thanks.")
        turn += await chat.until("assistant_end")
        seen = await other.until("assistant_end") + await other.until("assistant_end")

    assert (late["tool_call_id"], late["code"]) == ("call_x", "call_not_pending")
    assert words(turn) == ["First.", "You said Thanks."]
    assert of_type(turn + seen, "tool_error") == []
    assert len(mind.outcomes) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "E0100"),
        ("{}", "E0101"),
        ('{"type": "user_input"}', "E0101"),
        ('{"type": "audio_input", "data": "AAAA"}', "E0101"),
        ('{"type": "session_settings", "voice_id": 7}', "E0101"),
    ],
)
async def test_the_mistakes_of_a_mirror_are_told_to_it_alone(text: str, code: str) -> None:
    async with (
        serving(shop()) as engine,
        chatting(engine) as (chat, chat_id),
        watching(engine, chat_id) as mirror,
        watching(engine, chat_id) as other,
    ):
        await mirror.send_raw(text)
        told = (await mirror.until("error"))[-1]
        turn = await turn_of(chat, "Hello?")
        seen = await other.until("assistant_end")

    assert told["code"] == code
    assert types(turn) == TURN
    assert seen[1:] == turn


async def test_audio_of_a_mirror_is_refused_and_not_heard() -> None:
    async with (
        serving(shop()) as engine,
        chatting(engine) as (chat, chat_id),
        watching(engine, chat_id) as mirror,
    ):
        await chat.send("session_settings", audio=AUDIO)
        await mirror.send_audio(tone(200))
        await mirror.send("audio_input", data=base64.b64encode(tone(20)).decode())
        refused = await mirror.until("error") + [await mirror.next(), await mirror.next()]
        turn = await turn_of(chat, "Hello?")

    assert [error["code"] for error in of_type(refused, "error")] == ["E0101"] * 3
    assert turn[0]["time"] == {"begin": 0, "end": 0}


async def test_a_mirror_that_repeats_its_mistake_is_closed_and_the_chat_goes_on() -> None:
    metrics = EngineMetrics()
    async with (
        serving(shop(), metrics=metrics) as engine,
        chatting(engine) as (chat, chat_id),
        watching(engine, chat_id) as mirror,
    ):
        for _ in range(MAX_IDENTICAL_FAULTS - 1):
            await mirror.send_raw("{")
        await mirror.send("session_settings")  # no mistake: the count begins anew
        for _ in range(2 * MAX_IDENTICAL_FAULTS):
            await mirror.send_raw("{")
        told = await mirror.rest()
        turn = await turn_of(chat, "Hello?")

    assert len(of_type(told, "error")) == 2 * MAX_IDENTICAL_FAULTS - 1
    assert mirror.close_code == 1008
    assert types(turn) == TURN
    assert 'mirrors_closed_total{reason="repeated_errors"} 1.0' in metrics.page().decode()


async def test_a_message_of_a_mirror_has_a_size_limit() -> None:
    async with (
        serving(shop()) as engine,
        chatting(engine) as (chat, chat_id),
        watching(engine, chat_id) as mirror,
    ):
        await mirror.send_raw(" " * (1024 * 1024 + 1))
        await mirror.rest()
        turn = await turn_of(chat, "Hello?")

    assert mirror.close_code == 1009
    assert types(turn) == TURN
