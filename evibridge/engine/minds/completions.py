"""The mind that is a language model behind an OpenAI-compatible address.

EVI's custom language model speaks the same protocol; only its requests name the chat as well.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import openai
import structlog

from evibridge.engine.minds.completion_chunks import Completion, Piece, RequestedCall
from evibridge.engine.minds.completion_messages import Message, call_not_made, messages, tools
from evibridge.engine.minds.mind import (
    Action,
    CallTool,
    Conversation,
    Mind,
    Occasion,
    Prompt,
    SayPart,
    ToolOutcome,
)
from evibridge.engine.model_service import (
    FAULTS,
    Fault,
    ModelService,
    is_passing,
    is_sendable_key,
    retry_after_s,
)
from evibridge.errors import UpstreamFailed

RETRY_WAITS_S = (0.2, 0.5)
GAP_TIMEOUT_S = 10.0
"""How long an answer that has begun may pause: the caller hears silence meanwhile."""

_PATH = "/chat/completions"
_OPENAI_HOST = "api.openai.com"

log = structlog.get_logger()


class CompletionsMind(Mind):
    """A mind that asks a language model, and speaks each piece of its answer as it comes.

    Args:
        base_url: what comes before `/chat/completions`, or all of it; None for OpenAI's own
        api_key: None when the service wants none; a client's own key goes before it
        model: None when the address has one model only
        first_token_timeout_s: from the request to the first word or tool call, all tries included
        sends_session_id: EVI: a custom language model finds `custom_session_id` in the query

    Raises:
        EngineSetupError: the address or the key cannot be one
    """

    def __init__(
        self,
        *,
        base_url: str | None,
        api_key: str | None,
        model: str | None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        first_token_timeout_s: float = 10.0,
        sends_session_id: bool = False,
    ) -> None:
        service = ModelService("language model", base_url and base_url.replace(_PATH, ""), api_key)
        # OpenAI's newer models refuse the name by which all other services know this limit.
        limit_name = "max_completion_tokens" if service.host == _OPENAI_HOST else "max_tokens"
        settings = {"model": model, "temperature": temperature, limit_name: max_tokens}
        self._service = service
        self._model = _Model(
            service,
            {name: value for name, value in settings.items() if value is not None},
            first_token_timeout_s,
            sends_session_id=sends_session_id,
        )

    def conversation(self) -> Conversation:
        """Begin the mind of one chat; all that it knows comes with each prompt."""
        return _CompletionsConversation(self._model)

    async def close(self) -> None:
        """Close all connections to the service."""
        await self._service.close()


class _CompletionsConversation(Conversation):
    def __init__(self, model: "_Model") -> None:
        self._model = model

    def reply(self, prompt: Prompt) -> AsyncGenerator[Action]:
        return self._answer(prompt)

    def after_tool(
        self,
        prompt: Prompt,
        call: CallTool,  # noqa: ARG002 - the call and its outcome are in the history
        outcome: ToolOutcome,  # noqa: ARG002
    ) -> AsyncGenerator[Action]:
        return self._answer(prompt)

    async def speak_up(self, prompt: Prompt, occasion: Occasion) -> AsyncGenerator[Action]:
        request = _Request(prompt, messages(prompt, occasion), [])
        async with aclosing(self._model.answer(request)) as pieces:
            async for piece in pieces:
                # No tools are offered here: a call is the model's own invention.
                if isinstance(piece, str):
                    yield SayPart(piece)

    async def close(self) -> None:
        pass

    async def _answer(self, prompt: Prompt) -> AsyncGenerator[Action]:
        told = messages(prompt)
        for _ in range(2):
            request = _Request(prompt, told, tools(prompt.tools))
            said, call = "", None
            async with aclosing(self._model.answer(request)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, RequestedCall):
                        call = piece
                    else:
                        said += piece
                        yield SayPart(piece)
            if call is None:
                return
            arguments = call.parsed()
            if arguments is not None:
                yield CallTool(call.name, arguments)
                return
            log.warning("model_tool_arguments_useless", tool=call.name, arguments=call.arguments)
            told = call_not_made(told, said, call.name, call.arguments)
        raise UpstreamFailed(
            f"{self._model.name} called a tool twice with arguments that are no JSON object: "
            "check that the model is good at calling tools."
        )


@dataclass(frozen=True, slots=True)
class _Request:
    prompt: Prompt
    messages: list[Message]
    tools: list[Message]


class _Model:
    """Asks for completions, each within its time and as often as is worth it."""

    def __init__(
        self,
        service: ModelService,
        settings: dict[str, Any],
        first_token_timeout_s: float,
        *,
        sends_session_id: bool,
    ) -> None:
        self.name = service.name
        self._service = service
        self._settings = settings
        self._first_token_timeout_s = first_token_timeout_s
        self._sends_session_id = sends_session_id
        self._knows_parallel_tool_calls = True

    async def answer(self, request: _Request) -> AsyncGenerator[Piece]:
        """Yield the words of a completion as they come, and its tool call at the end.

        Raises:
            UpstreamFailed: there is no answer, or its rest is missing
        """
        now_s = asyncio.get_running_loop().time
        deadline_s = now_s() + self._first_token_timeout_s
        for wait_s in (*RETRY_WAITS_S, None):
            begun = False
            try:
                async with aclosing(self._try(request)) as pieces:
                    while (piece := await _within(deadline_s, pieces)) is not None:
                        begun = True
                        if piece:
                            yield piece
                        deadline_s = now_s() + GAP_TIMEOUT_S
            except TimeoutError:
                raise self._too_slow(begun=begun) from None
            except FAULTS as fault:
                if begun or wait_s is None or not is_passing(fault):
                    raise self._failed(fault, begun=begun) from None
                pause_s = max(wait_s, retry_after_s(fault))
                if now_s() + pause_s >= deadline_s:
                    raise self._failed(fault, begun=False) from None
            else:
                return
            log.info("model_request_retried", pause_s=pause_s)
            await asyncio.sleep(pause_s)

    async def _try(self, request: _Request) -> AsyncGenerator[Piece]:
        """One request; empty text is a sign of life: a piece of a tool call."""
        completion = Completion()
        silent = True
        async with await self._open(request) as chunks:
            async for chunk in chunks:
                piece = completion.feed(chunk)
                if piece is not None:
                    silent = silent and not piece
                    yield piece
        for rest in completion.finish():
            silent = False
            yield rest
        if silent:
            raise UpstreamFailed(f"{self.name} {completion.why_silent()}.")

    async def _open(self, request: _Request) -> openai.AsyncStream[object]:
        body = {**self._settings, "messages": request.messages, "stream": True}
        if not request.tools:
            return await self._post(body, request.prompt)
        body["tools"] = request.tools
        if self._knows_parallel_tool_calls:
            try:
                return await self._post({**body, "parallel_tool_calls": False}, request.prompt)
            except (openai.BadRequestError, openai.UnprocessableEntityError):
                pass  # perhaps for this parameter: without it, the fault shows itself again
        stream = await self._post(body, request.prompt)
        self._knows_parallel_tool_calls = False
        return stream

    async def _post(self, body: dict[str, Any], prompt: Prompt) -> openai.AsyncStream[object]:
        key = prompt.language_model_api_key
        if key and not is_sendable_key(key):
            raise UpstreamFailed("The language_model_api_key of the client cannot be a key.")
        query = None
        if self._sends_session_id and prompt.custom_session_id is not None:
            query = {"custom_session_id": prompt.custom_session_id}
        return await self._service.stream(_PATH, body, api_key=key, query=query)

    def _too_slow(self, *, begun: bool) -> UpstreamFailed:
        if begun:
            sentence = f"{self.name} paused for {GAP_TIMEOUT_S:g} s in the middle of an answer."
        else:
            sentence = (
                f"{self.name} did not begin to answer within {self._first_token_timeout_s:g} s: "
                "take a quicker model, or raise first_token_timeout_s."
            )
        return UpstreamFailed(sentence, timed_out=True)

    def _failed(self, fault: Fault, *, begun: bool) -> UpstreamFailed:
        if begun:
            return UpstreamFailed(f"{self.name} broke off in the middle of an answer.")
        timed_out = isinstance(fault, openai.APITimeoutError)
        sentence = self._service.explain(fault, self._settings.get("model"))
        return UpstreamFailed(sentence, timed_out=timed_out)


async def _within(deadline_s: float, pieces: AsyncGenerator[Piece]) -> Piece | None:
    async with asyncio.timeout_at(deadline_s):
        return await anext(pieces, None)
