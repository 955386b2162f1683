"""A dialogue with a clock, for tests of its rules."""

from itertools import count
from typing import Any

from evibridge.engine.chat.actions import Action, Answer, Start, Tell, TellSender, Work
from evibridge.engine.chat.chat_settings import ChatSettings
from evibridge.engine.chat.dialogue import Dialogue
from evibridge.engine.chat.history import History
from evibridge.engine.chat.timeouts import ChatLimits
from evibridge.engine.chat.tool_calls import ToolEnd
from evibridge.engine.minds.mind import CallTool, Prompt, ToolOffer
from evibridge.engine.voices.phrases import Phrases

START_S = 1_767_000_000.0
TOOL_TIMEOUT_S = 10.0
LIMITS = ChatLimits(inactivity_s=None, max_duration_s=None, tool_timeout_s=TOOL_TIMEOUT_S)
ENDS_S = START_S + 1800
"""When EVI ends every chat."""
LOOK = CallTool("look", {"order": "1042"})
SETTINGS = ChatSettings(tools=(ToolOffer("look", None, {}, "It cannot be found out."),))


class Stage:
    """A dialogue with a clock, and a record of what it told."""

    def __init__(
        self,
        settings: ChatSettings = SETTINGS,
        limits: ChatLimits = LIMITS,
        *,
        history: History | None = None,
        resumes: bool = False,
        can_search: bool = False,
    ) -> None:
        numbers = count(1)
        self.tool_ends: list[ToolEnd] = []
        self.dialogue = Dialogue(
            now_s=START_S,
            limits=limits,
            phrases=Phrases(),
            new_id=lambda: f"{next(numbers):032x}",
            history=history or History(),
            count_tool_call=self.tool_ends.append,
            resumes=resumes,
            can_search=can_search,
        )
        self.dialogue.settings = settings
        self.now_s = START_S
        self.part = 0

    def asks(self, text: str) -> list[Action]:
        said = self.dialogue.caller_said(text, 100, 900, self.now_s)
        return self.note(said + self.dialogue.turn_ended())

    def says(self, text: str, seconds: float = 1.0) -> list[Action]:
        """The running part speaks a sentence."""
        actions = self.dialogue.sentence_begins(self.part, text, self.now_s)
        self.dialogue.chunk_ready(self.part, seconds, self.now_s)
        return actions

    def calls(self, call: CallTool = LOOK) -> str:
        """The running part calls a tool and is finished."""
        told = messages_in(self.dialogue.tool_called(self.part, call, self.now_s))
        assert [message["type"] for message in told] == ["tool_call"]
        assert self.dialogue.part_finished(self.part) == []
        return str(told[0]["tool_call_id"])

    def finishes(self) -> list[Action]:
        return self.note(self.dialogue.part_finished(self.part))

    def note(self, actions: list[Action]) -> list[Action]:
        for action in actions:
            if isinstance(action, Start):
                self.part = action.part
        return actions

    def prompt(self) -> Prompt:
        """What the mind is told when asked now."""
        (greet,) = [action for action in self.asks("?") if isinstance(action, Start)]
        assert isinstance(greet.work, Answer)
        return greet.work.prompt

    def assistant_words(self) -> list[str]:
        history = self.prompt().history
        return [entry.content for entry in history if entry.role == "assistant"]


def messages_in(actions: list[Action]) -> list[dict[str, Any]]:
    return [action.message for action in actions if isinstance(action, Tell | TellSender)]


def told(actions: list[Action]) -> list[str]:
    """The types of the messages, in order."""
    return [str(message["type"]) for message in messages_in(actions)]


def work(actions: list[Action]) -> Work:
    (start,) = [action for action in actions if isinstance(action, Start)]
    return start.work
