"""A turn in the words of the chat completions protocol: messages and tools. Pure.

What is sent keeps to what the strictest chat templates accept: one system message at the head,
then user and assistant by turns, the user first, and each tool result right behind its call.
"""

from collections.abc import Iterable
from typing import Any, Literal

import orjson

from evibridge.engine.minds.mind import Occasion, Prompt, ToolOffer, ToolUse

Message = dict[str, Any]

DEFAULT_INSTRUCTIONS = (
    "You are a helpful assistant in a spoken conversation. Everything you write is read aloud: "
    "answer in one to three short sentences of plain words, without markdown, lists or emoji."
)
TOOL_FAILED = "The tool failed and gave no reason."
MAX_QUOTED_CHARACTERS = 500
"""Of a call's useless arguments: enough for the model to see its mistake."""

_OCCASIONS: dict[Occasion, str] = {
    "greeting": "The caller has just been connected and waits for you to speak first. "
    "Greet them in one short sentence.",
    "nudge": "The caller has been silent for a while. "
    "Invite them in one short sentence to go on, without repeating yourself.",
    "inactivity": "The caller has been silent for long, and the call will end in a moment. "
    "Ask in one short sentence whether they are still there, and say so.",
    "max_duration": "The call has reached its longest duration and ends now. "
    "Say goodbye in one short sentence.",
}


def messages(prompt: Prompt, occasion: Occasion | None = None) -> list[Message]:
    """Return the messages of a request, the system's first.

    Args:
        prompt: what the mind knows
        occasion: why the agent speaks unasked; None when it answers the caller. It is told as a
            note in a user message: many templates refuse a system message there.
    """
    told: list[Message] = [_text("system", prompt.instructions() or DEFAULT_INSTRUCTIONS)]
    for entry in prompt.history:
        if len(told) == 1 and entry.role != "user":
            told.append(_text("user", _note("The call begins.")))
        if entry.role == "tool":
            assert entry.tool is not None
            _add_tool_use(told, entry.tool, entry.content or TOOL_FAILED)
        elif entry.content:
            _add_text(told, entry.role, entry.content)
    if occasion is not None:
        _add_text(told, "user", _note(_OCCASIONS[occasion]))
    if prompt.context:
        _append_context(told, prompt.context)
    return told


def tools(offers: Iterable[ToolOffer]) -> list[Message]:
    """Return the tools of a request."""
    return [{"type": "function", "function": _function(offer)} for offer in offers]


def call_not_made(told: list[Message], said: str, name: str, arguments: str) -> list[Message]:
    """Return the messages that ask a model again after a call with useless arguments.

    Args:
        told: the messages that led to the call
        said: what the model said before it
        name: the tool's
        arguments: not a JSON object
    """
    again = list(told)
    if said:
        _add_text(again, "assistant", said)
    result = (
        f"{name} was not called: its arguments must be one JSON object, and they were: "
        f"{arguments[:MAX_QUOTED_CHARACTERS]} Correct them and call it again."
    )
    # The useless text stands in the result only: many servers parse the arguments of past calls.
    _add_tool_use(again, ToolUse("", name, {}), result)
    return again


def _note(text: str) -> str:
    return f"[A note that the caller does not hear: {text}]"


def _text(role: Literal["system", "user", "assistant"], text: str) -> Message:
    return {"role": role, "content": text}


def _add_text(told: list[Message], role: Literal["user", "assistant"], text: str) -> None:
    """Add a message, or prolong the last one: templates refuse two of one role in a row."""
    last = told[-1]
    if last["role"] == role:
        told[-1] = _text(role, f"{last['content']}\n{text}")
    else:
        told.append(_text(role, text))


def _add_tool_use(told: list[Message], use: ToolUse, result: str) -> None:
    # Mistral's API takes no other ids than nine letters and digits, so the client's are not used.
    call_id = f"call{sum(message['role'] == 'tool' for message in told):05d}"
    function = {"name": use.name, "arguments": orjson.dumps(use.arguments).decode()}
    call = {"id": call_id, "type": "function", "function": function}
    said = told.pop()["content"] if told[-1]["role"] == "assistant" else None
    told.append({"role": "assistant", "content": said, "tool_calls": [call]})
    told.append({"role": "tool", "tool_call_id": call_id, "content": result})


def _append_context(told: list[Message], context: str) -> None:
    """EVI: context is silent text at the end of a user message."""
    for index in range(len(told) - 1, 0, -1):
        if told[index]["role"] == "user":
            told[index] = _text("user", f"{told[index]['content']} {{Context: {context}}}")
            return


def _function(offer: ToolOffer) -> Message:
    parameters = offer.parameters or {"type": "object", "properties": {}}
    function: Message = {"name": offer.name, "parameters": parameters}
    if offer.description:
        function["description"] = offer.description
    return function
