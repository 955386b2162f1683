"""What a script consists of, once its file has been read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from evibridge.engine.minds.scripted.phrases import Phrase
from evibridge.engine.minds.scripted.templates import Placeholder, Template
from evibridge.engine.minds.scripted.utterance import SlotKind

Texts = tuple[Template, ...]
"""Ways to say one thing."""

Argument = Template | str | int | float | bool

RESULT, SAID, TOOLS = "result", "said", "tools"
BUILT_IN = (RESULT, SAID, TOOLS)
"""Placeholders that are no slots: the tool's result, the last words, the tools on offer."""

_REPEATED = Placeholder((SAID,))


@dataclass(frozen=True, slots=True)
class Call:
    """The tool of a turn, and its arguments by name."""

    tool: str
    arguments: Mapping[str, Argument]

    def slots(self) -> frozenset[str]:
        """Return the slots without which the tool cannot be called."""
        return frozenset(
            placeholder.path[0]
            for argument in self.arguments.values()
            if isinstance(argument, Template)
            for placeholder in argument.placeholders()
            if not placeholder.variable
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """What is done when certain phrases are heard; docs/script.md explains each attribute."""

    name: str
    heard: tuple[Phrase, ...]
    say: Texts = ()
    call: Call | None = None
    meanwhile: Texts = ()
    missing: Mapping[str, Texts] = field(default_factory=dict)
    failed: Texts = ()
    hang_up: bool = False
    answers: "tuple[Turn, ...]" = ()

    def repeats(self) -> bool:
        """Tell whether the turn says again what was said, and so leaves the talk where it is."""
        return any(_REPEATED in text.placeholders() for text in self.say)


@dataclass(frozen=True, slots=True)
class Script:
    """A dialogue.

    Attributes:
        slots: the kind of every slot that a phrase catches
    """

    turns: tuple[Turn, ...]
    slots: Mapping[str, SlotKind]
    greeting: Texts = ()
    fallback: Texts = ()
