"""A speech model behind an OpenAI-compatible address: bounded, within a time limit, tried twice."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx2
import openai
import structlog

from evibridge.engine.model_service import (
    FAULTS,
    MAX_CONNECTIONS,
    Fault,
    ModelService,
    is_passing,
    retry_after_s,
)
from evibridge.errors import BadMessage, Overloaded, UpstreamFailed

MAX_IN_FLIGHT = MAX_CONNECTIONS
"""So that no request waits for a connection, which would count as the service's own time."""
RETRY_WAIT_S = 0.2

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_REFUSALS = (openai.BadRequestError, openai.NotFoundError, openai.UnprocessableEntityError)

_Answer = TypeVar("_Answer")


class RequestRefused(UpstreamFailed):
    """The service is there, but has not what is asked for: perhaps the model or the voice."""


class SpeechService(ModelService):
    """One service for recognition or speech.

    Args:
        kind: what sentences call the service, such as "speech recognition"
        base_url: what comes before `/audio/...`; None for `OPENAI_BASE_URL`, else OpenAI's
        api_key: None sends no key
        model: the service's name of the model
        timeout_s: for an answer, or the beginning of one that is streamed, both tries included

    Raises:
        EngineSetupError: the address or the key cannot be one
    """

    def __init__(
        self, kind: str, base_url: str | None, api_key: str | None, *, model: str, timeout_s: float
    ) -> None:
        super().__init__(kind, base_url, api_key)
        authorization = openai.Omit() if api_key is None else f"Bearer {api_key}"
        self._headers = {"Authorization": authorization}
        self._model = model
        self.timeout_s = timeout_s
        self.in_flight = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take one of the places for requests while the context is open.

        Raises:
            Overloaded: all are taken
        """
        if self.in_flight >= MAX_IN_FLIGHT:
            raise Overloaded(f"{self.name} has {self.in_flight} requests to answer already.")
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    async def transcription(self, wav: bytes, language: str | None) -> str:
        """Ask once for the words in a WAV file.

        Raises:
            FAULTS: one of them
        """
        answer: object = await self._client.audio.transcriptions.create(
            file=("speech.wav", wav, "audio/wav"),
            model=self._model,
            language=language or openai.omit,
            response_format="json",
            extra_headers=self._headers,
        )
        text = getattr(answer, "text", None)
        if not isinstance(text, str):
            raise BadMessage("The answer to a transcription has no text.")
        return text

    async def speech(self, text: str, voice: str) -> AsyncGenerator[bytes, None]:
        """Ask once for a text to be spoken, and yield the answer's bytes as they come.

        Raises:
            FAULTS: one of them
        """
        request = self._client.audio.speech.with_streaming_response.create(
            input=text,
            model=self._model,
            voice=voice,
            response_format="pcm",
            extra_headers=self._headers,
        )
        try:
            async with request as response:
                kind = response.headers.get("Content-Type", "").lower()
                if kind.startswith("text/") or "json" in kind:
                    raise BadMessage(f"Speech comes as {kind}, which is no audio.")
                async for data in response.iter_bytes():
                    yield data
        except httpx2.HTTPError as error:
            raise openai.APIConnectionError(request=error.request) from error

    async def ask(self, request: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Return what a request returns; one that fails for a passing reason is tried once more.

        Raises:
            RequestRefused: the service does not like what is asked for
            UpstreamFailed: it failed for another reason, or its time is over
        """
        try:
            async with asyncio.timeout(self.timeout_s):
                try:
                    return await request()
                except FAULTS as fault:
                    if not is_passing(fault):
                        raise
                    pause_s = max(RETRY_WAIT_S, retry_after_s(fault))
                log.info("model_request_retried", pause_s=pause_s)
                await asyncio.sleep(pause_s)
                return await request()
        except TimeoutError:
            raise self.too_slow() from None
        except FAULTS as fault:
            raise self.failed(fault) from None

    def too_slow(self) -> UpstreamFailed:
        """Nothing came in time."""
        return UpstreamFailed(
            f"{self.name} sent nothing for {self.timeout_s:g} s: "
            "take a quicker one, or raise timeout_s.",
            timed_out=True,
        )

    def failed(self, fault: Fault) -> UpstreamFailed:
        """Say what a fault of the service is, in one sentence."""
        sentence = self.explain(fault, self._model)
        if isinstance(fault, _REFUSALS):
            return RequestRefused(sentence)
        return UpstreamFailed(sentence, timed_out=isinstance(fault, openai.APITimeoutError))
