from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evibridge.engine.minds.scripted.definition import Turn
from evibridge.engine.minds.scripted.script_file import (
    CALL_KEYS,
    SCRIPT_KEYS,
    TURN_KEYS,
    read_script,
)
from evibridge.errors import EngineSetupError
from tests.engine.minds.scripted.talks import script

DOCUMENTATION = Path(__file__).parents[4] / "docs" / "script.md"


def fault(folder: Path, text: str) -> str:
    with pytest.raises(EngineSetupError) as error:
        script(folder, text)
    name = str(folder / "script.yaml")
    assert str(error.value).startswith(name)
    return str(error.value).removeprefix(name)


def turn_fault(folder: Path, turn: str) -> str:
    """Return the fault of a turn that stands alone in its script."""
    return fault(folder, "turns:\n  - " + dedent(turn).strip().replace("\n", "\n    "))


def test_everything_that_a_turn_may_hold_is_read(tmp_path: Path) -> None:
    read = script(
        tmp_path,
        """
        greeting: Hello.
        turns:
          - name: order
            heard: [order, "order {n:number}"]
            missing: {n: [Which?, Which one?]}
            call: {tool: look_up, with: {n: "{n}", all: true}}
            meanwhile: Wait.
            say: "{result.text}"
            failed: [Alas., "Alas, {n}."]
            hang_up: yes
            answers: [{name: thanks, heard: thanks, say: "{said}"}]
        fallback: [What?, Who?]
        """,
    )
    turn = read.turns[0]
    assert [len(texts) for texts in (read.greeting, read.fallback)] == [1, 2]
    assert read.slots == {"n": "number"}
    assert turn.call
    assert (turn.name, turn.call.tool) == ("order", "look_up")
    assert turn.call.slots() == {"n"}
    assert turn.call.arguments["all"] is True
    assert [len(texts) for texts in (turn.heard, turn.meanwhile, turn.say, turn.failed)] == [
        2,
        1,
        1,
        2,
    ]
    assert [len(questions) for questions in turn.missing.values()] == [2]
    assert turn.hang_up
    assert [answer.name for answer in turn.answers] == ["thanks"]
    assert turn.answers[0].repeats()
    assert not turn.repeats()


def test_what_a_turn_leaves_out_is_empty(tmp_path: Path) -> None:
    (turn,) = script(tmp_path, "turns: {name: go, heard: go, say: Gone.}").turns
    assert turn == Turn(name="go", heard=turn.heard, say=turn.say)


def test_a_result_is_told_as_it_is_without_a_say(tmp_path: Path) -> None:
    (turn,) = script(tmp_path, "turns: {name: go, heard: go, call: {tool: go}}").turns
    assert [text.fill(lambda _: "Gone.") for text in turn.say] == ["Gone."]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[a]", ', line 1, column 1: a script is expected here; write "key: value" lines.'),
        ("greeting: Hi.", ', line 1, column 1: a script needs the key "turns"; write it.'),
        ("turn: []", ', line 1, column 1: "turn" is no key of a script; write "turns".'),
        ("turns: []", "the list is empty"),
        ("turns: [a]", ', line 1, column 9: a turn is expected here; write "key: value" lines.'),
        (
            "turns: {name: a, heard: a, say: a}\ngreeting: Hi {name}.",
            ', line 2, column 11: no phrase catches "name"; write it into a phrase under "heard",',
        ),
        (
            "turns: {name: a, heard: a, say: a}\nfallback: '{result}'",
            ', line 2, column 11: {result} is known only in the "say" of a turn with "call".',
        ),
        (
            "turns:\n  - {name: a, heard: a, say: a}\n  - {name: a, heard: b, say: b}",
            ', line 3, column 12: two turns are named "a"; give each its own name.',
        ),
        (
            "turns: [{name: a, heard: '{n:text}', say: a},\n {heard: '{n:word}', name: b, say: b}]",
            ', line 2, column 10: "n" is a text in a phrase above and a word here; give',
        ),
    ],
)
def test_a_fault_of_the_script_is_told_with_its_place(
    tmp_path: Path, text: str, sentence: str
) -> None:
    assert sentence in fault(tmp_path, text)


@pytest.mark.parametrize(
    ("turn", "sentence"),
    [
        ("heard: a\nsay: a", 'line 2, column 5: a turn needs the key "name"; write it.'),
        ("name: a\nsay: a", 'line 2, column 5: a turn needs the key "heard"; write it.'),
        ("name: a\nheard: a", 'this turn has nothing to do; write "say" or "call".'),
        (
            "name: a\nherd: a\nsay: a",
            'line 3, column 5: "herd" is no key of a turn; write "heard".',
        ),
        ("name: a\nheard: (a\nsay: a", 'line 3, column 12: "(a" lacks a ")"'),
        ("name: a\nheard: a\nsay: a\nhang_up: maybe", "line 5, column 14: a truth value is"),
        ("name: a\nheard: a\nsay: {result}", "line 4, column 10: a text is expected here"),
        ("name: a\nheard: a\nsay: 'A {b c}'", 'line 4, column 10: "{b c}" cannot be filled'),
        ("name: a\nheard: a\nsay: '{result}'", "{result} is known only in"),
        ("name: a\nheard: a\nsay: 'A {n}.'", 'line 4, column 10: no phrase catches "n"'),
        ("name: a\nheard: a {n:word}\nsay: 'A {n.b}.'", "only {result} has fields; write {n}."),
        ("name: a\nheard: a {said:word}\nsay: a", '"said" has a meaning of its own'),
        ("name: a\nheard: a\nsay: a\nfailed: b", 'line 5, column 13: "failed" needs a tool'),
        ("name: a\nheard: a\nsay: a\nmeanwhile: b", '"meanwhile" needs a tool; write "call" too'),
        ("name: a\nheard: a\nsay: a\nmissing: {n: N?}", 'no phrase catches "n"'),
        ("name: a\nheard: a\nsay: a\nmissing: n", '"missing" is expected here'),
        ("name: a\nheard: a\ncall: b", '"call" is expected here'),
        ("name: a\nheard: a\ncall: {with: {}}", '"call" needs the key "tool"; write it.'),
        ("name: a\nheard: a\ncall: {tool: b, args: {}}", '"args" is no key of "call"'),
        ("name: a\nheard: a\ncall: {tool: a b}", "line 4, column 18: a tool's name has"),
        ("name: a\nheard: a\ncall: {tool: a, with: [b]}", '"with" is expected here'),
        ("name: a\nheard: a\ncall: {tool: a, with: {b: '{n}'}}", 'no phrase catches "n"'),
        ("name: a\nheard: a\ncall: {tool: a, with: {b: '{result}'}}", "{result} is known only"),
        ("name: a\nheard: a\ncall: {tool: a, with: {b: }}", "a text is expected here"),
        (
            "name: a\nheard: a\nsay: a\nanswers: [{name: a, heard: b, say: c}]",
            "two turns are named",
        ),
    ],
)
def test_a_fault_of_a_turn_is_told_with_its_place(tmp_path: Path, turn: str, sentence: str) -> None:
    assert sentence in turn_fault(tmp_path, turn)


@pytest.mark.parametrize("key", [*SCRIPT_KEYS, *TURN_KEYS, *CALL_KEYS])
def test_every_key_is_documented(key: str) -> None:
    assert f"`{key}`" in DOCUMENTATION.read_text(encoding="utf-8")


def test_the_examples_of_the_documentation_are_scripts(tmp_path: Path) -> None:
    blocks = DOCUMENTATION.read_text(encoding="utf-8").split("```yaml\n")[1:]
    assert blocks
    for block in blocks:
        assert script(tmp_path, block.split("```")[0]).turns


@given(
    st.recursive(
        st.sampled_from(["a", "'{n}'", "'a {n:number}'", "'(a'", "yes", "1", "''", "'{{v}}'"]),
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
            | st.dictionaries(
                st.sampled_from([*SCRIPT_KEYS, *TURN_KEYS, *CALL_KEYS, "n"]), inner, max_size=5
            ).map(lambda items: "{" + ", ".join(f"{k}: {v}" for k, v in items.items()) + "}")
        ),
        max_leaves=25,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_yaml_is_a_script_or_refused_in_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        read = read_script(path)
    except EngineSetupError as error:
        sentence = str(error)
    else:
        assert read.turns
        return
    assert sentence.startswith(f"{path}, line 1, column ")
