"""A voice behind an OpenAI-compatible address, at `/audio/speech`."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from uuid import UUID

import structlog

from evibridge.engine.model_service import FAULTS
from evibridge.engine.speech_service import RequestRefused, SpeechService
from evibridge.engine.voices.speech_decoder import SpeechDecoder
from evibridge.engine.voices.spoken_text import spoken_text
from evibridge.engine.voices.voice import Voice
from evibridge.errors import BadAudio, EngineSetupError, UpstreamFailed

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# Clients may name any number of voices. One more is refused by the service at every sentence.
_MAX_UNKNOWN_VOICES = 256
_MAX_NAME_CHARACTERS = 100

_Begun = tuple[bytes | None, AsyncGenerator[bytes, None]]
"""The first bytes of an answer, None of an empty one, and its rest."""


class OpenAIVoice(Voice):
    """Any service of OpenAI's speech protocol.

    A client of EVI names its voice by a UUID of its own, or by a name. An id that is mapped, or a
    name that the service knows, is spoken in that voice; everything else in the configured one.

    Args:
        base_url: what comes before `/audio/speech`; None for OpenAI's own
        api_key: None when the service wants none
        model: the service's name of the model
        voice: the service's name of the voice
        voices: from the `voice_id` of a client to the service's name of a voice
        rate_hz: of the raw audio that the service sends; 24 kHz is OpenAI's
        timeout_s: to the first audio of a sentence, a second try included, and for each pause

    Raises:
        EngineSetupError: the address, the key or the rate cannot be one
    """

    def __init__(
        self,
        *,
        base_url: str | None,
        api_key: str | None,
        model: str,
        voice: str,
        voices: Mapping[str, str] | None = None,
        rate_hz: int = 24_000,
        timeout_s: float = 10.0,
    ) -> None:
        try:
            SpeechDecoder(rate_hz)
        except BadAudio as error:
            raise EngineSetupError(f"The rate_hz of the voice cannot be used: {error}") from error
        self._service = SpeechService(
            "speech synthesis", base_url, api_key, model=model, timeout_s=timeout_s
        )
        self._voice = voice
        self._voices = dict(voices or {})
        self._rate_hz = rate_hz
        self._unknown_voices = set[str]()

    async def speak(
        self, sentence: str, voice_id: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Speak one piece of `sentences`, see `Voice.speak`; closing it closes the request."""
        text = spoken_text(sentence)
        if not any(map(str.isalnum, text)):
            return
        with self._service.place():
            data, rest = await self._begin(text, self._voice_for(voice_id))
            decoder = SpeechDecoder(self._rate_hz)
            async with aclosing(rest):
                try:
                    while data is not None:
                        for chunk in decoder.feed(data):
                            yield chunk
                        data = await self._next(rest)
                    for chunk in decoder.flush():
                        yield chunk
                except BadAudio as error:
                    raise UpstreamFailed(
                        f"{self._service.name} sends speech that cannot be played: {error}"
                    ) from error

    async def close(self) -> None:
        """Close all connections to the service."""
        await self._service.close()

    async def _begin(self, text: str, voice: str) -> _Begun:
        try:
            return await self._service.ask(lambda: self._open(text, voice))
        except RequestRefused:
            if voice == self._voice:
                raise
        begun = await self._service.ask(lambda: self._open(text, self._voice))
        self._remember_unknown(voice)  # it was for the voice, since all else was the same
        return begun

    async def _open(self, text: str, voice: str) -> _Begun:
        body = self._service.speech(text, voice)
        return await anext(body, None), body

    async def _next(self, body: AsyncGenerator[bytes, None]) -> bytes | None:
        try:
            async with asyncio.timeout(self._service.timeout_s):
                return await anext(body, None)
        except TimeoutError:
            raise self._service.too_slow() from None
        except FAULTS as fault:
            raise self._service.failed(fault) from None

    def _voice_for(self, voice_id: str | None) -> str:
        if not voice_id:
            return self._voice
        voice = self._voices.get(voice_id, voice_id)
        if voice == voice_id and not _is_name(voice_id):
            self._remember_unknown(voice)
            return self._voice
        return self._voice if voice in self._unknown_voices else voice

    def _remember_unknown(self, voice: str) -> None:
        if voice in self._unknown_voices or len(self._unknown_voices) >= _MAX_UNKNOWN_VOICES:
            return
        self._unknown_voices.add(voice)
        log.warning("voice_unknown", voice=voice[:_MAX_NAME_CHARACTERS])


def _is_name(voice_id: str) -> bool:
    """Tell a name that a service may know from the UUID of a voice of another service."""
    if len(voice_id) > _MAX_NAME_CHARACTERS:
        return False
    try:
        UUID(voice_id)
    except ValueError:
        return True
    return False
