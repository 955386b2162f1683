"""Through Hume's own SDK: who speaks when, and what a client is told of it."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from hume.empathic_voice import (
    AssistantEnd,
    AssistantInput,
    AssistantMessage,
    AudioOutput,
    PauseAssistantMessage,
    ResumeAssistantMessage,
    SessionSettings,
    UserInput,
    UserInterruption,
    UserMessage,
    WebSocketError,
)

from evibridge.audio.wav import mono_pcm16, parse_wav
from evibridge.engine.chat.timeouts import ChatLimits, EventMessage
from evibridge.engine.hearing.ears import Transcript
from evibridge.engine.hearing.turns import TurnTaking
from evibridge.engine.minds.mind import Say
from evibridge.errors import UpstreamFailed
from tests.engine.chat_client import AUDIO, serving
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
from tests.engine.hume_client import (
    chatting,
    heard,
    kinds,
    of_type,
    receive,
    send_audio,
    speak,
    until,
    words,
)

ANSWERED = ["user_message", "assistant_message", "audio_output", "assistant_end"]


@pytest.fixture(autouse=True)
def loud_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evibridge.engine.hearing.hearing.VoiceActivity", LoudnessActivity)


def echo(said: str) -> Steps:
    return [Say(f"You said {said}")]


def count(said: str) -> Steps:
    return [Say("Well.")] if said == "Stop." else [Say("One. Two.")]


# Spoken and typed turns


@pytest.mark.parametrize("base64_text", [True, False])
async def test_a_conversation_is_held_with_speech_in_both_directions(base64_text: bool) -> None:
    ears = QueuedEars("Hello.", "And again.")
    async with (
        serving(RuleMind(echo), ears=ears, voice=ToneVoice(200)) as engine,
        chatting(engine, verbose_transcription=False) as chat,
    ):
        for text in ears.texts.copy():
            await speak(chat, 1_000, base64_text=base64_text)
            turn = await until(chat, AssistantEnd)

            # the second question may come while the first answer is still being played
            assert kinds(turn)[-len(ANSWERED) :] == ANSWERED
            (said,) = of_type(turn, UserMessage)
            assert (said.message.role, said.message.content) == ("user", text)
            assert (said.interim, said.from_text) == (False, False)
            assert said.time.begin < said.time.end
            assert said.models.prosody is None
            (segment,) = of_type(turn, AssistantMessage)
            (audio,) = of_type(turn, AudioOutput)
            assert words(turn) == [f"You said {text}"]
            assert (segment.from_text, segment.is_quick_response) == (False, False)
            assert (audio.id, audio.index) == (segment.id, 0)
            assert mono_pcm16(parse_wav(base64.b64decode(audio.data))) == tone(200, VOICE_RATE_HZ)


async def test_a_typed_text_is_a_turn_without_a_place_in_the_audio() -> None:
    async with serving(RuleMind(echo)) as engine, chatting(engine) as chat:
        await send_audio(chat, silence(100))
        await chat.send_publish(UserInput(text="Hello?"))
        turn = await until(chat, AssistantEnd)

    (said,) = of_type(turn, UserMessage)
    assert kinds(turn) == ANSWERED
    assert (said.from_text, said.interim) == (True, False)
    assert said.time.begin == said.time.end == 100


async def test_a_turn_of_two_stretches_is_told_twice_and_answered_once() -> None:
    mind = RuleMind(lambda said: [Say(f"About {said}")])
    patient = TurnTaking(end_of_turn_silence_ms=2_000)
    ears = QueuedEars("Where is", "my order?")
    async with serving(mind, ears=ears, turn_taking=patient) as engine, chatting(engine) as chat:
        told = []
        for end_of_stretch_ms in (800, 2_000):
            await send_audio(chat, tone(600) + silence(400))
            told.append(await receive(chat))
            await send_audio(chat, silence(end_of_stretch_ms))
            told.append(await receive(chat))
        turn = await until(chat, AssistantEnd)

    stretches = of_type(told, UserMessage)
    assert [(said.interim, said.message.content) for said in stretches] == [
        (True, "Where is"),
        (False, "Where is"),
        (True, "my order?"),
        (False, "my order?"),
    ]
    assert stretches[1].time.end <= stretches[3].time.begin
    assert kinds(turn) == ANSWERED[1:]
    assert [entry.content for entry in mind.prompts[-1].history] == ["Where is", "my order?"]


class EagerEars:
    """Recognises as many words as it hears half seconds, also while the caller goes on."""

    idle = True

    async def transcribe(self, pcm16: bytes) -> Transcript:
        return Transcript(" ".join(["word"] * (len(pcm16) // 16_000)))


async def test_provisional_transcripts_come_while_the_caller_speaks() -> None:
    async with serving(RuleMind(echo), ears=EagerEars()) as engine, chatting(engine) as chat:
        await send_audio(chat, tone(800))
        first = await receive(chat)
        await send_audio(chat, tone(1_200))
        second = await receive(chat)
        await send_audio(chat, silence(1_100))
        turn = await until(chat, AssistantEnd)

    early = of_type([first, second], UserMessage)
    assert [said.interim for said in early] == [True, True]
    assert len(str(early[0].message.content)) < len(str(early[1].message.content))
    assert len(heard(turn)) == 1


async def test_interim_transcripts_have_to_be_asked_for() -> None:
    async with (
        serving(RuleMind(echo), ears=EagerEars()) as engine,
        chatting(engine, verbose_transcription=None) as chat,
    ):
        await speak(chat, 2_000)
        turn = await until(chat, AssistantEnd)

    assert [said.interim for said in of_type(turn, UserMessage)] == [False]


async def test_a_long_answer_has_one_message_for_each_sentence_and_one_end() -> None:
    mind = RuleMind(lambda _: [Say("It left. It is late."), Say("Friday it is.")])
    async with serving(mind, voice=ToneVoice(600)) as engine, chatting(engine) as chat:
        await chat.send_publish(UserInput(text="When?"))
        turn = await until(chat, AssistantEnd)

    assert kinds(turn) == [
        "user_message",
        *["assistant_message", "audio_output"] * 3,
        "assistant_end",
    ]
    for segment in of_type(turn, AssistantMessage):
        chunks = [audio.index for audio in of_type(turn, AudioOutput) if audio.id == segment.id]
        assert chunks == [0, 1, 2]


# Words of the agent that nobody asked for


async def test_a_chat_begins_with_the_greeting_of_its_mind() -> None:
    mind = RuleMind(echo, greeting="Good day, {name}.")
    async with serving(mind) as engine, chatting(engine) as chat:
        await chat.send_publish(SessionSettings(variables={"name": "Ada"}))
        greeting = await until(chat, AssistantEnd)

    assert kinds(greeting) == ["assistant_message", "audio_output", "assistant_end"]
    assert words(greeting) == ["Good day, Ada."]


async def test_a_greeting_of_the_owner_is_spoken_as_it_is_written() -> None:
    greeting = EventMessage(text="Welcome back, {{name}}.")
    settings = {"audio": {**AUDIO}, "variables": {"name": "Ada"}}
    async with (
        serving(RuleMind(echo), limits=ChatLimits(on_new_chat=greeting)) as engine,
        chatting(engine, session_settings=settings) as chat,
    ):
        assert words(await until(chat, AssistantEnd)) == ["Welcome back, Ada."]


async def test_a_text_of_the_client_is_spoken_as_it_is() -> None:
    async with serving(RuleMind(echo)) as engine, chatting(engine) as chat:
        await chat.send_publish(AssistantInput(text="Please hold on. I am checking."))
        spoken = await until(chat, AssistantEnd)

    assert words(spoken) == ["Please hold on.", "I am checking."]
    assert kinds(spoken) == [*["assistant_message", "audio_output"] * 2, "assistant_end"]
    assert [segment.from_text for segment in of_type(spoken, AssistantMessage)] == [True, True]


async def test_the_agent_speaks_up_when_nobody_does() -> None:
    limits = ChatLimits(nudge_interval_s=0.05)
    async with serving(RuleMind(echo), limits=limits) as engine, chatting(engine) as chat:
        nudge = await until(chat, AssistantEnd)

    assert kinds(nudge) == [*["assistant_message", "audio_output"] * 2, "assistant_end"]
    assert words(nudge) == ["Take your time.", "I am still here."]


async def test_a_stop_gap_is_marked_as_quick_and_belongs_to_the_turn() -> None:
    thinking = asyncio.Event()
    mind = RuleMind(lambda _: [thinking, Say("Friday.")])
    async with serving(mind, filler_after_s=0.01) as engine, chatting(engine) as chat:
        await chat.send_publish(UserInput(text="When?"))
        filler = await until(chat, AudioOutput)
        thinking.set()
        answer = await until(chat, AssistantEnd)

    segments = of_type(filler + answer, AssistantMessage)
    assert words(filler + answer) == ["One moment, please.", "Friday."]
    assert [segment.is_quick_response for segment in segments] == [True, False]
    assert len(of_type(filler + answer, AssistantEnd)) == 1


# Interruption, pause and resume


async def test_the_caller_interrupts_the_agent() -> None:
    parts = {"ears": QueuedEars("Stop."), "voice": ToneVoice(9_000)}
    async with serving(RuleMind(count), **parts) as engine, chatting(engine) as chat:
        await chat.send_publish(UserInput(text="Count."))
        stale = {audio.id for audio in of_type(await until(chat, AssistantEnd), AudioOutput)}
        await send_audio(chat, tone(1_000))
        interruption = await receive(chat)
        await send_audio(chat, silence(1_100))
        turn = await until(chat, AssistantEnd)

    assert isinstance(interruption, UserInterruption)
    assert interruption.time > 1_700_000_000_000
    assert heard(turn) == ["Stop."]
    assert words(turn) == ["Well."]
    assert not {audio.id for audio in of_type(turn, AudioOutput)} & stale


async def test_a_typed_text_interrupts_the_agent_too() -> None:
    async with (
        serving(RuleMind(count), voice=ToneVoice(9_000)) as engine,
        chatting(engine) as chat,
    ):
        await chat.send_publish(UserInput(text="Count."))
        await until(chat, AssistantEnd)
        await chat.send_publish(UserInput(text="Stop."))
        assert kinds(await until(chat, AssistantEnd)) == ["user_interruption", *ANSWERED]


async def test_a_paused_agent_listens_and_answers_only_the_last_words_when_resumed() -> None:
    mind = RuleMind(echo)
    parts = {"ears": QueuedEars("Are you there?"), "voice": ToneVoice(200)}
    async with (
        serving(mind, **parts) as engine,
        chatting(engine, verbose_transcription=False) as chat,
    ):
        await chat.send_publish(PauseAssistantMessage())
        await chat.send_publish(UserInput(text="Hello?"))
        await chat.send_publish(AssistantInput(text="Back again."))
        await speak(chat)
        paused = [await receive(chat), await receive(chat)]
        await chat.send_publish(ResumeAssistantMessage())
        held_back = await until(chat, AssistantEnd)
        answer = await until(chat, AssistantEnd)

    assert heard(paused) == ["Hello?", "Are you there?"]
    assert words(held_back) == ["Back again."]
    assert words(answer) == ["You said Are you there?"]
    assert [segment.from_text for segment in of_type(answer, AssistantMessage)] == [False]
    assert [said.content for said in mind.prompts[-1].history if said.role == "user"] == [
        "Hello?",
        "Are you there?",
    ]


async def test_a_pause_silences_an_agent_that_is_speaking() -> None:
    going_on = asyncio.Event()
    mind = RuleMind(lambda _: [Say("One."), going_on, Say("Two.")])
    async with serving(mind) as engine, chatting(engine) as chat:
        await chat.send_publish(UserInput(text="Count."))
        await until(chat, AudioOutput)
        await chat.send_publish(PauseAssistantMessage())
        await chat._send('{"type": "dance"}')  # its error tells that the pause has been read
        cut = await until(chat, WebSocketError)
        going_on.set()
        await chat.send_publish(ResumeAssistantMessage())
        resumed = await until(chat, AssistantEnd)

    assert kinds(cut) in (["error"], ["audio_output", "error"])
    assert words(resumed) == ["One.", "Two."]


# Parts that fail


@pytest.mark.parametrize("timed_out", [True, False])
async def test_a_model_that_fails_is_e0712_and_apologised_for(timed_out: bool) -> None:
    def reply(said: str) -> Steps:
        return [UpstreamFailed("no model", timed_out=timed_out)] if said == "Hm?" else [Say("Yes.")]

    async with serving(RuleMind(reply)) as engine, chatting(engine) as chat:
        await chat.send_publish(UserInput(text="Hm?"))
        turn = await until(chat, AssistantEnd)
        await chat.send_publish(UserInput(text="And now?"))
        assert words(await until(chat, AssistantEnd)) == ["Yes."]

    (error,) = of_type(turn, WebSocketError)
    assert error.code == "E0712"
    assert (error.slug == "custom_language_model_timed_out") is timed_out
    assert words(turn) == ["I am sorry, I cannot answer that just now."]


class DeafEars(QueuedEars):
    """Fails to recognise whatever it has no text for."""

    async def transcribe(self, pcm16: bytes) -> Transcript:
        if not self.texts:
            raise UpstreamFailed("no ears")
        return await super().transcribe(pcm16)


async def test_a_caller_who_was_not_heard_is_asked_to_say_it_again() -> None:
    ears = DeafEars()
    nobody_greets = ChatLimits(on_new_chat=EventMessage(enabled=False))
    async with (
        serving(RuleMind(echo), ears=ears, limits=nobody_greets) as engine,
        chatting(engine) as chat,
    ):
        await speak(chat)
        asked = await until(chat, AssistantEnd)
        ears.texts.append("Hello.")
        await speak(chat, 1_000)
        turn = await until(chat, AssistantEnd)

    assert kinds(asked) == [*["assistant_message", "audio_output"] * 2, "assistant_end"]
    assert words(asked)[-1] == "Could you say it again?"
    assert heard(turn) == ["Hello."]


class BrokenVoice(ToneVoice):
    """Cannot speak one sentence."""

    async def speak(self, sentence: str, voice_id: str | None = None) -> AsyncIterator[bytes]:
        if sentence == "Break.":
            raise UpstreamFailed("no voice")
        async for chunk in super().speak(sentence, voice_id):
            yield chunk


async def test_a_sentence_that_cannot_be_spoken_is_apologised_for() -> None:
    mind = RuleMind(lambda said: [Say(said)])
    async with serving(mind, voice=BrokenVoice()) as engine, chatting(engine) as chat:
        await chat.send_publish(UserInput(text="Break."))
        turn = await until(chat, AssistantEnd)

    assert words(turn)[-1] == "I am sorry, I cannot answer that just now."
    assert not of_type(turn, WebSocketError)
