"""What happens to a tool call before it has its answer."""

from dataclasses import dataclass
from typing import Protocol

from evibridge.tools_registry.outcome import ToolResult


@dataclass(frozen=True, slots=True)
class Verdict:
    """An operator has decided about a tool call.

    Attributes:
        reason: why it was declined, for the model
    """

    is_approved: bool
    reason: str = ""


class ToolProgress(Protocol):
    """The call that waits for a tool."""

    def hold(self, sentence: str) -> None:
        """The caller has to wait: let the agent say this."""

    async def verdict(self, timeout_s: float) -> Verdict:
        """Ask the operators about the call; this is cancelled after `timeout_s`."""

    def answer_early(self, answer: ToolResult, *, result_follows: bool) -> None:
        """This is the answer.

        What `ToolRunner.run` returns later is for the model too if `result_follows`, else for
        nobody.
        """
