"""Talking to a script, for the tests of its parts."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from evibridge.engine.minds.mind import Action, HistoryEntry, Prompt, Say, ToolOffer, ToolOutcome
from evibridge.engine.minds.scripted.definition import Script
from evibridge.engine.minds.scripted.interpreter import Interpreter
from evibridge.engine.minds.scripted.script_file import read_script


def script(folder: Path, text: str) -> Script:
    """Read a script that a test spells out."""
    path = folder / "script.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return read_script(path)


class Talk:
    """A conversation in which the test is the caller and the tools."""

    def __init__(
        self,
        script: Script,
        tools: list[ToolOffer] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._interpreter = Interpreter(script)
        self.tools, self._variables = tools or [], dict(variables or {})

    def greeting(self) -> str | None:
        return self._interpreter.greeting(self._prompt())

    def said(self, text: str) -> list[Action]:
        """Say something, and hear the actions that follow."""
        return self._interpreter.reply(self._prompt(text))

    def answer(self, text: str) -> str:
        """Say something, and hear the words that follow."""
        return words(self.said(text))

    def tool_gave(self, content: str | None, *, failed: bool = False) -> list[Action]:
        return self._interpreter.after_tool(self._prompt(), ToolOutcome(content, failed=failed))

    def taken(self) -> str | None:
        return self._interpreter.taken

    def _prompt(self, text: str | None = None) -> Prompt:
        history = [] if text is None else [HistoryEntry("user", text)]
        return Prompt(tools=self.tools, variables=self._variables, history=history)


def words(actions: list[Action]) -> str:
    """Return what is spoken, and insist that nothing else is done."""
    assert all(isinstance(action, Say) for action in actions), actions
    return " ".join(action.text for action in actions if isinstance(action, Say))
