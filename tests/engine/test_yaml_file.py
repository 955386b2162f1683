from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evibridge.engine.yaml_file import MAX_BYTES, MAX_DEPTH, Value, read_yaml
from evibridge.errors import EngineSetupError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.yaml"


def read(path: Path, text: str | bytes) -> Value:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path)


def test_values_are_read_with_their_types(path: Path) -> None:
    members = read(path, "{a: yes, b: 12, c: [x, y], d: z, e: 1.5, f: '7'}").mapping("a file")
    assert members["a"].flag() is True
    assert members["a"].text() == "yes"
    assert members["b"].text() == "12"
    assert [item.text() for item in members["c"].items()] == ["x", "y"]
    assert [item.text() for item in members["d"].items()] == ["z"]
    assert [members[key].constant() for key in "abdef"] == [True, 12, None, 1.5, None]


def test_a_byte_order_mark_is_tolerated(path: Path) -> None:
    assert read(path, b"\xef\xbb\xbftext").text() == "text"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "{path} is empty; write at least one key."),
        ("# only a comment", "{path} is empty; write at least one key."),
        (b"a: b\nc: \xff", "{path}, line 2: save the file as UTF-8."),
        ("a: \x00", "{path}, character 4: this character is not allowed in YAML; remove it."),
        ("a: *b", '{path}, line 1, column 4: begins with "*"; put it in quotes, or write it out.'),
        (
            "[" * (MAX_DEPTH + 1),
            f"{{path}}, line 1, column {MAX_DEPTH + 1}: nested too deeply; write it flatter.",
        ),
        (
            "x" * (MAX_BYTES + 1),
            f"{{path}} is larger than {MAX_BYTES} bytes; write a shorter file.",
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(
    path: Path, text: str | bytes, sentence: str
) -> None:
    with pytest.raises(EngineSetupError) as error:
        read(path, text)
    assert str(error.value) == sentence.replace("{path}", str(path))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("say: one: two", "line 1, column 9"),
        ("a:\n  - [my name is {name:name}, b]", "line 2, column 17"),
        ("'open", "line 1, column 6"),
        ("a: b\n---\nc: d", "line 2, column 1"),
        ("a\n b: c\n  - d", "line 2, column 3"),
        ("\t- a", "line 1, column 1"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_place(path: Path, text: str, place: str) -> None:
    with pytest.raises(EngineSetupError, match="the YAML cannot be read") as error:
        read(path, text)
    assert str(error.value).startswith(f"{path}, {place}: ")
    assert "quotes or a line of its own" in str(error.value)


def test_a_file_that_is_not_there_is_told(path: Path) -> None:
    with pytest.raises(EngineSetupError, match="check the path"):
        read_yaml(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(EngineSetupError, match="check the path"):
        read_yaml(tmp_path)


@pytest.mark.parametrize("text", ["[a]", "a"])
def test_a_mapping_is_insisted_on(path: Path, text: str) -> None:
    with pytest.raises(EngineSetupError, match='a script is expected here; write "key: value"'):
        read(path, text).mapping("a script")


def test_a_key_that_stands_twice_is_told(path: Path) -> None:
    with pytest.raises(EngineSetupError, match='line 2, column 1: "a" stands twice in a script'):
        read(path, "a: b\na: c").mapping("a script")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("herd: x", 'line 1, column 1: "herd" is no key of a turn; write "heard".'),
        ("xyz: x", '"xyz" is no key of a turn; write one of heard, say.'),
        ("[a]: x", "a text is expected here"),
    ],
)
def test_an_unknown_key_is_told_with_the_right_one(path: Path, text: str, advice: str) -> None:
    with pytest.raises(EngineSetupError) as error:
        read(path, text).members("a turn", ("heard", "say"))
    assert advice in str(error.value)


def test_known_keys_are_read(path: Path) -> None:
    assert set(read(path, "say: x").members("a turn", ("heard", "say"))) == {"say"}


@pytest.mark.parametrize("text", ["{a: b}", "[a]", "''", "~ ", "' '"])
def test_a_text_is_insisted_on(path: Path, text: str) -> None:
    value = read(path, text)
    if text.startswith("~"):
        assert value.text() == "~"
        return
    with pytest.raises(EngineSetupError, match="a text is expected here"):
        value.text()


def test_a_key_without_a_value_has_no_text(path: Path) -> None:
    with pytest.raises(EngineSetupError, match="line 1, column 5: a text is expected here"):
        read(path, "say:\n").mapping("a turn")["say"].text()


def test_an_empty_list_is_told(path: Path) -> None:
    with pytest.raises(EngineSetupError, match="the list is empty"):
        read(path, "[]").items()


@pytest.mark.parametrize("text", ["maybe", "1", "'true'", "[true]"])
def test_a_truth_value_is_insisted_on(path: Path, text: str) -> None:
    with pytest.raises(EngineSetupError, match="write true or false"):
        read(path, text).flag()


@pytest.mark.parametrize("text", [".nan", "-.inf", "9" * 5000])
def test_a_number_that_json_does_not_know_is_told(path: Path, text: str) -> None:
    with pytest.raises(EngineSetupError, match="put it in quotes"):
        read(path, text).constant()


def test_numbers_of_a_range_are_read(path: Path) -> None:
    members = read(path, "{a: 30, b: 0.5, c: -2}").mapping("a file")
    assert members["a"].number(0, 30) == 30
    assert members["b"].number(0.0, 1.0) == 0.5
    assert members["c"].whole_number(-2, 5) == -2


@pytest.mark.parametrize(
    "text", ["31", "-1", "'3'", "three", "yes", "[3]", ".nan", ".inf", "9" * 5000, "!!float x", "~"]
)
def test_a_number_of_the_range_is_insisted_on(path: Path, text: str) -> None:
    with pytest.raises(EngineSetupError, match="line 1, column 1: a number from 0 to 30 is exp"):
        read(path, text).number(0, 30)


@pytest.mark.parametrize(
    "text", ["31", "-1", "3.0", "'3'", "yes", "{}", ".inf", "9" * 5000, "!!int x", "~"]
)
def test_a_whole_number_of_the_range_is_insisted_on(path: Path, text: str) -> None:
    with pytest.raises(EngineSetupError, match="a whole number from 0 to 30 is expected here"):
        read(path, text).whole_number(0, 30)


@pytest.mark.parametrize(("text", "is_null"), [("~", True), ("null", True), ("'~'", False)])
def test_a_value_that_is_none_is_known(path: Path, text: str, *, is_null: bool) -> None:
    assert read(path, text).is_null() is is_null


@given(st.text("ab:{}[],-#'\"*&!|> \n", max_size=60) | st.binary(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_read_or_refused_in_words(path: Path, text: str | bytes) -> None:
    try:
        value = read(path, text)
    except EngineSetupError as error:
        sentence = str(error)
    else:
        sentence = str(value.fault("told in words"))
    assert sentence.startswith(str(path))
