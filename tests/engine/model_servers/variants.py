"""How models answer, well and badly; each function is a variant, under its name with hyphens."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import web

Delta = dict[str, Any]

HTML = "<!doctype html><title>Welcome</title><h1>Not a model endpoint</h1>"
ANSWER = "Grüß Gott, this is a stand-in. I heard you say: {heard} Is there anything else? 👋"


class Answer:
    """One request that a variant answers, and the ways to do so.

    Attributes:
        tries: how often this very request has been made, this time included
    """

    def __init__(
        self,
        request: web.Request,
        body: dict[str, Any],
        tries: int,
        first_token_s: float,
        token_s: float,
    ) -> None:
        self._request = request
        self.body = body
        self.tries = tries
        self._first_token_s = first_token_s
        self._token_s = token_s

    @property
    def tool_result(self) -> str | None:
        last = self.body["messages"][-1]
        return str(last["content"]) if last["role"] == "tool" else None

    def words(self) -> list[Delta]:
        """The standard answer, word by word."""
        if self.tool_result is not None:
            text = f"The tool said: {self.tool_result}"
        else:
            asked = (m["content"] for m in reversed(self.body["messages"]) if m["role"] == "user")
            text = ANSWER.format(heard=next(asked, "nothing."))
        return [{"content": word + " "} for word in text.split(" ")]

    async def begin(self, content_type: str = "text/event-stream") -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(self._request)
        return response

    async def stream(self, deltas: Iterable[Delta], reason: str = "stop") -> web.StreamResponse:
        """A well-formed answer, with the chunks around it that say nothing."""
        response = await self.begin()
        await response.write(event(chunk({"role": "assistant", "content": ""})))
        await asyncio.sleep(self._first_token_s)
        for delta in deltas:
            await response.write(event(chunk(delta)))
            if self._token_s:
                await asyncio.sleep(self._token_s)
        await response.write(event(chunk({}, reason)))
        await response.write(event({"choices": [], "usage": {"total_tokens": 7}}) + done())
        await response.write_eof()
        return response

    def reset(self) -> None:
        """Cut the connection where it is."""
        assert self._request.transport is not None
        self._request.transport.abort()


Variant = Callable[[Answer], Awaitable[web.StreamResponse]]


def chunk(delta: Delta, reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 0, "choices": [choice]}


def event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def done() -> bytes:
    return b"data: [DONE]\n\n"


def call(name: str, *arguments: str, index: int = 0) -> list[Delta]:
    """A tool call as it is streamed: the name first, then its arguments in pieces."""
    head = {"index": index, "id": f"id{index}", "type": "function"}
    pieces = [{**head, "function": {"name": name, "arguments": ""}}]
    pieces += [{"index": index, "function": {"arguments": text}} for text in arguments]
    return [{"tool_calls": [piece]} for piece in pieces]


# Answers as they should be


async def normal(answer: Answer) -> web.StreamResponse:
    return await answer.stream(answer.words())


async def brief(answer: Answer) -> web.StreamResponse:
    return await answer.stream([{"content": "Yes."}])


async def calls_tool(answer: Answer) -> web.StreamResponse:
    """Says a word, calls the first tool offered, and reads out its result."""
    if answer.tool_result is not None:
        return await answer.stream(answer.words())
    name = answer.body["tools"][0]["function"]["name"]
    deltas = [{"content": "One moment. "}, *call(name, '{"order', '_id": "10', '42"}')]
    return await answer.stream(deltas, "tool_calls")


async def corrects_itself(answer: Answer) -> web.StreamResponse:
    """Gives an argument a wrong name, reads what is wrong with it, and calls the tool again."""
    if answer.tool_result is None:
        greets = answer.body["messages"][-1]["role"] != "user"
        wrong = call("order_status", '{"order": "1042"}')
        if greets:
            return await answer.stream([{"content": "Hello."}])
        return await answer.stream(wrong, "tool_calls")
    missing = re.search(r"The argument '(\w+)' is missing", answer.tool_result)
    if missing is None:
        return await answer.stream(answer.words())
    arguments = json.dumps({missing[1]: "1042"})
    return await answer.stream(call("order_status", arguments), "tool_calls")


async def calls_two_tools(answer: Answer) -> web.StreamResponse:
    deltas = [*call("first", "{}"), *call("second", "{}", index=1)]
    return await answer.stream(deltas, "tool_calls")


async def dribbles(answer: Answer) -> web.StreamResponse:
    """A few bytes at a time: lines and UTF-8 characters arrive in pieces."""
    data = b"".join(event(chunk(delta)) for delta in answer.words()) + done()
    response = await answer.begin()
    for at in range(0, len(data), 3):
        await response.write(data[at : at + 3])
        if at % 300 == 0:
            await asyncio.sleep(0)
    return response


async def thinks(answer: Answer) -> web.StreamResponse:
    """In a field of its own, as most servers do, and in the answer, as local ones do."""
    thoughts = [{"reasoning_content": "Hm."}, {"content": "<thi"}, {"content": "nk>Hm.</think>"}]
    return await answer.stream([*thoughts, {"content": "\n\nYes."}])


async def refuses(answer: Answer) -> web.StreamResponse:
    return await answer.stream([{"refusal": "I cannot help with that."}])


async def without_parallel_tool_calls(answer: Answer) -> web.StreamResponse:
    if "parallel_tool_calls" in answer.body:
        return web.json_response(
            {"error": {"message": "Extra inputs are not permitted"}}, status=400
        )
    return await calls_tool(answer)


# Answers of little use


async def useless_arguments(answer: Answer) -> web.StreamResponse:
    return await answer.stream(call("order_status", '{"order_id": '), "tool_calls")


async def useless_arguments_once(answer: Answer) -> web.StreamResponse:
    if answer.tool_result is None:
        return await useless_arguments(answer)
    return await answer.stream(call("order_status", '{"order_id": "1042"}'), "tool_calls")


async def empty(answer: Answer) -> web.StreamResponse:
    return await answer.stream([])


async def empty_by_length(answer: Answer) -> web.StreamResponse:
    return await answer.stream([{"reasoning_content": "Hm."}], "length")


async def empty_by_filter(answer: Answer) -> web.StreamResponse:
    return await answer.stream([], "content_filter")


# Slow ones


async def stalls(answer: Answer) -> web.StreamResponse:
    """Says a word, and then nothing."""
    response = await answer.begin()
    await response.write(event(chunk({"content": "Well, "})))
    return await never(answer)


async def slow(answer: Answer) -> web.StreamResponse:
    """Accepts the request, shows that it lives, and says nothing."""
    response = await answer.begin()
    await response.write(b": still thinking\n\n" + event(chunk({"role": "assistant"})))
    return await never(answer)


async def never(_: Answer) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


# Broken ones


def status(code: int, data: dict[str, Any], *, tries: int | None = None) -> Variant:
    """Refuse a request: always, or so often until all is well."""

    async def refuse(answer: Answer) -> web.StreamResponse:
        if tries is not None and answer.tries > tries:
            return await normal(answer)
        headers = {"Retry-After": "0"} if code == 429 else None
        return web.json_response(data, status=code, headers=headers)

    return refuse


async def html_404(_: Answer) -> web.StreamResponse:
    return web.Response(status=404, text=HTML, content_type="text/html")


async def html(_: Answer) -> web.StreamResponse:
    return web.Response(text=HTML, content_type="text/html")


async def resets(answer: Answer) -> web.StreamResponse:
    answer.reset()
    return web.Response()


async def resets_once(answer: Answer) -> web.StreamResponse:
    return await (resets if answer.tries == 1 else normal)(answer)


async def cut(answer: Answer) -> web.StreamResponse:
    """Ends in the middle of an answer."""
    response = await answer.begin()
    await response.write(event(chunk({"content": "Well, "})))
    await response.write(b'data: {"choices": [{"del')
    answer.reset()
    return response


async def cut_before_words(answer: Answer) -> web.StreamResponse:
    """Ends after a chunk that says nothing; the second time all is well."""
    if answer.tries > 1:
        return await normal(answer)
    response = await answer.begin()
    await response.write(event(chunk({"role": "assistant"})))
    answer.reset()
    return response


async def reports_error(answer: Answer) -> web.StreamResponse:
    """An error in the place of a chunk, under the status of success."""
    response = await answer.begin()
    await response.write(event({"error": {"message": "The model is overloaded."}}))
    return response


async def garbage(answer: Answer) -> web.StreamResponse:
    response = await answer.begin()
    await response.write(b"data: hello\n\n")
    return response


async def garbage_bytes(answer: Answer) -> web.StreamResponse:
    response = await answer.begin()
    await response.write(b"data: \xff\xfe\n\n")
    return response


async def deep_garbage(answer: Answer) -> web.StreamResponse:
    response = await answer.begin()
    await response.write(b"data: " + b"[" * 100_000 + b"\n\n")
    return response


async def other_json(answer: Answer) -> web.StreamResponse:
    response = await answer.begin()
    await response.write(b'data: ["hello"]\n\n')
    return response


_MODEL_NOT_FOUND = {"error": {"message": "The model `gpt` does not exist", "code": "not_found"}}
_WRONG_KEY = {"error": {"message": "Incorrect API key provided: sk-secret"}}
_OUT_OF_ORDER = {"error": {"message": "Internal error"}}

_VARIANTS: dict[str, Variant] = {
    "status-400": status(400, {"error": {"message": "The context is too long"}}),
    "status-401": status(401, _WRONG_KEY),
    "status-404": status(404, _MODEL_NOT_FOUND),
    "status-429": status(429, {"error": {"message": "Rate limit reached"}}),
    "status-500": status(500, _OUT_OF_ORDER),
    "busy-once": status(429, {"error": {"message": "Rate limit reached"}}, tries=1),
    "out-of-order-twice": status(503, _OUT_OF_ORDER, tries=2),
} | {
    function.__name__.replace("_", "-"): function
    for function in (
        normal, brief, calls_tool, corrects_itself, calls_two_tools, dribbles, thinks, refuses,
        without_parallel_tool_calls, useless_arguments, useless_arguments_once, empty,
        empty_by_length, empty_by_filter, stalls, slow, never, html_404, html, resets,
        resets_once, cut, cut_before_words, reports_error, garbage, garbage_bytes, deep_garbage,
        other_json,
    )
}  # fmt: skip


def variant(name: str) -> Variant:
    """An unknown name is that of a model which does not exist."""
    return _VARIANTS.get(name, _VARIANTS["status-404"])
