import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from evibridge.engine import reply
from evibridge.engine.mind import Action, CallTool, HangUp, Say
from evibridge.engine.reply import MAX_CHUNKS_AHEAD, perform
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

    def begin_sentence(self, text: str) -> None:
        self.events.append(text)

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
    await asyncio.wait_for(perform(steps, voice, stage), PATIENCE_S)


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
    performing = asyncio.create_task(perform(steps_of(Say("One."), LOOK), ToneVoice(400), stage))

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
    performing = asyncio.create_task(perform(steps, voice, stage))
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
        async def speak(self, sentence: str) -> AsyncIterator[bytes]:
            try:
                while True:
                    async for chunk in super().speak(sentence):
                        yield chunk
                    speaking.set()
            finally:
                stopped.append("voice")

    stage = Recorder()
    stage.open.clear()
    performing = asyncio.create_task(perform(think(), Endless(200), stage))
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

    with pytest.raises(ExceptionGroup) as fault:
        await run(ponder(), ToneVoice(), Recorder())
    assert fault.group_contains(TimeoutError)
