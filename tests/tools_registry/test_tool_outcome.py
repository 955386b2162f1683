import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import Enum, IntEnum
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, field_serializer

from evibridge.tools_registry.outcome import (
    MAX_ERROR_CHARS,
    MAX_RESULT_BYTES,
    ToolFailure,
    ToolResult,
    failure,
    result,
    sendable,
)
from evibridge.tools_registry.registry import Tool, Tools


def made_tool(fallback: str | None = "Sorry.") -> Tool:
    tools = Tools()
    tools.tool(name="tool", description="Do it.", fallback=fallback)(lambda: None)
    tool = tools.get("tool")
    assert tool is not None
    return tool


TOOL = made_tool()


class Colour(str, Enum):  # noqa: UP042  unlike StrEnum its str() is not its value
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Nothing(Enum):
    HERE = None


class Text(str):
    """A string that prints as another."""

    __slots__ = ()

    def __str__(self) -> str:
        return "another"


class Order(BaseModel):
    number: int
    due: date


@dataclass
class Point:
    x: float


class Broken(BaseModel):
    words: str

    @field_serializer("words")
    def _write(self, words: str) -> str:
        raise LookupError(words)


def failure_of(value: object) -> ToolFailure:
    outcome = result(TOOL, value)
    assert isinstance(outcome, ToolFailure)
    return outcome


# Results


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("as it is", "as it is"),
        ('"quoted"', '"quoted"'),
        ("", ""),
        (Text("its own"), "its own"),
        (None, "done"),
        (Nothing.HERE, "done"),
        (Colour.RED, "red"),
        (Level.HIGH, "3"),
        (3, "3"),
        (True, "true"),
        (b"bytes", '"bytes"'),
        (float("nan"), "null"),
        ([float("inf"), -float("inf")], "[null,null]"),
        ([], "[]"),
        (["ä", 1, None], '["ä",1,null]'),
        ({"slot": date(2025, 1, 2)}, '{"slot":"2025-01-02"}'),
        ({1: Colour.RED}, '{"1":"red"}'),
        (Order(number=7, due=date(2025, 1, 2)), '{"number":7,"due":"2025-01-02"}'),
        (Point(0.5), '{"x":0.5}'),
        ((number for number in (1, 2)), "[1,2]"),
        ("half a pair: \ud83d", "half a pair: ?"),
    ],
)
def test_a_result_is_text(value: object, content: str) -> None:
    assert result(TOOL, value) == ToolResult(content)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    ).filter(lambda value: value is not None)
)
def test_a_value_of_json_is_its_json(value: Any) -> None:
    outcome = result(TOOL, value)
    assert isinstance(outcome, ToolResult)
    assert json.loads(outcome.content) == value


@given(st.text(st.characters()))
def test_a_string_can_always_be_sent(text: str) -> None:
    outcome = result(TOOL, text)
    assert isinstance(outcome, ToolResult)
    assert orjson.loads(orjson.dumps(outcome.content)) == outcome.content
    assert len(outcome.content) == len(text)


def test_a_result_may_be_as_long_as_the_limit_and_no_longer() -> None:
    fits = "ü" * (MAX_RESULT_BYTES // 2)
    assert result(TOOL, fits) == ToolResult(fits)
    assert result(TOOL, fits + "x") == ToolFailure(
        "The tool tool returned 65537 bytes of text; 65536 are allowed.",
        "Sorry.",
        "result_too_large",
    )
    digits = ["x" * (MAX_RESULT_BYTES - 4)]
    assert result(TOOL, digits) == ToolResult(json.dumps(digits))
    assert failure_of([*digits, 1]).code == "result_too_large"


@pytest.mark.parametrize("value", ["x" * 10_000_000, b"x" * 10_000_000, ["x" * 10] * 1_000_000])
def test_a_result_of_megabytes_is_a_failure(value: object) -> None:
    assert failure_of(value).code == "result_too_large"


# Failures


def test_an_object_without_a_json_form_is_a_failure() -> None:
    assert failure_of(object()) == ToolFailure(
        "The tool tool returned what has no JSON form (Unable to serialize unknown type: "
        "<class 'object'>).",
        "Sorry.",
        "bad_result",
    )


def raising() -> Iterator[int]:
    yield 1
    raise ZeroDivisionError


def test_what_fails_while_it_is_written_is_a_failure() -> None:
    endless: list[object] = []
    endless.append(endless)
    values = (
        b"\xff",
        threading.Lock(),
        endless,
        {object(): 1},
        ["\ud83d"],
        raising(),
        Broken(words="x"),
    )
    for value in values:
        assert failure_of(value).code == "bad_result"


def test_what_a_value_says_while_it_is_written_can_be_sent_and_is_bounded() -> None:
    broken = failure_of(Broken(words="half a pair \ud83d" + "x" * 100_000))
    orjson.dumps(broken.error)
    assert len(broken.error) < MAX_ERROR_CHARS + 100


def test_a_failure_names_the_tool_and_gives_its_fallback() -> None:
    assert failure(TOOL, "is away", "away") == ToolFailure(
        "The tool tool is away.", "Sorry.", "away"
    )
    assert failure(made_tool(None), "is away", "away").content is None


def test_a_failure_can_be_sent_and_is_bounded() -> None:
    told = failure(TOOL, "is away: \ud83d" + "x" * 100_000, "away").error
    orjson.dumps(told)
    assert told.startswith("The tool tool is away: ?x")
    assert len(told) < MAX_ERROR_CHARS + 100


def test_half_a_pair_of_surrogates_becomes_a_question_mark() -> None:
    assert sendable("a\ud83dü") == b"a?\xc3\xbc"
