"""The embedded mind: it follows a dialogue that is written in a YAML file."""

from collections.abc import AsyncIterator
from pathlib import Path

import structlog

from evibridge.engine.minds.mind import (
    Action,
    CallTool,
    Conversation,
    Mind,
    Occasion,
    Prompt,
    Say,
    ToolOutcome,
)
from evibridge.engine.minds.occasions import standard_sentence
from evibridge.engine.minds.scripted.definition import Script
from evibridge.engine.minds.scripted.interpreter import Interpreter
from evibridge.engine.minds.scripted.script_file import read_script

DEFAULT_SCRIPT = Path(__file__).with_name("default_script.yaml")
"""Small talk, for an agent that brings no script of its own."""

log = structlog.get_logger()


class ScriptedMind(Mind):
    """A mind that needs no model and no account, and always answers alike."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._not_offered: set[str] = set()

    @classmethod
    def load(cls, path: Path | None = None) -> "ScriptedMind":
        """Read the script of an agent, or the small talk that stands in for one.

        Raises:
            EngineSetupError: the file cannot be read, or is no script; the sentence names the
                file, the line and the column
        """
        return cls(read_script(path or DEFAULT_SCRIPT))

    def conversation(self) -> Conversation:
        """Begin the mind of one chat."""
        return _ScriptedConversation(self._script, self._not_offered)


class _ScriptedConversation(Conversation):
    def __init__(self, script: Script, not_offered: set[str]) -> None:
        self._interpreter = Interpreter(script)
        # Shared by all chats of the mind: each missing tool is worth one warning.
        self._not_offered = not_offered

    async def reply(self, prompt: Prompt) -> AsyncIterator[Action]:
        actions = self._interpreter.reply(prompt)
        log.debug("script_turn", turn=self._interpreter.taken)
        last = actions[-1]
        if isinstance(last, CallTool) and prompt.tool(last.name) is None:
            self._warn(last.name)
            actions = self._interpreter.after_tool(prompt, ToolOutcome(content=None, failed=True))
        for action in actions:
            yield action

    async def after_tool(
        self,
        prompt: Prompt,
        call: CallTool,  # noqa: ARG002 - the interpreter knows the call that it made
        outcome: ToolOutcome,
    ) -> AsyncIterator[Action]:
        for action in self._interpreter.after_tool(prompt, outcome):
            yield action

    async def speak_up(self, prompt: Prompt, occasion: Occasion) -> AsyncIterator[Action]:
        if occasion == "greeting":
            text = self._interpreter.greeting(prompt)
        else:
            text = standard_sentence(occasion)
        if text:
            yield Say(text)

    async def close(self) -> None:
        """Nothing is held."""

    def _warn(self, tool: str) -> None:
        if tool not in self._not_offered:
            self._not_offered.add(tool)
            log.warning("script_tool_not_offered", tool=tool)
