"""What docs/console.md says is so: its keys, buttons and sentences are those of the console."""

import re

from tests.pages import quoted, sections
from tests.processes import ROOT

PAGE = sections(ROOT / "docs" / "console.md")
SCRIPTS = ROOT / "evibridge" / "web" / "console"
SOURCES = {file.name: file.read_text(encoding="utf-8") for file in SCRIPTS.glob("*.js")}
CAPS = {"Escape": "Esc", "Control+Enter": "Ctrl Enter", "Shift+X": "Shift X"}


def test_every_key_is_told() -> None:
    keys = re.findall(r'^  \["([^"]+)", "\w*"\],$', SOURCES["keyboard.js"], re.MULTILINE)
    told = [key for cell, *_ in PAGE["Keys"].table("key") for key in quoted(cell)]

    assert sorted(told) == sorted(CAPS.get(key, key) for key in keys)


def test_every_button_of_a_call_is_there() -> None:
    words = "".join(SOURCES[name] for name in ("toolbar.js", "composer.js"))
    for button, *_ in PAGE["One call"].table("button"):
        assert f'"{button}"' in words, button


def test_its_sentences_are_those_of_the_console() -> None:
    words = "".join(SOURCES.values())
    told = [sentence for sentence, *_ in PAGE["When something is wrong"].table("the console says")]
    in_full = [sentence for sentence in told if sentence[0].isupper()]

    assert len(in_full) >= 4
    for sentence in in_full:
        assert sentence in words, sentence
