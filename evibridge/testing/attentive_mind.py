"""The scripted mind of an agent under test, which tells what it is told and what it decides."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

from evibridge.agent.definition import Agent
from evibridge.engine.minds.mind import (
    Action,
    CallTool,
    Conversation,
    HangUp,
    Mind,
    Occasion,
    Prompt,
    Say,
    ToolOutcome,
)
from evibridge.engine.minds.script import ScriptedMind
from evibridge.engine.voices.sentences import sentences
from evibridge.errors import EngineSetupError
from evibridge.testing.record import CallRecord


def mind_of(agent: Agent, record: CallRecord) -> Mind:
    """Make the mind that follows the agent's script.

    Raises:
        EngineSetupError: there is no script, or it cannot be read
    """
    if agent.script is None:
        raise EngineSetupError(
            "The agent has no script to be tested by: write what it hears, says and calls into a "
            'YAML file, and give it as Agent(..., script="shop.yaml"); docs/script.md explains how.'
        )
    return _AttentiveMind(ScriptedMind.load(Path(agent.script)), record)


class _AttentiveMind(Mind):
    def __init__(self, mind: Mind, record: CallRecord) -> None:
        self._mind = mind
        self._record = record

    def conversation(self) -> Conversation:
        return _AttentiveConversation(self._mind.conversation(), self._record)


class _AttentiveConversation(Conversation):
    def __init__(self, conversation: Conversation, record: CallRecord) -> None:
        self._conversation = conversation
        self._record = record

    def reply(self, prompt: Prompt) -> AsyncIterator[Action]:
        self._record.mind_said = None
        return self._attended(self._conversation.reply(prompt))

    def after_tool(
        self, prompt: Prompt, call: CallTool, outcome: ToolOutcome
    ) -> AsyncIterator[Action]:
        use = prompt.history[-1].tool
        assert use is not None
        self._record.model_was_told(use.id, outcome.content)
        return self._attended(self._conversation.after_tool(prompt, call, outcome))

    def speak_up(self, prompt: Prompt, occasion: Occasion) -> AsyncIterator[Action]:
        steps = self._conversation.speak_up(prompt, occasion)
        return self._greeting(steps) if occasion == "greeting" else steps

    async def close(self) -> None:
        await self._conversation.close()

    async def _attended(self, steps: AsyncIterator[Action]) -> AsyncIterator[Action]:
        assert isinstance(steps, AsyncGenerator)
        async with aclosing(steps):
            async for step in steps:
                match step:
                    case Say(text) if text.strip():
                        self._record.mind_said = sentences(text)[-1]
                    case HangUp():
                        self._record.mind_hangs_up = True
                yield step

    async def _greeting(self, steps: AsyncIterator[Action]) -> AsyncIterator[Action]:
        assert isinstance(steps, AsyncGenerator)
        greets = False
        async with aclosing(steps):
            async for step in steps:
                greets = True
                yield step
        self._record.mind_greets(greets=greets)
