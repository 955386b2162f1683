"""How a tool is used, apart from what it does: deadline, holding sentence, approval, answer."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import TypedDict

from evibridge.errors import ToolDefinitionError

HOLDING_AFTER_S = 2.0
"""A caller takes a longer silence for a broken line."""


class Answering(Enum):
    """What the model is told of a call, and when."""

    WHEN_DONE = "when done"
    """The result, once there is one."""
    IN_BACKGROUND = "in background"
    """At once that the tool has been started; the result later, as context."""
    SILENTLY = "silently"
    """At once that all is well; the result is nobody's concern."""


class ToolOptions(TypedDict, total=False):
    """What `@tools.tool(...)` takes."""

    name: str | None
    """How the model calls the tool, instead of the function's name."""
    description: str | None
    """What the model reads about it, instead of the docstring."""
    timeout: float | None
    """Deadline of one call in seconds, instead of the service's."""
    fallback: str | None
    """What the model is told when the tool fails or is late."""
    strict: bool
    """Whether the schema keeps to OpenAI's strict function format."""
    holding: str | None
    """What the agent says when the caller has to wait: for approval, or for a slow answer."""
    holding_after_s: float | None
    """How slow an answer has to be for that, instead of `HOLDING_AFTER_S`."""
    requires_approval: bool
    """Whether an operator has to approve each call."""
    background: bool
    """Whether the model goes on at once and gets the result later, as context."""
    silent: bool
    """Whether the model goes on at once and never gets the result."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """The options that the runner follows.

    Attributes:
        timeout_s: deadline of one call; None leaves it to the runner
        holding: said when an answer takes longer than `holding_after_s`, and while an operator is
            waited for
        requires_approval: whether an operator has to approve each call
    """

    timeout_s: float | None = None
    holding: str | None = None
    holding_after_s: float = HOLDING_AFTER_S
    requires_approval: bool = False
    answering: Answering = Answering.WHEN_DONE

    @classmethod
    def of(cls, options: ToolOptions, label: str) -> "Conduct":
        """Take what concerns the conduct out of a tool's options.

        Args:
            options: as the author wrote them
            label: how error texts name the function

        Raises:
            ToolDefinitionError: they are out of range, or contradict each other
        """
        background, silent = options.get("background", False), options.get("silent", False)
        if background and silent:
            raise ToolDefinitionError(
                f"{label} is both `background` and `silent`; choose `background` if the model is "
                f"to learn the result."
            )
        answering = Answering.WHEN_DONE
        if background or silent:
            answering = Answering.IN_BACKGROUND if background else Answering.SILENTLY
        holding_after_s = options.get("holding_after_s")
        conduct = cls(
            options.get("timeout"),
            options.get("holding"),
            HOLDING_AFTER_S if holding_after_s is None else holding_after_s,
            options.get("requires_approval", False),
            answering,
        )
        conduct._check(label, has_holding_after=holding_after_s is not None)
        return conduct

    def _check(self, label: str, *, has_holding_after: bool) -> None:
        for name, seconds in (
            ("timeout", self.timeout_s),
            ("holding_after_s", self.holding_after_s),
        ):
            if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
                raise ToolDefinitionError(
                    f"The {name} of {label} must be more than 0 seconds, not {seconds}."
                )
        if self.holding is not None and not self.holding.strip():
            raise ToolDefinitionError(f"The holding sentence of {label} holds no words.")
        if self.requires_approval and self.holding is None:
            raise ToolDefinitionError(
                f"{label} requires approval: give it a sentence for the caller who waits, such as "
                f'`holding="One moment, I have to ask a colleague."`.'
            )
        is_waited_for = self.requires_approval or self.answering is Answering.WHEN_DONE
        if self.holding is not None and not is_waited_for:
            raise ToolDefinitionError(
                f"Nobody waits for {label}, which is answered at once; leave its `holding` out."
            )
        if has_holding_after and self.holding is None:
            raise ToolDefinitionError(
                f"{label} has a `holding_after_s` and nothing to say then; give it a `holding`."
            )
