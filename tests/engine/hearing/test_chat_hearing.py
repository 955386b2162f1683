import asyncio
from collections.abc import AsyncIterator

import pytest

from evibridge.engine.chat.chat_settings import AudioFormat
from evibridge.engine.hearing.ears import Transcript
from evibridge.engine.hearing.hearing import Hearing
from evibridge.engine.hearing.turns import TurnTaking
from evibridge.engine.tasks import OwnedTasks
from evibridge.errors import BadAudio, Overloaded, UpstreamFailed
from tests.engine.chat_client import PATIENCE_S
from tests.engine.chat_parts import LoudnessActivity, QueuedEars, silence, tone


class Notes:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.speaking = False
        self.interruptions = 0
        self.saying: list[str] = []
        self.said: asyncio.Queue[tuple[str, int, int]] = asyncio.Queue()
        self.outcomes: list[str] = []
        self.turn_over = asyncio.Event()

    def agent_is_speaking(self) -> bool:
        return self.speaking

    def caller_interrupts(self) -> None:
        self.interruptions += 1
        self.speaking = False

    def caller_said(self, text: str, begin_ms: int, end_ms: int) -> None:
        self.said.put_nowait((text, begin_ms, end_ms))

    def caller_is_saying(self, text: str, begin_ms: int, end_ms: int) -> None:
        assert begin_ms < end_ms
        self.saying.append(text)

    def turn_ended(self) -> None:
        self._turn_is_over("turn_ended")

    def not_heard(self) -> None:
        self._turn_is_over("not_heard")

    def interruption_was_noise(self) -> None:
        self._turn_is_over("interruption_was_noise")

    def _turn_is_over(self, outcome: str) -> None:
        self.outcomes.append(outcome)
        self.turn_over.set()


class BrokenEars(QueuedEars):
    """Recognises nothing, for a reason."""

    def __init__(self, fault: Exception) -> None:
        super().__init__()
        self.fault = fault

    async def transcribe(self, pcm16: bytes) -> Transcript:
        self.heard.append(pcm16)
        raise self.fault


class IdleEars(QueuedEars):
    """Has time for what is only nice to have."""

    @property
    def idle(self) -> bool:
        return True


class SlowEars(QueuedEars):
    """Recognises only when the test lets it."""

    def __init__(self, *texts: str) -> None:
        super().__init__(*texts)
        self.may_go_on = asyncio.Event()
        self.cancelled = 0

    async def transcribe(self, pcm16: bytes) -> Transcript:
        transcript = await super().transcribe(pcm16)
        try:
            await self.may_go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return transcript


@pytest.fixture(autouse=True)
def loud_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evibridge.engine.hearing.hearing.VoiceActivity", LoudnessActivity)


@pytest.fixture
async def tasks() -> AsyncIterator[OwnedTasks]:
    faults: list[BaseException] = []
    owned = OwnedTasks(faults.append)
    yield owned
    owned.stop()
    await asyncio.wait_for(owned.ended(), PATIENCE_S)
    assert faults == []


def hearing(
    ears: QueuedEars,
    notes: Notes,
    tasks: OwnedTasks,
    turn_taking: TurnTaking | None = None,
    *,
    interim: bool = False,
) -> Hearing:
    heard = Hearing(ears, turn_taking or TurnTaking(), notes, tasks, interim=interim)
    heard.announce(AudioFormat(16_000, 1))
    return heard


async def turn_over(notes: Notes) -> list[str]:
    await asyncio.wait_for(notes.turn_over.wait(), PATIENCE_S)
    return notes.outcomes


async def said(notes: Notes) -> tuple[str, int, int]:
    return await asyncio.wait_for(notes.said.get(), PATIENCE_S)


async def test_an_utterance_is_recognised_once_and_told_with_its_place(tasks: OwnedTasks) -> None:
    ears, notes = QueuedEars("Hello."), Notes()
    hears = hearing(ears, notes, tasks)

    hears.take(silence(5_000) + tone(600) + silence(1_100))
    text, begin_ms, end_ms = await said(notes)

    assert text == "Hello."
    assert 4_600 <= begin_ms <= 4_800
    assert 5_600 <= end_ms <= 6_000
    assert hears.position_ms == 6_700
    assert len(ears.heard) == 1
    assert tone(500) in ears.heard[0]


async def test_recognition_starts_before_the_turn_is_over(tasks: OwnedTasks) -> None:
    ears, notes = SlowEars("Hello."), Notes()
    hears = hearing(ears, notes, tasks)

    hears.take(tone(600) + silence(300))
    await asyncio.sleep(0)
    assert len(ears.heard) == 1
    assert notes.said.empty()

    hears.take(silence(800))
    ears.may_go_on.set()
    assert (await said(notes))[0] == "Hello."
    assert len(ears.heard) == 1


async def test_a_recognition_of_half_an_utterance_is_cancelled(tasks: OwnedTasks) -> None:
    ears, notes = SlowEars("Hel", "Hello there."), Notes()
    hears = hearing(ears, notes, tasks)

    hears.take(tone(600) + silence(300))
    await asyncio.sleep(0)
    hears.take(tone(600))
    ears.may_go_on.set()
    hears.take(silence(1_100))

    assert (await said(notes))[0] == "Hello there."
    assert ears.cancelled == 1


async def test_a_finished_recognition_of_half_an_utterance_is_forgotten(tasks: OwnedTasks) -> None:
    ears, notes = QueuedEars("Hel", "Hello there."), Notes()
    hears = hearing(ears, notes, tasks)

    hears.take(tone(600) + silence(300))
    await asyncio.wait_for(tasks.ended(), PATIENCE_S)
    hears.take(tone(600) + silence(1_100))

    assert (await said(notes))[0] == "Hello there."


async def test_an_interruption_is_told_while_the_caller_still_speaks(tasks: OwnedTasks) -> None:
    notes = Notes()
    hears = hearing(QueuedEars(), notes, tasks)
    notes.speaking = True

    hears.take(silence(200) + tone(700))
    assert notes.interruptions == 0
    hears.take(tone(300))
    assert notes.interruptions == 1


async def test_a_long_utterance_is_recognised_as_far_as_its_audio_is_kept(
    tasks: OwnedTasks,
) -> None:
    ears, notes = QueuedEars("So."), Notes()
    hears = hearing(ears, notes, tasks)

    for _ in range(40):
        hears.take(tone(1_000))
    hears.take(silence(1_100))

    assert (await said(notes))[2] > 40_000
    assert 30_000 * 32 <= len(ears.heard[0]) <= 32_000 * 32


async def test_audio_of_an_unknown_format_is_refused(tasks: OwnedTasks) -> None:
    hears = Hearing(QueuedEars(), TurnTaking(), Notes(), tasks, interim=False)

    with pytest.raises(BadAudio):
        hears.take(tone(100))
    assert hears.position_ms == 0


async def test_an_utterance_that_takes_too_long_to_recognise_is_lost_and_not_the_chat(
    tasks: OwnedTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evibridge.engine.hearing.hearing.RECOGNITION_TIMEOUT_S", 0.05)
    ears, notes = SlowEars("lost", "heard"), Notes()
    caller = hearing(ears, notes, tasks)
    caller.take(tone(500) + silence(1200))
    assert await turn_over(notes) == ["not_heard"]
    ears.may_go_on.set()
    caller.take(tone(500) + silence(1200))

    assert (await said(notes))[0] == "heard"
    assert notes.outcomes == ["not_heard", "turn_ended"]


@pytest.mark.parametrize(
    "fault", [UpstreamFailed("The ears did not answer.", timed_out=True), Overloaded("Too much.")]
)
async def test_failing_ears_are_told_once_per_turn(tasks: OwnedTasks, fault: Exception) -> None:
    notes = Notes()
    caller = hearing(BrokenEars(fault), notes, tasks, TurnTaking(end_of_turn_silence_ms=2000))

    caller.take(tone(500) + silence(1000) + tone(500) + silence(2200))

    assert await turn_over(notes) == ["not_heard"]
    assert notes.said.empty()


async def test_a_turn_with_a_pause_is_told_in_pieces_and_ends_once(tasks: OwnedTasks) -> None:
    ears, notes = QueuedEars("My number is", "10 42."), Notes()
    caller = hearing(ears, notes, tasks, TurnTaking(end_of_turn_silence_ms=2000))
    caller.take(tone(500) + silence(900))
    assert (await said(notes))[0] == "My number is"
    assert notes.outcomes == []
    assert caller.caller_is_speaking
    caller.take(tone(500) + silence(2200))

    assert await turn_over(notes) == ["turn_ended"]
    assert (await said(notes))[0] == "10 42."
    assert not caller.caller_is_speaking


async def test_every_utterance_of_a_turn_is_told_before_its_end(tasks: OwnedTasks) -> None:
    ears, notes = SlowEars("One.", "Two."), Notes()
    caller = hearing(ears, notes, tasks, TurnTaking(end_of_turn_silence_ms=1500))

    caller.take(tone(500) + silence(1000) + tone(500) + silence(1700))
    await asyncio.sleep(0)
    assert notes.outcomes == []
    ears.may_go_on.set()

    assert await turn_over(notes) == ["turn_ended"]
    assert [notes.said.get_nowait()[0] for _ in range(2)] == ["One.", "Two."]


async def test_a_noise_is_no_turn(tasks: OwnedTasks) -> None:
    notes = Notes()
    caller = hearing(QueuedEars(""), notes, tasks)

    caller.take(tone(500) + silence(1200))
    await asyncio.wait_for(tasks.ended(), PATIENCE_S)

    assert notes.outcomes == []
    assert notes.said.empty()


async def test_a_noise_that_has_interrupted_the_agent_is_told(tasks: OwnedTasks) -> None:
    notes = Notes()
    caller = hearing(QueuedEars(""), notes, tasks)
    notes.speaking = True

    caller.take(tone(900) + silence(1200))

    assert await turn_over(notes) == ["interruption_was_noise"]
    assert notes.interruptions == 1


async def talk(caller: Hearing, seconds: float, tasks: OwnedTasks) -> None:
    """Speech in messages of 20 ms; each is recognised before the next, where it is at all."""
    for _ in range(int(seconds * 50)):
        caller.take(tone(20))
        await asyncio.wait_for(tasks.ended(), PATIENCE_S)


async def test_provisional_texts_come_while_the_caller_speaks(tasks: OwnedTasks) -> None:
    ears, notes = IdleEars("I", "I would", "I would like", "I would like tea."), Notes()
    caller = hearing(ears, notes, tasks, interim=True)

    await talk(caller, 2.5, tasks)
    assert notes.saying == ["I", "I would", "I would like"]
    caller.take(silence(1_100))

    assert (await said(notes))[0] == "I would like tea."
    assert await turn_over(notes) == ["turn_ended"]
    assert len(ears.heard) == 4


@pytest.mark.parametrize(("ears", "interim"), [(IdleEars, False), (QueuedEars, True)])
async def test_nothing_extra_is_recognised_unasked_or_by_busy_ears(
    tasks: OwnedTasks, ears: type[QueuedEars], interim: bool
) -> None:
    heard_by, notes = ears("I would like tea."), Notes()
    caller = hearing(heard_by, notes, tasks, interim=interim)

    await talk(caller, 2.5, tasks)
    caller.take(silence(1_100))

    assert (await said(notes))[0] == "I would like tea."
    assert len(heard_by.heard) == 1
