import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from evibridge.engine.voices import standby
from evibridge.engine.voices.phrases import Phrases
from evibridge.engine.voices.sentences import sentences
from evibridge.engine.voices.standby import StandbyVoice
from evibridge.engine.voices.voice import Voice
from evibridge.errors import EvibridgeError, Overloaded, UpstreamFailed

PATIENCE_S = 5.0
APOLOGY = "I am sorry."
PHRASES = [APOLOGY, "One moment. Please hold the line."]
DOWN = UpstreamFailed("The voice is down.")


class SpellingVoice(Voice):
    """Speaks the bytes of the text in two chunks, behind the voice's name, unless it is down."""

    def __init__(self) -> None:
        self.fault: EvibridgeError | None = None
        self.asked: list[tuple[str, str | None]] = []
        self.closed = 0

    async def speak(self, sentence: str, voice_id: str | None = None) -> AsyncIterator[bytes]:
        self.asked.append((sentence, voice_id))
        try:
            yield (voice_id or "own").encode()
            if self.fault is not None:
                raise self.fault
            yield sentence.encode()
        finally:
            self.closed += 1


@pytest.fixture
def voice() -> SpellingVoice:
    return SpellingVoice()


async def said(voice: Voice, sentence: str, voice_id: str | None = None) -> list[bytes]:
    async with asyncio.timeout(PATIENCE_S):
        return [chunk async for chunk in voice.speak(sentence, voice_id)]


@pytest.fixture
async def prepared(voice: SpellingVoice) -> StandbyVoice:
    """Has spoken its phrases; from now on the voice itself is down."""
    standby = StandbyVoice(voice, PHRASES)
    await standby.prepare()
    voice.fault = DOWN
    voice.asked.clear()
    return standby


async def test_phrases_are_spoken_though_the_voice_is_down(
    prepared: StandbyVoice, voice: SpellingVoice
) -> None:
    for sentence in (APOLOGY, "One moment.", "Please hold the line."):
        assert await said(prepared, sentence) == [b"own", sentence.encode()]
    assert voice.asked == []


async def test_everything_else_goes_to_the_voice(
    prepared: StandbyVoice, voice: SpellingVoice
) -> None:
    voice.fault = None

    assert await said(prepared, "Good day.") == [b"own", b"Good day."]
    assert await said(prepared, "Good day.", "nova") == [b"nova", b"Good day."]
    assert voice.asked == [("Good day.", None), ("Good day.", "nova")]


async def test_a_failure_of_the_voice_reaches_who_speaks_something_else(
    prepared: StandbyVoice,
) -> None:
    with pytest.raises(UpstreamFailed, match="down"):
        await said(prepared, "Good day.")


@pytest.mark.parametrize("fault", [DOWN, Overloaded("Too much.")])
async def test_a_phrase_that_cannot_be_prepared_is_kept_when_it_is_first_spoken(
    voice: SpellingVoice, fault: EvibridgeError
) -> None:
    standby = StandbyVoice(voice, PHRASES)
    voice.fault = fault
    with capture_logs() as logs:
        await standby.prepare()
    assert sorted(line["phrase"] for line in logs) == [
        APOLOGY,
        "One moment.",
        "Please hold the line.",
    ]

    with pytest.raises(type(fault)):
        await said(standby, APOLOGY)
    voice.fault = None
    assert await said(standby, APOLOGY) == [b"own", APOLOGY.encode()]
    voice.fault = fault
    assert await said(standby, APOLOGY) == [b"own", APOLOGY.encode()]


async def test_a_phrase_in_a_chosen_voice_is_kept_once_it_was_spoken(
    prepared: StandbyVoice, voice: SpellingVoice
) -> None:
    voice.fault = None
    assert await said(prepared, APOLOGY, "nova") == [b"nova", APOLOGY.encode()]

    voice.fault = DOWN
    assert await said(prepared, APOLOGY, "nova") == [b"nova", APOLOGY.encode()]
    assert voice.asked == [(APOLOGY, "nova")]


async def test_a_phrase_that_fails_in_a_chosen_voice_is_heard_in_the_own_one(
    prepared: StandbyVoice,
) -> None:
    assert await said(prepared, APOLOGY, "nova") == [b"own", APOLOGY.encode()]


async def test_a_phrase_that_was_never_spoken_fails_in_every_voice(voice: SpellingVoice) -> None:
    voice.fault = DOWN

    with pytest.raises(UpstreamFailed):
        await said(StandbyVoice(voice, PHRASES), APOLOGY, "nova")


async def test_of_many_chosen_voices_the_last_ones_used_are_kept(
    prepared: StandbyVoice, voice: SpellingVoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standby, "_MAX_IN_OTHER_VOICES", 2)
    voice.fault = None
    for voice_id in ("nova", "ash", "nova", "echo"):
        await said(prepared, APOLOGY, voice_id)
    voice.asked.clear()

    for voice_id in ("nova", "echo", "ash"):
        assert await said(prepared, APOLOGY, voice_id) == [voice_id.encode(), APOLOGY.encode()]
    assert voice.asked == [(APOLOGY, "ash")]


async def test_a_phrase_that_is_interrupted_stops_the_voice_and_is_not_kept(
    voice: SpellingVoice,
) -> None:
    stuck = asyncio.Event()

    class StuckVoice(SpellingVoice):
        async def speak(self, sentence: str, voice_id: str | None = None) -> AsyncIterator[bytes]:
            try:
                async for chunk in voice.speak(sentence, voice_id):
                    yield chunk
                    stuck.set()
                    await asyncio.Event().wait()
            finally:
                self.closed += 1

    stuck_voice = StuckVoice()
    standby = StandbyVoice(stuck_voice, PHRASES)
    speaking = asyncio.create_task(said(standby, APOLOGY))
    async with asyncio.timeout(PATIENCE_S):
        await stuck.wait()
        speaking.cancel()
        await asyncio.wait([speaking])

    assert speaking.cancelled()
    assert stuck_voice.closed == 1


async def test_the_engines_own_phrases_are_found_again_as_the_chat_cuts_them(
    voice: SpellingVoice,
) -> None:
    phrases = Phrases()
    standby = StandbyVoice(voice, phrases.all())
    await standby.prepare()
    voice.fault = DOWN

    for phrase in phrases.all():
        for sentence in sentences(phrase):
            assert await said(standby, sentence) == [b"own", sentence.encode()]
