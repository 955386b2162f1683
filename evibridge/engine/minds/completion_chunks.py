"""Reading a streamed chat completion: chunks in, words to speak and a tool call out. Pure.

Servers differ in all that is not the answer itself, so a chunk is read for what it holds and
never refused for what it lacks.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from evibridge.errors import BadMessage

MAX_ARGUMENTS_CHARACTERS = 65_536
"""More than any spoken turn needs; what is longer is cut, and with that no JSON object any more."""

_OPEN, _CLOSE = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class RequestedCall:
    """A tool call as the model wrote it.

    Attributes:
        arguments: text that should be a JSON object
    """

    name: str
    arguments: str

    def parsed(self) -> dict[str, Any] | None:
        """Return the arguments, None when they are no JSON object; no text is an empty one."""
        try:
            arguments = orjson.loads(self.arguments.strip() or "{}")
        except orjson.JSONDecodeError:
            return None
        return arguments if isinstance(arguments, dict) else None


Piece = str | RequestedCall


class Completion:
    """What a model answers, put together from its chunks."""

    def __init__(self) -> None:
        self._thoughts = ThoughtFilter()
        self._is_completion = False
        self._finish_reason: str | None = None
        self._call_id: str | None = None
        self._call_index: object = None
        self._call_name = ""
        self._arguments: list[str] | None = None
        self._arguments_characters = 0

    def feed(self, chunk: object) -> str | None:
        """Take the next chunk, parsed; returns what is to be spoken now.

        Empty text is a piece of a tool call; None is a chunk that brings the caller nothing, such
        as a thought or the usage.

        Raises:
            BadMessage: the chunk is no JSON object
        """
        if not isinstance(chunk, dict):
            raise BadMessage("A chunk of a completion is no JSON object.")
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return None
        self._is_completion = True
        choice = _object(choices[0]) if choices else {}
        reason = choice.get("finish_reason")
        self._finish_reason = reason if isinstance(reason, str) else self._finish_reason
        delta = _object(choice.get("delta"))
        # A refusal is the model's answer to the caller.
        text = self._thoughts.feed(_string(delta.get("content")) + _string(delta.get("refusal")))
        return text or ("" if self._take_calls(delta.get("tool_calls")) else None)

    def finish(self) -> list[Piece]:
        """The stream has ended; returns the words still held back and the tool call."""
        pieces: list[Piece] = []
        if text := self._thoughts.finish():
            pieces.append(text)
        if self._call_name:
            pieces.append(RequestedCall(self._call_name, "".join(self._arguments or ())))
        return pieces

    def why_silent(self) -> str:
        """Return what a model did that gave neither words nor a call, as the end of a sentence."""
        if not self._is_completion:
            return (
                "sent no chat completion: check that its address is that of an OpenAI-compatible "
                "service; most end in /v1"
            )
        if self._finish_reason == "length":
            return "used up its tokens before its answer began: allow it more, or less thinking"
        if self._finish_reason == "content_filter":
            return "held its answer back because of its content filter"
        return "gave an empty answer"

    def _take_calls(self, deltas: object) -> bool:
        """Take the pieces of the first call; a mind makes one at a time."""
        taken = False
        for delta in map(_object, deltas if isinstance(deltas, list) else ()):
            call_id = _string(delta.get("id"))
            if self._arguments is None:
                self._arguments = []
                self._call_id, self._call_index = call_id, delta.get("index")
            # Some servers number no calls, others give each whole call the same number.
            elif delta.get("index") != self._call_index or call_id not in ("", self._call_id):
                continue
            taken = True
            function = _object(delta.get("function"))
            self._call_name = self._call_name or _string(function.get("name"))
            room = MAX_ARGUMENTS_CHARACTERS - self._arguments_characters
            piece = _string(function.get("arguments"))[:room]
            self._arguments.append(piece)
            self._arguments_characters += len(piece)
        return taken


class ThoughtFilter:
    """Leaves out what a local model thinks aloud, in `<think>` blocks before its answer."""

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False
        self._answering = False

    def feed(self, text: str) -> str:
        """Take the next piece; returns what may be spoken of it and of what was held back."""
        if self._answering:
            return text
        self._held += text
        while True:
            if self._thinking:
                _, closed, rest = self._held.partition(_CLOSE)
                if not closed:
                    self._held = self._held[-len(_CLOSE) :]  # the tag may be cut in two
                    return ""
                self._held, self._thinking = rest, False
            self._held = self._held.lstrip()
            if self._held.startswith(_OPEN):
                self._held, self._thinking = self._held.removeprefix(_OPEN), True
            elif _OPEN.startswith(self._held):
                return ""
            else:
                self._answering = True
                return self.finish()

    def finish(self) -> str:
        """No more comes; returns what was held back because it might have been a thought."""
        held, self._held = self._held, ""
        return "" if self._thinking else held


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: object) -> str:
    # Half an emoji, cut in two by the server, can be sent to nobody.
    return value.encode("utf-8", "ignore").decode() if isinstance(value, str) else ""
