"""The mind that is an EVI custom language model, in its WebSocket form.

EVI: the socket is opened by the server of the chat, to the address in the config. Each turn is one
message `{"messages": [...], "custom_session_id": ...}`; the model answers with `assistant_input`
messages, each a piece of text, and closes its turn with `assistant_end`. The form has no tools, no
system prompt and no way to ask for words that are not an answer: the model has its own.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson

from evibridge.engine.minds.mind import (
    Action,
    CallTool,
    Conversation,
    Mind,
    Occasion,
    Prompt,
    Say,
    SayPart,
    ToolOutcome,
)
from evibridge.engine.minds.occasions import standard_sentence
from evibridge.errors import LinkError, SettingsError, UpstreamFailed
from evibridge.sockets import Socket, SocketListener, connect
from evibridge.sockets.addresses import Target

MAX_ANSWER_BYTES = 1024 * 1024
"""All messages of one answer, which may come faster than they are spoken: hours of speech, even
from a model that sends a word at a time. The longest message too."""
GAP_TIMEOUT_S = 10.0
"""How long a model that has begun to answer may be silent."""

_ENDS_SENTENCE = re.compile(r"[^\W\d_][.!?…][\"')\]\u2019\u201d]*$")


class LanguageSocketMind(Mind):
    """A custom language model behind a `ws://` or `wss://` address.

    Args:
        url: of the model, as in the `language_model` of an EVI config
        api_key: is sent as a bearer token where the client of a chat brings no key of its own
            (UNCONFIRMED: EVI documents the token for the form with server-sent events)
        first_token_timeout_s: how long a turn may take to its first text, connecting included

    Raises:
        SettingsError: the URL is not the address of a WebSocket
    """

    def __init__(
        self, url: str, api_key: str | None = None, first_token_timeout_s: float = 10.0
    ) -> None:
        self._url = url
        self._shown = Target.parse(url).shown
        self._api_key = api_key
        self._first_token_timeout_s = first_token_timeout_s

    def conversation(self) -> Conversation:
        """Begin the mind of one chat; its socket is opened at the first turn."""
        return _LanguageSocket(self._url, self._shown, self._api_key, self._first_token_timeout_s)


class _LanguageSocket(Conversation):
    def __init__(
        self, url: str, shown: str, api_key: str | None, first_token_timeout_s: float
    ) -> None:
        self._url = url
        self._shown = shown
        self._api_key = api_key
        self._first_token_timeout_s = first_token_timeout_s
        self._link = _Link(shown)
        self._session_id: str | None = None

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Action, None]:
        deadline_s = asyncio.get_running_loop().time() + self._first_token_timeout_s
        # A connection may turn out to be lost only when it is used: it is opened once more, as
        # long as the caller has heard nothing.
        is_last = False
        while True:
            spoken = ""
            try:
                async with aclosing(self._answer(prompt, deadline_s)) as texts:
                    async for text in texts:
                        yield SayPart(_gap(spoken, text) + text)
                        spoken = text
            except _LinkLost as lost:
                if is_last or spoken:
                    raise UpstreamFailed(
                        f"{self._shown} closed the connection (code {lost.code}) before it sent "
                        "assistant_end: see the log of the language model."
                    ) from lost
                is_last = True
            else:
                return

    def after_tool(
        self,
        prompt: Prompt,
        call: CallTool,  # noqa: ARG002 - this mind calls none
        outcome: ToolOutcome,  # noqa: ARG002
    ) -> AsyncIterator[Action]:
        return self.reply(prompt)

    async def speak_up(
        self,
        prompt: Prompt,  # noqa: ARG002 - the model can only be asked for answers
        occasion: Occasion,
    ) -> AsyncGenerator[Action, None]:
        sentence = standard_sentence(occasion)
        if sentence is not None:
            yield Say(sentence)

    async def close(self) -> None:
        self._link.close()
        await self._link.gone.wait()  # a socket keeps to its own time limit for closing

    async def _answer(self, prompt: Prompt, deadline_s: float) -> AsyncGenerator[str, None]:
        """Ask once; an answer that is not read to its end costs the connection.

        What the model goes on sending could not be told from its next answer: no message says
        which turn it belongs to.
        """
        link: _Link | None = None
        try:
            async with asyncio.timeout_at(deadline_s):
                link = await self._idle_link(prompt)
                link.ask(orjson.dumps(self._request(prompt)))
                text = await link.next_text()
            while text is not None:
                yield text
                async with asyncio.timeout(GAP_TIMEOUT_S):
                    text = await link.next_text()
        except TimeoutError:
            raise UpstreamFailed(
                f"{self._shown} did not answer in time: see the log of the language model.",
                timed_out=True,
            ) from None
        finally:
            if link is not None:
                self._session_id = link.session_id or self._session_id
                if not link.is_idle:
                    link.close()

    async def _idle_link(self, prompt: Prompt) -> "_Link":
        if self._link.is_idle:
            return self._link
        self._link.close()
        self._link = _Link(self._shown)
        key = prompt.language_model_api_key or self._api_key
        try:
            await connect(
                self._url,
                self._link,
                headers={"Authorization": f"Bearer {key}"} if key else {},
                max_message_bytes=MAX_ANSWER_BYTES,
                timeout_s=self._first_token_timeout_s,
            )
        except (LinkError, SettingsError) as error:
            raise UpstreamFailed(
                f"{error} Check the address and the key of the language model.",
                timed_out=isinstance(error.__cause__, TimeoutError),
            ) from error
        return self._link

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        """The conversation so far; EVI: a context is appended to the words it belongs to."""
        messages = [
            _message(entry.role, entry.content) for entry in prompt.history if entry.role != "tool"
        ]
        if prompt.context:
            from_caller = [entry for entry in messages if entry["message"]["role"] == "user"]
            for entry in from_caller[-1:]:
                entry["message"]["content"] += f" {{Context: {prompt.context}}}"
        session_id = prompt.custom_session_id or self._session_id
        return {"messages": messages, "custom_session_id": session_id}


def _message(role: str, content: str) -> dict[str, Any]:
    return {
        "type": f"{role}_message",
        "message": {"role": role, "content": content},
        "models": {"prosody": {"scores": {}}},  # models written for EVI read it without a check
    }


def _gap(before: str, text: str) -> str:
    """A space between two texts that are whole sentences.

    UNCONFIRMED: some models send a few characters at a time, with their spaces, as they come from
    a language model; others send sentences, without.
    """
    return " " if _ENDS_SENTENCE.search(before) and text[0].isupper() else ""


class _LinkLost(Exception):
    """The connection ended before the answer did."""

    def __init__(self, code: int) -> None:
        super().__init__(f"close code {code}")
        self.code = code


class _Link(SocketListener):
    """One connection to the model: not open, idle, or with one answer under way.

    Attributes:
        gone: set while there is no connection
        session_id: what the model wants the chat to be known by (EVI: once set, it is sent with
            each later turn)
    """

    def __init__(self, shown: str) -> None:
        self.gone = asyncio.Event()
        self.gone.set()
        self.session_id: str | None = None
        self._shown = shown
        self._socket: Socket | None = None
        self._answer: asyncio.Queue[str | Exception | None] | None = None
        self._answer_bytes = 0

    @property
    def is_idle(self) -> bool:
        """True when it can be asked."""
        return self._socket is not None and self._answer is None

    def ask(self, request: bytes) -> None:
        """Begin a turn; what was not read of an earlier answer is forgotten."""
        assert self._socket is not None
        self._answer = asyncio.Queue()  # bounded by the bytes of an answer
        self._answer_bytes = 0
        self._socket.send_text(request)

    async def next_text(self) -> str | None:
        """Wait for the next piece of the answer, which is never empty; None is its end.

        Raises:
            _LinkLost: the connection is gone
            UpstreamFailed: the model does not keep to the protocol
        """
        assert self._answer is not None
        item = await self._answer.get()
        if isinstance(item, Exception):
            raise item
        if item is None:
            self._answer = None
        return item

    def close(self) -> None:
        """End the connection, at once when it would bring more of an answer."""
        socket, self._socket = self._socket, None
        if self._answer is not None:
            self._answer.put_nowait(None)
            if socket is not None:
                socket.abort()
        elif socket is not None:
            socket.close()

    def on_open(self, socket: Socket) -> None:
        self._socket = socket
        self.gone.clear()

    def on_text(self, text: bytes) -> None:
        """Take a message; outside of a turn nothing can be an answer."""
        if self._socket is None or self._answer is None:
            return
        self._answer_bytes += len(text)
        if self._answer_bytes > MAX_ANSWER_BYTES:
            self._give_up("sent an answer without end")
            return
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            message = None
        if isinstance(message, dict):
            self._receive(message)
        else:
            self._give_up("sent something that is not a JSON object")

    def on_binary(self, data: bytes) -> None:
        """Take JSON from frameworks that send it as bytes."""
        self.on_text(data)

    def on_close(self, code: int, reason: str) -> None:  # noqa: ARG002 - words of the other side
        """The model or the network ended it."""
        self._socket = None
        self.gone.set()
        if self._answer is not None:
            self._answer.put_nowait(_LinkLost(code))

    def _receive(self, message: dict[str, Any]) -> None:
        assert self._answer is not None
        kind, text = message.get("type"), message.get("text")
        if kind == "assistant_end":
            self._answer.put_nowait(None)
        elif kind == "assistant_input" and isinstance(text, str):
            session_id = message.get("custom_session_id")
            self.session_id = session_id if isinstance(session_id, str) else self.session_id
            if text:
                self._answer.put_nowait(text)
        elif kind == "assistant_input":
            self._give_up("sent an assistant_input without text")

    def _give_up(self, what: str) -> None:
        assert self._answer is not None
        sentence = f"{self._shown} {what}: it does not speak the protocol of EVI's language models."
        self._answer.put_nowait(UpstreamFailed(sentence))
        self.close()
