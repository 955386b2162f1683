import json
from contextlib import suppress
from itertools import chain, repeat
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evibridge.errors import ToolError
from evibridge.tools_registry.arguments import MAX_ARGUMENTS_CHARS, MAX_FAULT_CHARS, MAX_FAULTS
from evibridge.tools_registry.mcp.arguments import (
    MAX_CHECK_S,
    MAX_MATCHED_CHARS,
    MAX_OLD_CHOICES,
    MAX_PATTERN_CHARS,
    MAX_PATTERNS,
    MAX_STEPS,
    McpArguments,
)

ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string"},
        "count": {"type": "integer", "minimum": 1},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
    },
    "required": ["order_id"],
    "additionalProperties": False,
    "$defs": {
        "Item": {
            "type": "object",
            "properties": {"size": {"enum": ["s", "m"]}, "colour": {"type": "string"}},
            "required": ["size"],
            "additionalProperties": False,
        }
    },
}


def read(schema: dict[str, Any], arguments: object) -> dict[str, object]:
    return McpArguments(schema, clock=lambda: 0.0).read(json.dumps(arguments))


def refusal(schema: dict[str, Any], arguments: object) -> str:
    """What the model is told of arguments that it wrote."""
    with pytest.raises(ToolError) as fault:
        read(schema, arguments)
    assert fault.value.code == "bad_arguments"
    return str(fault.value)


def refusal_of(schema: dict[str, Any], value: object) -> str:
    """What is expected of one argument instead of this value."""
    sentence = refusal({"properties": {"it": schema}}, {"it": value})
    assert sentence.startswith("The argument 'it' is wrong: ")
    assert sentence.endswith(".")
    return sentence.removeprefix("The argument 'it' is wrong: ").removesuffix(".")


# Arguments that are as they should be


def test_arguments_reach_the_server_as_the_model_wrote_them() -> None:
    arguments = {"order_id": "7", "count": 2, "note": None, "items": [{"size": "m"}]}
    assert read(ORDER, arguments) == arguments


def test_a_server_knows_nothing_of_calls() -> None:
    assert McpArguments(ORDER).context_parameter is None


@pytest.mark.parametrize("text", ["", " \n", "{}"])
def test_no_text_is_no_arguments(text: str) -> None:
    assert McpArguments({"type": "object"}).read(text) == {}


# Arguments that are not


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1]", "The arguments must be one JSON object."),
        ("{", "The arguments are not valid JSON: EOF while parsing an object at line 1 column 1."),
        ('{"a": NaN}', "The arguments are not valid JSON: expected value at line 1 column 7."),
        ('"\ud83d"', "The arguments are not valid JSON: Expected bytes, bytearray or str."),
        ("x" * (MAX_ARGUMENTS_CHARS + 1), "The arguments are longer than 65536 characters."),
    ],
)
def test_what_is_no_json_object_is_refused(text: str, sentence: str) -> None:
    for schema in (ORDER, {"type": "nonsense"}):
        with pytest.raises(ToolError) as fault:
            McpArguments(schema).read(text)
        assert (str(fault.value), fault.value.code) == (sentence, "bad_arguments")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "The argument 'order_id' is missing."),
        ({"order_id": 7}, "The argument 'order_id' is wrong: input should be a valid string."),
        (
            {"order_id": "7", "hue": "red"},
            "There is no argument 'hue'; the tool's arguments are: order_id, count, note, items.",
        ),
        ({"order_id": "7", "items": [{}]}, "The argument 'items[0].size' is missing."),
        (
            {"order_id": "7", "items": [{"size": "s"}, {"size": "xl"}]},
            'The argument \'items[1].size\' is wrong: input should be "s" or "m".',
        ),
        (
            {"order_id": "7", "items": [{"size": "s", "fit": 1}]},
            "The argument 'items[0].fit' is wrong: extra inputs are not permitted.",
        ),
        (
            {"count": 0},
            (
                "The argument 'count' is wrong: input should be greater than or equal to 1. "
                "The argument 'order_id' is missing."
            ),
        ),
    ],
)
def test_the_field_at_fault_is_named_and_what_is_expected(
    arguments: dict[str, Any], sentence: str
) -> None:
    assert refusal(ORDER, arguments) == sentence


def test_a_tool_without_arguments_says_so() -> None:
    sentence = refusal({"additionalProperties": False}, {"a": 1})
    assert sentence == "There is no argument 'a'; the tool's arguments are: none."


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "number"}, "1", "input should be a valid number"),
        ({"type": "boolean"}, 1, "input should be a valid boolean"),
        ({"type": "array"}, {}, "input should be a valid list"),
        ({"type": "object"}, [], "input should be an object"),
        ({"type": ["string", "null"]}, [], "input should be a valid string or null"),
        ({"const": "a"}, "b", 'input should be "a"'),
        ({"enum": [1, None, "a"]}, 2, 'input should be 1, null or "a"'),
        ({"enum": []}, 2, "input should be nothing"),
        ({"maximum": 3}, 4, "input should be less than or equal to 3"),
        ({"exclusiveMinimum": 3}, 3, "input should be greater than 3"),
        ({"exclusiveMaximum": 3}, 3, "input should be less than 3"),
        ({"multipleOf": 0.5}, 0.7, "input should be a multiple of 0.5"),
        ({"minLength": 2}, "a", "the length of the string should be at least 2"),
        ({"maxLength": 2}, "abc", "the length of the string should be at most 2"),
        ({"pattern": "^a+$"}, "b", 'string should match the pattern "^a+$"'),
        ({"minItems": 1}, [], "the length of the list should be at least 1"),
        ({"maxItems": 1}, [1, 2], "the length of the list should be at most 1"),
        ({"minProperties": 1}, {}, 'input should fit {"minProperties":1}'),
        ({"not": {"type": "null"}}, None, 'input should fit {"not":{"type":"null"}}'),
        (
            {"dependentRequired": {"a": ["b"]}},
            {"a": 1},
            'input should fit {"dependentRequired":{"a":["b"]}}',
        ),
    ],
)  # fmt: skip
def test_what_is_expected_is_said_in_the_words_of_functions(
    schema: Any, value: object, expected: str
) -> None:
    assert refusal_of(schema, value) == expected


@pytest.mark.parametrize("value", [{}, {"k": "x"}])
def test_faults_of_all_arguments_together_name_none(value: dict[str, Any]) -> None:
    sentence = refusal({"minProperties": 2}, value)
    assert sentence == 'The arguments are wrong: input should fit {"minProperties":2}.'


def test_an_argument_that_may_not_be_there_is_refused() -> None:
    sentence = refusal({"properties": {"it": False}}, {"it": 1})
    assert sentence == "The arguments are wrong: extra inputs are not permitted."


def test_the_value_is_not_repeated() -> None:
    sentences = [
        refusal_of(schema, "+4930111")
        for schema in (
            {"type": "integer"},
            {"enum": ["a"]},
            {"pattern": "^a"},
            {"maxLength": 1},
            {"not": {"type": "string"}},
            {"anyOf": [{"type": "integer"}, {"maxLength": 1}]},
        )
    ]
    assert not any("4930" in sentence for sentence in sentences)


def test_a_refusal_is_bounded_in_number_and_length() -> None:
    properties = {f"{number}{'x' * 400}": {"type": "string"} for number in range(7)}
    sentence = refusal({"properties": properties}, dict.fromkeys(properties, 1))
    assert sentence.endswith(" Faults besides these: 2.")
    assert len(sentence) < 5 * (MAX_FAULT_CHARS + 1) + 30


# Choices

SHAPES = {
    "oneOf": [
        {
            "type": "object",
            "properties": {"kind": {"const": "circle"}, "radius": {"type": "number"}},
            "required": ["kind", "radius"],
        },
        {
            "type": "object",
            "properties": {"kind": {"const": "square"}, "side": {"type": "number"}},
            "required": ["kind", "side"],
        },
    ]
}


def test_of_several_types_all_are_named() -> None:
    schema = {"anyOf": [{"type": "string"}, {"enum": [1, 2]}, {"const": None}, {"type": "string"}]}
    assert refusal_of(schema, []) == "input should be a valid string, 1 or 2 or null"


def test_of_several_objects_the_closest_is_explained() -> None:
    schema = {"properties": {"it": SHAPES}}
    assert refusal(schema, {"it": {"kind": "circle", "radius": "1"}}) == (
        "The argument 'it.radius' is wrong: input should be a valid number."
    )
    assert refusal(schema, {"it": 7}) == "The argument 'it' is wrong: input should be an object."


def test_a_value_that_fits_two_choices_of_which_one_is_wanted_is_told() -> None:
    schema = {"oneOf": [{"type": "integer"}, {"type": "number"}]}
    assert refusal_of(schema, 1) == "input should fit only one of the choices"


# Other drafts


@pytest.mark.parametrize("draft", ["draft-04", "draft-06", "draft-07"])
def test_older_drafts_are_known(draft: str) -> None:
    schema = {
        "$schema": f"http://json-schema.org/{draft}/schema#",
        "properties": {"pair": {"items": [{"type": "string"}, {"type": "integer"}]}},
    }
    assert read(schema, {"pair": ["a", 1]}) == {"pair": ["a", 1]}
    assert refusal(schema, {"pair": ["a", "b"]}) == (
        "The argument 'pair[1]' is wrong: input should be a valid integer."
    )


def test_a_draft_that_nobody_knows_is_taken_for_the_newest() -> None:
    schema = {"$schema": "https://crm.example/draft", "required": ["a"]}
    assert refusal(schema, {}) == "The argument 'a' is missing."


# Schemas that lead astray


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"required": "name"},
        {"properties": []},
        {"$schema": ["x"]},
        {"pattern": "("},
        {"properties": {"a": {"$ref": "https://crm.example/a.json"}}},
        {"properties": {"a": {"$ref": "#/$defs/nothing"}}},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
    ],
)
def test_a_schema_that_cannot_be_used_leaves_the_arguments_to_the_server(
    schema: dict[str, Any],
) -> None:
    assert read(schema, {"a": 1}) == {"a": 1}


def test_what_was_found_before_a_schema_leads_astray_is_told() -> None:
    schema = {"required": ["b"], "properties": {"a": {"$ref": "#/$defs/nothing"}}}
    assert refusal(schema, {"a": 1}) == "The argument 'b' is missing."


def test_a_type_may_contain_itself() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    schema = {"properties": {"node": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": node}}
    assert refusal(schema, {"node": {"next": {"next": 7}}}) == (
        "The argument 'node.next.next' is wrong: input should be an object."
    )


def test_the_check_ends_after_a_number_of_steps() -> None:
    schema = {"properties": {"list": {"type": "array", "items": {"type": "integer"}}}}
    fits = [1] * MAX_STEPS + ["too late"]
    assert read(schema, {"list": fits}) == {"list": fits}
    doubling: dict[str, Any] = {
        f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(40)
    }
    assert read({"$ref": "#/$defs/d0", "$defs": doubling}, {}) == {}


@pytest.mark.parametrize(
    "costly",
    [
        {"enum": list(range(MAX_STEPS))},
        {"required": [str(number) for number in range(MAX_STEPS)]},
        {"const": "x" * MAX_STEPS},
    ],
)
def test_a_keyword_costs_as_many_steps_as_it_is_long(costly: dict[str, Any]) -> None:
    missing = {"required": ["b"]}
    sentence = refusal({"allOf": [missing, {"not": costly}, missing]}, {"there": 1})
    assert sentence == "The argument 'b' is missing."


def test_a_fault_costs_a_step() -> None:
    names = [str(number) for number in range(MAX_STEPS)]
    sentence = refusal({"dependentRequired": {"there": names}}, {"there": 1})
    assert int(sentence.split()[-1].removesuffix(".")) < MAX_STEPS - MAX_FAULTS


@pytest.mark.parametrize("items", [{}, {"allOf": []}, False])
def test_a_list_costs_as_many_steps_as_it_is_long(items: object) -> None:
    schema = {"properties": {"it": {"items": items, "minItems": MAX_STEPS + 2}}}
    many = {"it": [1] * (MAX_STEPS + 1)}
    assert read(schema, many) == many


def test_the_check_ends_after_some_time() -> None:
    schema = {"properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    # It is asked at the start, and for the members, the first of them and its fault.
    clock = chain([0.0] * 5, repeat(2 * MAX_CHECK_S)).__next__
    arguments = McpArguments(schema, clock)
    with pytest.raises(ToolError) as fault:
        arguments.read('{"a": 1, "b": 1}')
    assert str(fault.value) == "The argument 'a' is wrong: input should be a valid string."


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#word"},
        {"$dynamicRef": "#word"},
        {"$ref": "https://crm.example/tool.json#/$defs/Word"},
        {"$id": "https://crm.example/inner.json", "$ref": "#/$defs/Word"},
    ],
)
def test_a_reference_that_has_to_be_searched_for_is_left_to_the_server(
    schema: dict[str, Any],
) -> None:
    word = {"$anchor": "word", "$dynamicAnchor": "word", "type": "string"}
    document = {
        "$id": "https://crm.example/tool.json",
        "properties": {"it": schema},
        "$defs": {"Word": word},
    }
    assert read(document, {"it": 1}) == {"it": 1}


def test_a_reference_that_means_the_place_it_is_in_is_left_to_the_server() -> None:
    draft = "https://json-schema.org/draft/2019-09/schema"
    schema = {"$schema": draft, "maxProperties": 1, "properties": {"it": {"$recursiveRef": "#"}}}
    assert read(schema, {"it": {"a": 1, "b": 1}}) == {"it": {"a": 1, "b": 1}}


def test_a_reference_may_lead_to_the_whole_schema() -> None:
    schema = {"maxProperties": 1, "properties": {"it": {"$ref": "#"}}}
    assert refusal(schema, {"it": {"a": 1, "b": 1}}) == (
        "The argument 'it' is wrong: input should fit {\"maxProperties\":1}."
    )


def test_an_argument_may_be_called_like_an_address() -> None:
    schema = {"properties": {"$id": {"type": "string"}, "id": {"type": "string"}}}
    assert "The argument '$id' is wrong" in refusal(schema, {"$id": 1})


def test_old_drafts_with_long_choices_are_left_to_the_server() -> None:
    def document(choices: int) -> dict[str, Any]:
        draft = "http://json-schema.org/draft-04/schema#"
        return {"$schema": draft, "properties": {"it": {"enum": list(range(choices))}}}

    assert "is wrong" in refusal(document(MAX_OLD_CHOICES), {"it": "x"})
    assert read(document(MAX_OLD_CHOICES + 1), {"it": "x"}) == {"it": "x"}


def test_so_many_regular_expressions_are_matched_and_no_more() -> None:
    texts = {f"it{number}": {"pattern": f"^{number}$"} for number in range(MAX_PATTERNS + 1)}
    first, *_, last_matched, beyond = texts
    assert "should match" in refusal({"properties": texts}, {first: "x"})
    assert "should match" in refusal({"properties": texts}, {last_matched: "x"})
    assert read({"properties": texts}, {beyond: "x"}) == {beyond: "x"}


def test_a_regular_expression_may_be_long_and_no_longer() -> None:
    assert "should match" in refusal_of({"pattern": "a" * MAX_PATTERN_CHARS}, "b")
    schema = {"properties": {"it": {"pattern": "a" * (MAX_PATTERN_CHARS + 1)}}}
    assert read(schema, {"it": "b"}) == {"it": "b"}


def test_a_text_that_is_matched_may_be_long_and_no_longer() -> None:
    assert "should match" in refusal_of({"pattern": "^a"}, "b" * MAX_MATCHED_CHARS)
    long = {"it": "b" * (MAX_MATCHED_CHARS + 1)}
    assert read({"properties": {"it": {"pattern": "^a"}}}, long) == long


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "^(a+)+$"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "^(a+)+$"},
    ],
)
def test_a_regular_expression_takes_linear_time(schema: dict[str, Any]) -> None:
    assert refusal_of(schema, "a" * 5000 + "!") == 'string should match the pattern "^(a+)+$"'


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "^(?=b)"},
        {"uniqueItems": True},
        {"patternProperties": {"^(a+)+$": {"type": "string"}}, "additionalProperties": False},
        {"unevaluatedProperties": False},
        {"unevaluatedItems": False},
    ],
)
@pytest.mark.parametrize("value", ["a", [1, 1], {"a": 1}])
def test_what_has_no_bound_is_left_to_the_server(schema: dict[str, Any], value: object) -> None:
    assert read({"properties": {"it": schema}}, {"it": value}) == {"it": value}


def test_others_than_the_named_arguments_are_checked_by_their_schema() -> None:
    schema = {"properties": {"a": {}}, "additionalProperties": {"type": "integer"}}
    assert read(schema, {"a": "x", "b": 1}) == {"a": "x", "b": 1}
    assert refusal(schema, {"b": "x"}) == (
        "The argument 'b' is wrong: input should be a valid integer."
    )


# Anything

KEYWORDS = st.sampled_from(
    [
        "type", "properties", "required", "items", "additionalProperties", "anyOf", "oneOf", "not",
        "enum", "const", "pattern", "minimum", "multipleOf", "minLength", "if", "then", "contains",
        "propertyNames", "dependentRequired", "$ref", "$defs", "a",
    ]
)  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["a", "object", "string", "integer", "array", "#", "#/$defs/a", "^a*$"])
)
SCHEMAS = st.dictionaries(
    KEYWORDS,
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=5,
)
VALUES = st.recursive(
    LEAVES | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(SCHEMAS, VALUES)
def test_anything_is_read_or_refused_in_a_sentence(schema: dict[str, Any], value: object) -> None:
    try:
        assert read(schema, value) == value
    except ToolError as fault:
        code, sentence = fault.code, str(fault)
    else:
        return
    assert code == "bad_arguments"
    assert sentence.endswith((".", "…"))


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ToolError):
        McpArguments({}).read(text)
