"""Phrases that can be spoken although the voice cannot: their audio is kept in memory."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable

import structlog

from evibridge.engine.voices.sentences import sentences
from evibridge.engine.voices.voice import Voice
from evibridge.errors import EvibridgeError

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# Of all phrases in all voices that clients have chosen. Three seconds of speech are 290 kB.
_MAX_IN_OTHER_VOICES = 40


class StandbyVoice(Voice):
    """A voice that has spoken some phrases beforehand, and serves exactly those from memory.

    So an apology is heard although the voice's service is down, and a filler comes at once. All
    other text goes to the voice. In a voice that the client has chosen, a phrase is kept from the
    first time on that it is spoken; if that fails, it is heard as it was spoken beforehand.

    Args:
        voice: who speaks everything else
        phrases: whole texts, cut into `sentences` as every text is
    """

    def __init__(self, voice: Voice, phrases: Iterable[str]) -> None:
        self._voice = voice
        self._sentences = frozenset(piece for phrase in phrases for piece in sentences(phrase))
        self._kept: dict[str, list[bytes]] = {}
        self._kept_in_other_voices = OrderedDict[tuple[str, str], list[bytes]]()

    async def prepare(self) -> None:
        """Speak all phrases; one that fails is logged, and kept when it is first spoken."""
        async with asyncio.TaskGroup() as group:
            for sentence in self._sentences:
                group.create_task(self._prepare(sentence))

    def speak(self, sentence: str, voice_id: str | None = None) -> AsyncIterator[bytes]:
        """Speak one piece of `sentences`, see `Voice.speak`."""
        if sentence in self._sentences:
            return self._speak_phrase(sentence, voice_id)
        return self._voice.speak(sentence, voice_id)

    async def _prepare(self, sentence: str) -> None:
        try:
            await self._in_own_voice(sentence)
        except EvibridgeError as fault:
            log.warning("phrase_not_prepared", phrase=sentence, fault=str(fault))

    async def _speak_phrase(
        self, sentence: str, voice_id: str | None
    ) -> AsyncGenerator[bytes, None]:
        for chunk in await self._audio(sentence, voice_id):
            yield chunk

    async def _audio(self, sentence: str, voice_id: str | None) -> list[bytes]:
        if voice_id is None:
            return await self._in_own_voice(sentence)
        try:
            return await self._in_other_voice(sentence, voice_id)
        except EvibridgeError:
            if sentence in self._kept:
                return self._kept[sentence]
            raise

    async def _in_own_voice(self, sentence: str) -> list[bytes]:
        if sentence not in self._kept:
            self._kept[sentence] = [chunk async for chunk in self._voice.speak(sentence)]
        return self._kept[sentence]

    async def _in_other_voice(self, sentence: str, voice_id: str) -> list[bytes]:
        kept, key = self._kept_in_other_voices, (sentence, voice_id)
        if key not in kept:
            kept[key] = [chunk async for chunk in self._voice.speak(sentence, voice_id)]
        kept.move_to_end(key)
        audio = kept[key]
        if len(kept) > _MAX_IN_OTHER_VOICES:
            kept.popitem(last=False)
        return audio
