"""Whole conversations over a real socket, every message judged by the schemas."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from evibridge.audio.wav import mono_pcm16, wav_file
from evibridge.engine.chat.agenda import MAX_WAITING
from evibridge.engine.chat.mistakes import MAX_IDENTICAL_FAULTS
from evibridge.engine.chat.timeouts import ChatLimits
from evibridge.engine.minds.mind import (
    Action,
    CallTool,
    HangUp,
    HistoryEntry,
    Prompt,
    Say,
    ToolOutcome,
)
from tests.engine.chat_client import (
    AUDIO,
    PATIENCE_S,
    ChatClient,
    Message,
    audio_of,
    of_type,
    serving,
    types,
    words,
)
from tests.engine.chat_parts import (
    VOICE_RATE_HZ,
    LoudnessActivity,
    QueuedEars,
    RuleMind,
    Steps,
    ToneVoice,
    silence,
    tone,
)

TOOL = {
    "type": "function",
    "name": "order_status",
    "parameters": '{"type":"object","properties":{"order_id":{"type":"string"}}}',
    "fallback_content": "The shop's computer is down.",
}
LOOK = CallTool("order_status", {"order_id": "1042"})


LOW_RATE = json.dumps({"type": "session_settings", "audio": {**AUDIO, "sample_rate": 4_000}})


@pytest.fixture(autouse=True)
def loud_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evibridge.engine.hearing.hearing.VoiceActivity", LoudnessActivity)


def echo(heard: str) -> Steps:
    return [Say(f"You said {heard}")]


async def opened(chat: ChatClient, **settings: Any) -> None:
    await chat.until("chat_metadata")
    await chat.send("session_settings", audio=AUDIO, **settings)


def utterance(ms: int = 600) -> bytes:
    """Somebody speaks and then falls silent for long enough."""
    return silence(200) + tone(ms) + silence(1100)


# Turns


async def test_a_spoken_turn_is_understood_and_answered() -> None:
    voice = ToneVoice(sentence_ms=600)
    ears = QueuedEars("Where is my order?")
    mind = RuleMind(lambda _: [Say("It is on its way. It arrives on Friday.")])
    async with serving(mind, ears=ears, voice=voice) as engine, ChatClient.connect(engine) as chat:
        await opened(chat)
        await chat.send_audio(utterance())
        turn = await chat.until("assistant_end")

    assert types(turn) == [
        "user_message",
        *["assistant_message", "audio_output"] * 2,
        "assistant_end",
    ]
    said = turn[0]
    assert said["message"] == {"role": "user", "content": "Where is my order?"}
    assert (said["interim"], said["from_text"], said["models"]) == (False, False, {})
    assert 0 <= said["time"]["begin"] < 200 <= said["time"]["end"] <= 1100
    assert words(turn) == ["It is on its way.", "It arrives on Friday."]
    assert len(ears.heard) == 1


async def test_every_chunk_is_a_whole_wav_file_under_the_id_of_its_sentence() -> None:
    voice = ToneVoice(sentence_ms=600)
    async with (
        serving(RuleMind(echo), voice=voice) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await chat.until("chat_metadata")
        await chat.send("user_input", text="one. Two.")
        turn = await chat.until("assistant_end")

    segments = of_type(turn, "assistant_message")
    assert len({segment["id"] for segment in segments}) == 2
    for segment in segments:
        assert len(segment["id"]) == 32
        chunks = [m for m in of_type(turn, "audio_output") if m["id"] == segment["id"]]
        assert [chunk["index"] for chunk in chunks] == [0, 1, 2]
        for chunk in chunks:
            wav = audio_of(chunk)
            assert (wav.rate_hz, wav.channels, wav.sample_bytes) == (VOICE_RATE_HZ, 1, 2)
            assert mono_pcm16(wav) == tone(200, VOICE_RATE_HZ)


async def test_a_typed_turn_is_answered_without_audio() -> None:
    mind = RuleMind(echo)
    async with serving(mind) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send("user_input", text="Hello?")
        turn = await chat.until("assistant_end")

    assert turn[0]["from_text"] is True
    assert turn[0]["time"] == {"begin": 0, "end": 0}
    assert words(turn) == ["You said Hello?"]
    assert mind.prompts[-1].history == [HistoryEntry("user", "Hello?")]


@pytest.mark.parametrize("transport", ["binary", "base64", "one byte at a time", "wav header"])
async def test_audio_may_come_in_every_way(transport: str) -> None:
    speech = utterance()
    async with (
        serving(RuleMind(echo), ears=QueuedEars("Hello.")) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await chat.until("chat_metadata")
        if transport != "wav header":
            await chat.send("session_settings", audio=AUDIO)
        if transport == "binary":
            await chat.send_audio(speech)
        elif transport == "base64":
            for at in range(0, len(speech), 999):
                data = base64.b64encode(speech[at : at + 999]).decode()
                await chat.send("audio_input", data=data)
        elif transport == "one byte at a time":
            for at in range(20):
                await chat.send_audio(speech[at : at + 1])
            await chat.send_audio(speech[20:])
        else:
            await chat.send_audio(wav_file(speech, 16_000))
        turn = await chat.until("assistant_end")

    assert words(turn) == ["You said Hello."]


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
async def test_a_rate_given_in_the_query_is_heard(rate_hz: int) -> None:
    query = (
        "session_settings[audio][encoding]=linear16&session_settings[audio][channels]=2"
        f"&session_settings[audio][sample_rate]={rate_hz}"
    )
    mono = silence(200, rate_hz) + tone(600, rate_hz) + silence(1100, rate_hz)
    stereo = b"".join(2 * mono[at : at + 2] for at in range(0, len(mono), 2))
    async with (
        serving(RuleMind(echo), ears=QueuedEars("Hello.")) as engine,
        ChatClient.connect(engine, query=query) as chat,
    ):
        await chat.until("chat_metadata")
        await chat.send_audio(stereo)
        turn = await chat.until("assistant_end")

    assert words(turn) == ["You said Hello."]


async def test_a_pause_for_breath_does_not_end_the_turn() -> None:
    ears = QueuedEars("Where is", "Where is my order?")
    async with serving(RuleMind(echo), ears=ears) as engine, ChatClient.connect(engine) as chat:
        await opened(chat)
        await chat.send_audio(silence(200) + tone(500) + silence(400))
        await chat.send_audio(tone(500) + silence(1100))
        turn = await chat.until("assistant_end")

    assert len(of_type(turn, "user_message")) == 1
    assert turn[0]["time"]["end"] - turn[0]["time"]["begin"] > 1400
    assert words(turn)[0].startswith("You said Where is")


async def test_noise_that_nobody_spoke_in_is_no_turn() -> None:
    ears = QueuedEars("", "Hello.")
    async with serving(RuleMind(echo), ears=ears) as engine, ChatClient.connect(engine) as chat:
        await opened(chat)
        await chat.send_audio(utterance() + utterance())
        turn = await chat.until("assistant_end")

    assert [said["message"]["content"] for said in of_type(turn, "user_message")] == ["Hello."]


# Greeting


async def test_the_greeting_knows_the_variables_of_the_first_settings() -> None:
    mind = RuleMind(echo, greeting="Hello {name}.")
    async with serving(mind) as engine, ChatClient.connect(engine) as chat:
        await opened(chat, variables={"name": "Ada"})
        greeting = await chat.until("assistant_end")

    assert types(greeting) == ["assistant_message", "audio_output", "assistant_end"]
    assert words(greeting) == ["Hello Ada."]


async def test_a_client_that_sends_nothing_is_greeted_too() -> None:
    mind = RuleMind(echo, greeting="Good day.")
    async with serving(mind) as engine, ChatClient.connect(engine) as chat:
        assert words(await chat.until("assistant_end")) == ["Good day."]


# Interruption


async def test_the_caller_interrupts_after_all_audio_was_sent() -> None:
    mind = RuleMind(lambda heard: [Say("Well.")] if heard == "Stop." else [Say("One. Two. Three.")])
    ears = QueuedEars("Stop.")
    voice = ToneVoice(sentence_ms=8_000)
    async with serving(mind, ears=ears, voice=voice) as engine, ChatClient.connect(engine) as chat:
        await opened(chat)
        await chat.send("user_input", text="Count.")
        await chat.until("assistant_end")
        await chat.send_audio(utterance(1_000))
        turn = await chat.until("assistant_end")

    assert types(turn)[:3] == ["user_interruption", "user_message", "assistant_message"]
    assert turn[0]["time"] > 1_700_000_000_000
    assert mind.prompts[-1].history == [
        HistoryEntry("user", "Count."),
        HistoryEntry("user", "Stop."),
    ]


async def test_nothing_of_an_interrupted_turn_follows() -> None:
    def reply(heard: str) -> Steps:
        return [Say("Well.")] if heard == "Stop." else [Say(f"Number {n}.") for n in range(500)]

    voice = ToneVoice(sentence_ms=400)
    async with (
        serving(RuleMind(reply), ears=QueuedEars("Stop."), voice=voice) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await opened(chat)
        await chat.send("user_input", text="Count.")
        await chat.until("audio_output")
        await chat.send_audio(utterance(1_000))
        before = await chat.until("user_interruption")
        after = await chat.until("assistant_end")

    stale = {message["id"] for message in of_type(before, "assistant_message")}
    assert types(after) == ["user_message", "assistant_message", "audio_output", "assistant_end"]
    assert words(after) == ["Well."]
    assert not stale & {message["id"] for message in of_type(after, "audio_output")}
    assert len(voice.spoken) < 200


async def test_audio_runs_ahead_of_its_playback_but_not_for_ever() -> None:
    voice = ToneVoice(sentence_ms=1_000)
    mind = RuleMind(lambda _: [Say(f"Number {n}.") for n in range(60)])
    async with serving(mind, voice=voice) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send("user_input", text="Count.")
        sent_ms = 0
        while sent_ms < 30_000:
            sent_ms += 200 * (await chat.next())["type"].count("audio_output")
        await chat.send("user_input", text="Stop.")
        rest = await chat.until("user_interruption")

    assert len(of_type(rest, "audio_output")) < 100


async def test_a_murmur_under_the_agents_words_changes_nothing() -> None:
    voice = ToneVoice(sentence_ms=10_000)
    async with (
        serving(RuleMind(echo), ears=QueuedEars("Uh-huh."), voice=voice) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await opened(chat)
        await chat.send("user_input", text="Go on.")
        await chat.until("assistant_end")
        await chat.send_audio(utterance(300))
        await chat.send("assistant_input", text="Still here.")
        turn = await chat.until("assistant_end")

    assert types(turn) == ["assistant_message", "audio_output", "assistant_end"]


# Tools


def shop(heard: str) -> Steps:
    return [Say("One moment."), LOOK] if "order" in heard else [Say("Good.")]


def tell(outcome: ToolOutcome) -> Steps:
    return [Say(outcome.content or "I do not know.")]


async def called(chat: ChatClient) -> tuple[Message, list[Message]]:
    """Ask for the order; the call, and what came around it."""
    await chat.send("user_input", text="Where is order 1042?")
    messages = await chat.until("tool_call")
    return messages[-1], messages


async def test_a_tool_is_called_and_its_result_is_told() -> None:
    mind = RuleMind(shop, after_tool=tell)
    async with serving(mind) as engine, ChatClient.connect(engine) as chat:
        await opened(chat, tools=[TOOL])
        call, before = await called(chat)
        await chat.send_audio(silence(300))
        await chat.send("tool_response", tool_call_id=call["tool_call_id"], content="It is here.")
        after = await chat.until("assistant_end")

    assert (call["name"], call["tool_type"], call["response_required"]) == (
        "order_status",
        "function",
        True,
    )
    assert json.loads(call["parameters"]) == {"order_id": "1042"}
    assert words(before + after) == ["One moment.", "It is here."]
    assert len(of_type(before + after, "assistant_end")) == 1
    assert mind.outcomes == [ToolOutcome("It is here.", failed=False)]
    assert mind.prompts[0].tools[0].fallback_content == "The shop's computer is down."


@pytest.mark.parametrize(
    ("error", "told"),
    [({"content": "It broke."}, "It broke."), ({}, "The shop's computer is down.")],
)
async def test_a_failed_tool_is_told_by_the_first_text_there_is(
    error: dict[str, str], told: str
) -> None:
    async with (
        serving(RuleMind(shop, after_tool=tell)) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await opened(chat, tools=[TOOL])
        call, before = await called(chat)
        await chat.send("tool_error", tool_call_id=call["tool_call_id"], error="boom", **error)
        after = await chat.until("assistant_end")

    assert words(before + after) == ["One moment.", told]


async def test_a_tool_without_an_answer_is_given_up_and_its_late_answer_refused() -> None:
    mind = RuleMind(shop, after_tool=tell)
    async with (
        serving(mind, limits=ChatLimits(tool_timeout_s=0.1)) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await opened(chat, tools=[TOOL])
        call, _ = await called(chat)
        turn = await chat.until("assistant_end")
        await chat.send("tool_response", tool_call_id=call["tool_call_id"], content="Late.")
        (late,) = await chat.until("tool_error")
        await chat.send("user_input", text="Thanks.")
        await chat.until("assistant_end")

    (error,) = of_type(turn, "tool_error")
    assert (error["tool_call_id"], error["level"]) == (call["tool_call_id"], "warn")
    assert words(turn)[-1] == "The shop's computer is down."
    assert late["tool_call_id"] == call["tool_call_id"]


async def test_a_caller_who_changes_his_mind_supersedes_the_call() -> None:
    async with (
        serving(RuleMind(shop, after_tool=tell)) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await opened(chat, tools=[TOOL])
        call, _ = await called(chat)
        await chat.send("user_input", text="Never mind.")
        turn = await chat.until("assistant_end")
        await chat.send("tool_response", tool_call_id=call["tool_call_id"], content="Late.")
        (late,) = await chat.until("tool_error")

    assert words(turn)[-1] == "Good."
    assert late["level"] == "warn"


# Texts to speak, pause and resume


async def test_a_text_is_spoken_as_it_is() -> None:
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send("assistant_input", text="Please hold on. I am checking.")
        turn = await chat.until("assistant_end")

    assert types(turn) == [*["assistant_message", "audio_output"] * 2, "assistant_end"]
    assert words(turn) == ["Please hold on.", "I am checking."]
    assert all(message["from_text"] for message in of_type(turn, "assistant_message"))


async def test_a_paused_agent_listens_and_answers_when_resumed() -> None:
    mind = RuleMind(echo)
    ears = QueuedEars("Are you there?")
    async with serving(mind, ears=ears) as engine, ChatClient.connect(engine) as chat:
        await opened(chat)
        await chat.send("pause_assistant_message")
        await chat.send("user_input", text="Hello?")
        await chat.send("assistant_input", text="Back again.")
        await chat.send_audio(utterance())
        paused = [await chat.next(), await chat.next()]
        await chat.send("resume_assistant_message")
        held_back = await chat.until("assistant_end")
        answer = await chat.until("assistant_end")

    assert types(paused) == ["user_message", "user_message"]
    assert words(held_back) == ["Back again."]
    assert words(answer) == ["You said Are you there?"]
    assert [entry.content for entry in mind.prompts[-1].history if entry.role == "user"] == [
        "Hello?",
        "Are you there?",
    ]


async def test_too_many_texts_in_a_pause_are_refused() -> None:
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send("pause_assistant_message")
        for _ in range(MAX_WAITING + 1):
            await chat.send("assistant_input", text="Hold on.")
        (error,) = await chat.until("error")

    assert error["code"] == "E0101"


# Settings


async def test_settings_reach_the_mind() -> None:
    mind = RuleMind(echo)
    async with serving(mind) as engine, ChatClient.connect(engine) as chat:
        await opened(
            chat,
            system_prompt="Greet {{name}}.",
            variables={"name": "Ada", "vip": True},
            context={"text": "Verified.", "type": "persistent"},
            tools=[TOOL],
        )
        await chat.send("session_settings", system_prompt="Be brief.")
        await chat.send("user_input", text="Hello?")
        await chat.until("assistant_end")

    prompt: Prompt = mind.prompts[-1]
    assert prompt.system_prompt == "Be brief."
    assert prompt.variables == {"name": "Ada", "vip": "true"}
    assert prompt.context == "Verified."
    assert [tool.name for tool in prompt.tools] == ["order_status"]


async def test_the_clients_session_id_is_in_every_later_message() -> None:
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send("session_settings", custom_session_id="call-7")
        await chat.send("user_input", text="Hello?")
        turn = await chat.until("assistant_end")

    assert {message["custom_session_id"] for message in turn} == {"call-7"}


# Faults


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("hello", "E0100"),
        ("[]", "E0100"),
        ('{"type": "user_input"}', "E0101"),
        ('{"type": "dance"}', "E0101"),
        ('{"type": "audio_input", "data": "**"}', "E0101"),
        ('{"type": "audio_input", "data": "AAAA"}', "E0101"),
        ('{"type": "session_settings", "audio": {"encoding": "mulaw"}}', "E0101"),
        ('{"type": "session_settings", "tools": [{"type":"function","name":"a"}]}', "E0101"),
        (
            '{"type":"session_settings","tools":[{"type":"function","name":"a","parameters":"x"}]}',
            "E0101",
        ),
        (LOW_RATE, "E0101"),
    ],
)
async def test_a_fault_is_told_and_the_chat_goes_on(text: str, code: str) -> None:
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send_raw(text)
        (error,) = await chat.until("error")
        await chat.send("user_input", text="Hello?")
        turn = await chat.until("assistant_end")

    assert error["code"] == code
    assert words(turn) == ["You said Hello?"]


async def test_malformed_settings_in_the_query_are_told_after_the_metadata() -> None:
    query = "session_settings[audio][sample_rate]=8000"
    async with (
        serving(RuleMind(echo)) as engine,
        ChatClient.connect(engine, query=query) as chat,
    ):
        assert types(await chat.until("error")) == ["chat_metadata", "error"]


async def test_a_whole_file_at_once_is_refused() -> None:
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await opened(chat)
        await chat.send("audio_input", data=base64.b64encode(silence(10_100)).decode())
        (error,) = await chat.until("error")

    assert error["code"] == "E0723"


async def test_a_client_that_repeats_an_error_is_closed_after_it() -> None:
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send_raw("no JSON")
        for _ in range(MAX_IDENTICAL_FAULTS):
            await chat.send_raw("{}")
        rest = await chat.rest()

        assert types(rest) == ["error"] * (1 + MAX_IDENTICAL_FAULTS)
        assert chat.close_code == 1008


async def test_audio_that_nobody_announced_is_one_error_a_second() -> None:
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        for _ in range(2 * MAX_IDENTICAL_FAULTS):
            await chat.send_audio(tone(20))
        await chat.send("user_input", text="Hello?")
        turn = await chat.until("assistant_end")

    assert types(turn)[:2] == ["error", "user_message"]
    assert "before the first audio" in turn[0]["message"]


async def test_a_search_whose_question_is_superseded_is_given_up() -> None:
    begun, given_up = asyncio.Event(), asyncio.Event()

    async def search(query: str) -> str:
        if query == "second":
            return "found"
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        raise AssertionError

    mind = RuleMind(
        lambda heard: [CallTool("web_search", {"query": heard})],
        after_tool=lambda outcome: [Say(outcome.content or "")],
    )
    async with serving(mind, web_search=search) as engine, ChatClient.connect(engine) as chat:
        await chat.send("session_settings", builtin_tools=[{"name": "web_search"}])
        await chat.send("user_input", text="first")
        await asyncio.wait_for(begun.wait(), PATIENCE_S)
        await chat.send("user_input", text="second")
        turn = await chat.until("assistant_end")

        assert words(turn) == ["found"]
        assert given_up.is_set()


# Ends


async def test_the_agent_hangs_up_after_its_last_words() -> None:
    mind = RuleMind(lambda _: [Say("Goodbye."), HangUp()])
    async with (
        serving(mind, voice=ToneVoice(200)) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await chat.until("chat_metadata")
        await chat.send("user_input", text="Bye.")
        rest = await chat.rest()

        assert types(rest) == ["user_message", "assistant_message", "audio_output", "assistant_end"]
        assert chat.close_code == 1000


class BrokenVoice(ToneVoice):
    """A voice whose machine breaks."""

    async def speak(self, sentence: str, voice_id: str | None = None) -> Any:
        if sentence == "Break.":
            raise RuntimeError("no sound card")
        async for chunk in super().speak(sentence, voice_id):
            yield chunk


async def test_a_fault_of_the_engine_ends_only_its_own_chat() -> None:
    mind = RuleMind(lambda heard: [Say(heard)])
    async with (
        serving(mind, voice=BrokenVoice()) as engine,
        ChatClient.connect(engine) as broken,
        ChatClient.connect(engine) as other,
    ):
        await broken.send("user_input", text="Break.")
        rest = await broken.rest()
        await other.send("user_input", text="Hello.")
        turn = await other.until("assistant_end")

        assert rest[-1]["code"] == "I0100"
        assert broken.close_code == 1011
        assert words(turn) == ["Hello."]


class BreakingMind(RuleMind):
    """A mind that fails before it has begun to think."""

    def reply(self, prompt: Prompt) -> AsyncIterator[Action]:
        raise RuntimeError(f"no words for {prompt.last_heard()}")


async def test_a_fault_in_a_callback_ends_the_chat_too() -> None:
    mind = BreakingMind(echo)
    async with (
        serving(mind, filler_after_s=None) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await opened(chat)
        await chat.send("user_input", text="Hello?")
        rest = (await chat.rest())[1:]

        assert [message["code"] for message in rest] == ["I0100"]
        assert chat.close_code == 1011


async def test_a_client_that_vanishes_leaves_nothing_behind() -> None:
    held = asyncio.Event()
    ended = asyncio.Event()

    class WatchedMind(RuleMind):
        async def reply(self, prompt: Prompt) -> Any:
            self.prompts.append(prompt)
            try:
                await held.wait()
                yield Say("Never.")
            finally:
                ended.set()

    async with serving(WatchedMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send("user_input", text="Hello?")
        await chat.until("user_message")
        chat.cut()

        await asyncio.wait_for(ended.wait(), PATIENCE_S)


async def test_a_client_that_never_reads_is_cut() -> None:
    text = json.dumps({"type": "user_input", "text": "x" * 900_000})

    async def send_for_ever(chat: ChatClient) -> None:
        while True:
            await chat.send_raw(text)

    async with serving(RuleMind(lambda _: [])) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(send_for_ever(chat), PATIENCE_S)
