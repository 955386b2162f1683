"""The progress of a tool that nobody waits for: whoever runs it approves of it."""

from evibridge.tools_registry.outcome import ToolResult
from evibridge.tools_registry.progress import Verdict


class NobodyWaits:
    def hold(self, sentence: str) -> None:
        del sentence

    async def verdict(self, timeout_s: float) -> Verdict:
        del timeout_s
        return Verdict(is_approved=True)

    def answer_early(self, answer: ToolResult, *, result_follows: bool) -> None:
        del answer, result_follows


NOBODY = NobodyWaits()
