"""Ears behind an OpenAI-compatible address, at `/audio/transcriptions`."""

import numpy as np

from evibridge.audio.wav import wav_file
from evibridge.engine.hearing.ears import Ears, Transcript
from evibridge.engine.speech_service import MAX_IN_FLIGHT, SpeechService

RATE_HZ = 16_000

# -50 dBFS at the loudest moment: far below speech, above what a telephone line makes of silence.
_SILENT_PEAK = 100

# What is only nice to have leaves room for a burst of utterances.
_IDLE_IN_FLIGHT = MAX_IN_FLIGHT // 4


class OpenAIEars(Ears):
    """Any service of OpenAI's transcription protocol.

    Such services invent words on silence, like "Thank you.", that cannot be told from words that
    were said: audio without any sound is not sent.

    Args:
        base_url: what comes before `/audio/transcriptions`; None for OpenAI's own
        api_key: None when the service wants none
        model: the service's name of the model
        language: ISO 639-1, None to let the service find out
        timeout_s: for the words of an utterance, a second try included

    Raises:
        EngineSetupError: the address or the key cannot be one
    """

    def __init__(
        self,
        *,
        base_url: str | None,
        api_key: str | None,
        model: str,
        language: str | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self._service = SpeechService(
            "speech recognition", base_url, api_key, model=model, timeout_s=timeout_s
        )
        self._language = language

    @property
    def idle(self) -> bool:
        """Whether few requests are under way."""
        return self._service.in_flight < _IDLE_IN_FLIGHT

    async def transcribe(self, pcm16: bytes) -> Transcript:
        """Recognise one utterance, int16 mono PCM at 16 kHz.

        Raises:
            UpstreamFailed: the service gave no usable answer
            Overloaded: too many requests are under way
        """
        pcm16 = pcm16[: len(pcm16) // 2 * 2]
        samples = np.frombuffer(pcm16, np.int16)
        if not len(samples) or max(int(np.max(samples)), -int(np.min(samples))) < _SILENT_PEAK:
            return Transcript("")
        wav = wav_file(pcm16, RATE_HZ)
        with self._service.place():
            text = await self._service.ask(lambda: self._service.transcription(wav, self._language))
        return Transcript(text.strip() if any(map(str.isalnum, text)) else "")

    async def close(self) -> None:
        """Close all connections to the service."""
        await self._service.close()
