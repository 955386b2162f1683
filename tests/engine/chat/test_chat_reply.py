import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from evibridge.engine.chat import reply
from evibridge.engine.chat.reply import MAX_CHUNKS_AHEAD, Sentence, VoiceFailed, perform
from evibridge.engine.minds.mind import Action, CallTool, HangUp, Say, SayPart
from evibridge.errors import Overloaded, UpstreamFailed
from tests.engine.chat_client import PATIENCE_S
from tests.engine.chat_parts import ToneVoice

LOOK = CallTool("look", {})


class Recorder:
    """A stage that writes down what is performed; audio may be held back."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.called = asyncio.Event()

    def begin_sentence(self, sentence: Sentence) -> None:
        self.events.append(f"quickly {sentence.text}" if sentence.quick else sentence.text)

    async def send_audio(self, pcm16: bytes) -> None:
        await self.open.wait()
        self.events.append(f"{len(pcm16) // 96} ms")

    def call_tool(self, call: CallTool) -> None:
        self.events.append(f"call {call.name}")
        self.called.set()

    def hang_up(self) -> None:
        self.events.append("hang up")


async def steps_of(*steps: Action) -> AsyncIterator[Action]:
    for step in steps:
        yield step


class Steps:
    """A mind's iterator that is no generator, as the interface allows."""

    def __init__(self, steps: Sequence[Action]) -> None:
        self._steps = iter(steps)

    def __aiter__(self) -> "Steps":
        return self

    async def __anext__(self) -> Action:
        for step in self._steps:
            return step
        raise StopAsyncIteration


async def run(steps: AsyncIterator[Action], voice: ToneVoice, stage: Recorder) -> None:
    await asyncio.wait_for(perform(steps, voice.speak, stage), PATIENCE_S)


async def test_sentences_come_before_their_audio_and_in_order() -> None:
    stage = Recorder()

    await run(steps_of(Say("One. Two."), Say("Three."), HangUp()), ToneVoice(400), stage)

    stage.events.remove("hang up")
    assert stage.events == [
        *["One.", "200 ms", "200 ms"],
        *["Two.", "200 ms", "200 ms"],
        *["Three.", "200 ms", "200 ms"],
    ]


async def test_a_tool_is_called_while_the_words_before_it_wait_for_their_turn() -> None:
    stage = Recorder()
    stage.open.clear()
    performing = asyncio.create_task(
        perform(steps_of(Say("One."), LOOK), ToneVoice(400).speak, stage)
    )

    await asyncio.wait_for(stage.called.wait(), PATIENCE_S)
    assert "200 ms" not in stage.events

    stage.open.set()
    await asyncio.wait_for(performing, PATIENCE_S)
    assert stage.events[-1] == "200 ms"


async def test_synthesis_runs_ahead_of_sending_but_not_for_ever() -> None:
    stage = Recorder()
    stage.open.clear()
    voice = ToneVoice(200)
    steps = Steps([Say(f"Number {n}.") for n in range(50)])
    performing = asyncio.create_task(perform(steps, voice.speak, stage))
    for _ in range(500):
        await asyncio.sleep(0)

    assert 2 <= len(voice.spoken) <= MAX_CHUNKS_AHEAD

    stage.open.set()
    await asyncio.wait_for(performing, PATIENCE_S)
    assert len(voice.spoken) == 50


async def test_a_cancelled_part_stops_mind_and_voice() -> None:
    stopped: list[str] = []
    speaking = asyncio.Event()

    async def think() -> AsyncIterator[Action]:
        try:
            yield Say("One.")
            await asyncio.Event().wait()
        finally:
            stopped.append("mind")

    class Endless(ToneVoice):
        async def speak(self, sentence: str, voice_id: str | None = None) -> AsyncIterator[bytes]:
            try:
                while True:
                    async for chunk in super().speak(sentence, voice_id):
                        yield chunk
                    speaking.set()
            finally:
                stopped.append("voice")

    stage = Recorder()
    stage.open.clear()
    performing = asyncio.create_task(perform(think(), Endless(200).speak, stage))
    await asyncio.wait_for(speaking.wait(), PATIENCE_S)
    performing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(performing, PATIENCE_S)
    assert sorted(stopped) == ["mind", "voice"]


async def test_a_mind_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "STEP_TIMEOUT_S", 0.01)

    async def ponder() -> AsyncIterator[Action]:
        await asyncio.Event().wait()
        yield LOOK

    with pytest.raises(UpstreamFailed) as fault:
        await run(ponder(), ToneVoice(), Recorder())
    assert fault.value.timed_out


async def test_a_streamed_reply_is_spoken_sentence_by_sentence_while_it_is_written() -> None:
    written = asyncio.Event()

    async def write() -> AsyncIterator[Action]:
        for piece in ("Good ", "day. Th", "is is"):
            yield SayPart(piece)
        await written.wait()
        yield SayPart(" the shop.")

    stage = Recorder()
    heard = asyncio.Event()

    class Listening(ToneVoice):
        async def speak(self, sentence: str, voice_id: str | None = None) -> AsyncIterator[bytes]:
            heard.set()
            async for chunk in super().speak(sentence, voice_id):
                yield chunk

    voice = Listening(200)
    performing = asyncio.create_task(perform(write(), voice.speak, stage))
    await asyncio.wait_for(heard.wait(), PATIENCE_S)
    assert voice.spoken == ["Good day."]

    written.set()
    await asyncio.wait_for(performing, PATIENCE_S)
    assert stage.events == ["Good day.", "200 ms", "This is the shop.", "200 ms"]


async def test_what_was_written_before_a_tool_call_is_spoken_before_it_ends() -> None:
    stage = Recorder()

    await run(steps_of(SayPart("One mom"), SayPart("ent"), LOOK), ToneVoice(200), stage)

    stage.events.remove("call look")
    assert stage.events == ["One moment", "200 ms"]


async def test_a_stop_gap_is_marked() -> None:
    stage = Recorder()

    await run(steps_of(Say("Hm.", quick=True), SayPart("Yes.")), ToneVoice(200), stage)

    assert stage.events == ["quickly Hm.", "200 ms", "Yes.", "200 ms"]


async def test_words_before_a_failure_of_the_mind_are_still_spoken() -> None:
    async def fail() -> AsyncIterator[Action]:
        yield SayPart("It is the")
        raise UpstreamFailed("The model is gone.")

    stage = Recorder()

    with pytest.raises(UpstreamFailed):
        await run(fail(), ToneVoice(200), stage)
    assert stage.events == ["It is the", "200 ms"]


async def test_a_failure_of_the_voice_stops_the_mind_and_is_told_apart() -> None:
    stopped = asyncio.Event()

    async def think() -> AsyncIterator[Action]:
        try:
            yield Say("One. Two. Three.")
            await asyncio.Event().wait()
        finally:
            stopped.set()

    class Failing(ToneVoice):
        async def speak(self, sentence: str, voice_id: str | None = None) -> AsyncIterator[bytes]:
            if sentence == "Two.":
                raise Overloaded("Too much to say.")
            async for chunk in super().speak(sentence, voice_id):
                yield chunk

    stage = Recorder()

    with pytest.raises(VoiceFailed) as failure:
        await run(think(), Failing(200), stage)
    assert isinstance(failure.value.__cause__, Overloaded)
    assert stopped.is_set()
    assert stage.events == ["One.", "200 ms", "Two."]


async def test_a_mind_that_does_not_let_go_cannot_harm_the_chat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reply, "CLEAN_UP_TIMEOUT_S", 0.01)

    class Stubborn(Steps):
        async def aclose(self) -> None:
            await asyncio.Event().wait()

    stage = Recorder()

    await run(Stubborn([Say("One.")]), ToneVoice(200), stage)

    assert stage.events == ["One.", "200 ms"]
