from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.minds.completion_chunks import (
    MAX_ARGUMENTS_CHARACTERS,
    Completion,
    Piece,
    RequestedCall,
    ThoughtFilter,
)
from evibridge.errors import BadMessage


def chunk(delta: object, reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def call(arguments: str | None = None, **more: Any) -> dict[str, Any]:
    """A piece of a tool call; the first piece has id and name as well."""
    name = more.pop("name", None)
    return chunk({"tool_calls": [{**more, "function": {"name": name, "arguments": arguments}}]})


def read(*chunks: object) -> list[Piece]:
    """What a caller of the completion gets, signs of life left out."""
    completion = Completion()
    pieces: list[Piece] = [piece for each in chunks if (piece := completion.feed(each))]
    return pieces + completion.finish()


def why_silent(*chunks: object) -> str:
    completion = Completion()
    assert not any(completion.feed(each) for each in chunks)
    assert completion.finish() == []
    return completion.why_silent()


def test_each_piece_of_text_is_there_to_be_spoken_at_once() -> None:
    completion = Completion()
    assert completion.feed(chunk({"role": "assistant", "content": ""})) is None
    assert completion.feed(chunk({"content": "It is "})) == "It is "
    assert completion.feed(chunk({"content": "late."}, "stop")) == "late."
    assert completion.feed({"choices": [], "usage": {"total_tokens": 3}}) is None
    assert completion.finish() == []


def test_a_refusal_is_spoken() -> None:
    assert read(chunk({"refusal": "I cannot."})) == ["I cannot."]


def test_words_that_might_have_become_a_thought_are_spoken_at_the_end() -> None:
    assert read(chunk({"content": "<th"})) == ["<th"]


def test_thoughts_in_a_field_of_their_own_are_not_spoken() -> None:
    assert read(chunk({"reasoning_content": "Hm."}), chunk({"reasoning": "Hm."})) == []


def test_the_pieces_of_a_tool_call_are_signs_of_life_and_joined_at_the_end() -> None:
    completion = Completion()
    assert completion.feed(call("", index=0, id="a", name="status")) == ""
    assert completion.feed(call('{"order', index=0)) == ""
    assert completion.feed(call('_id":1}', index=0)) == ""
    assert completion.finish() == [RequestedCall("status", '{"order_id":1}')]


def test_words_before_a_tool_call_come_first() -> None:
    words = chunk({"content": "One moment."})
    pieces = read(words, call("{}", index=0, id="a", name="status"))
    assert pieces == ["One moment.", RequestedCall("status", "{}")]


@pytest.mark.parametrize(
    "second",
    [
        call('{"b":2}', index=1, id="b", name="other"),
        call('{"b":2}', index=0, id="b", name="other"),
        call('{"b":2}', id="b", name="other"),
    ],
    ids=["numbered", "same number", "no number"],
)
def test_of_several_calls_the_first_is_made(second: dict[str, Any]) -> None:
    first = call('{"a":1}', index=0, id="a", name="status")
    assert read(first, second) == [RequestedCall("status", '{"a":1}')]


def test_a_call_whose_pieces_repeat_name_and_id_is_one_call() -> None:
    pieces = [call(text, id="a", name="status") for text in ("{", "}")]
    assert read(*pieces) == [RequestedCall("status", "{}")]


def test_a_call_without_a_name_is_none() -> None:
    assert read(call("{}", index=0, id="a")) == []


def test_endless_arguments_are_cut_and_with_that_useless() -> None:
    head = call('{"a":"', index=0, id="a", name="status")
    pieces = read(head, *[call("x" * 1000, index=0)] * 100)
    assert isinstance(pieces[0], RequestedCall)
    assert len(pieces[0].arguments) == MAX_ARGUMENTS_CHARACTERS
    assert pieces[0].parsed() is None


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        ('{"a": [1, null]}', {"a": [1, None]}),
        ("", {}),
        (" \n", {}),
        ("[]", None),
        ("null", None),
        ('"a"', None),
        ('{"a":', None),
        ('{"a": NaN}', None),
        ('{"a": "\\ud83d"}', None),
        ("[" * 100_000, None),
    ],
)
def test_arguments_are_a_json_object_or_none(arguments: str, parsed: dict[str, Any] | None) -> None:
    assert RequestedCall("status", arguments).parsed() == parsed


def test_an_emoji_that_the_server_cut_in_two_is_left_out() -> None:
    assert read(chunk({"content": "Hi \ud83d"}), chunk({"content": "\ude00!"})) == ["Hi ", "!"]


def test_silence_is_explained() -> None:
    assert "empty" in why_silent(chunk({}, "stop"))
    assert "tokens" in why_silent(chunk({"reasoning": "Hm."}), chunk({}, "length"))
    assert "filter" in why_silent(chunk({}, "content_filter"))
    assert "/v1" in why_silent()
    assert "/v1" in why_silent({"message": "Hello."})


@pytest.mark.parametrize("garbage", [None, 1, "hello", [], [{"choices": []}]])
def test_a_chunk_that_is_no_object_is_refused(garbage: object) -> None:
    with pytest.raises(BadMessage):
        Completion().feed(garbage)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
DELTAS = st.dictionaries(
    st.sampled_from(["content", "refusal", "role", "tool_calls", "reasoning"]),
    JSON
    | st.lists(
        st.dictionaries(
            st.sampled_from(["index", "id", "function"]),
            JSON | st.dictionaries(st.sampled_from(["name", "arguments"]), JSON),
        )
    ),
)
CHUNKS = st.dictionaries(st.text(max_size=3), JSON) | st.fixed_dictionaries(
    {
        "choices": JSON
        | st.lists(
            st.dictionaries(
                st.sampled_from(["index", "delta", "finish_reason"]), JSON | DELTAS, max_size=3
            ),
            max_size=2,
        )
    }
)


@given(st.lists(CHUNKS, max_size=6))
def test_no_object_makes_the_reading_fail(chunks: list[dict[str, Any]]) -> None:
    for piece in read(*chunks):
        if isinstance(piece, RequestedCall):
            assert piece.name
            piece.parsed()
        else:
            assert piece.encode()


def heard(*pieces: str) -> str:
    thoughts = ThoughtFilter()
    return "".join(thoughts.feed(piece) for piece in pieces) + thoughts.finish()


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Yes.", "Yes."),
        ("\n Yes.", "Yes."),
        ("<think>Hm.</think>\n\nYes.", "Yes."),
        ("<think></think><think>Hm.</think>Yes.", "Yes."),
        ("<think>Hm.", ""),
        ("<think>Hm.</think>", ""),
        ("<thin", "<thin"),
        ("< 3", "< 3"),
        ("Say <think> aloud.", "Say <think> aloud."),
        ("", ""),
    ],
)
def test_thoughts_before_an_answer_are_left_out(text: str, spoken: str) -> None:
    assert heard(text) == spoken
    assert heard(*text) == spoken


def test_an_answer_is_not_held_back() -> None:
    thoughts = ThoughtFilter()
    assert thoughts.feed("<") == ""
    assert thoughts.feed("3 is ") == "<3 is "
    assert thoughts.feed("<") == "<"


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "th", " ", "Yes"]), max_size=8),
    st.lists(st.integers(min_value=0, max_value=40), max_size=5),
)
def test_where_a_text_is_cut_makes_no_difference(parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    at = [0, *sorted(cuts), len(text)]
    assert heard(*(text[a:b] for a, b in pairwise(at))) == heard(text)
