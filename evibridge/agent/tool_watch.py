"""What the events of a call's tools amount to: how long they took, which wait for an operator."""

from dataclasses import dataclass, replace

from evibridge.agent.snapshot import PendingApproval
from evibridge.events import ApprovalGiven, ApprovalWanted, CallEvent, ToolFinished, ToolStarted

MAX_VERDICTS = 64
"""Remembered, the newest: for an operator who comes too late."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    wanted: ApprovalWanted
    until_s: float


class ToolWatch:
    """Follows the tools of one call by their events. Time is an argument, in seconds."""

    def __init__(self) -> None:
        self._began_s: dict[str, float] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._verdicts: dict[str, str] = {}
        self._superseded: _Waiting | None = None
        """The tool that has just ended, if it waited."""

    def follow(self, event: CallEvent, now_s: float) -> CallEvent:
        """Take note of an event; returns it with what is known of it here."""
        match event:
            case ToolStarted(tool_call_id):
                self._began_s[tool_call_id] = now_s
            case ApprovalWanted(tool_call_id):
                return self._wait(event, now_s)
            case ApprovalGiven(tool_call_id):
                self._waiting.pop(tool_call_id, None)
                verdict = "approved" if event.is_approved else "declined"
                self._verdicts[tool_call_id] = f"{event.by} has {verdict} it already."
                if len(self._verdicts) > MAX_VERDICTS:
                    del self._verdicts[next(iter(self._verdicts))]
            case ToolFinished(tool_call_id):
                self._superseded = self._waiting.pop(tool_call_id, None)
                began_s = self._began_s.pop(tool_call_id, now_s)
                return replace(event, duration_ms=round((now_s - began_s) * 1000))
            case _:
                pass
        return event

    def _wait(self, wanted: ApprovalWanted, now_s: float) -> ApprovalWanted:
        until_s = now_s + wanted.timeout_s
        before, self._superseded = self._superseded, None
        if before is not None and _is_same(before.wanted, wanted):
            # The next chat asks for the same: the tool that waits serves it, and its time runs on.
            until_s = min(until_s, before.until_s)
            wanted = replace(wanted, timeout_s=round(max(0.0, until_s - now_s), 1))
        self._waiting[wanted.tool_call_id] = _Waiting(wanted, until_s)
        return wanted

    def waiting(self, now_s: float) -> tuple[PendingApproval, ...]:
        """Tools that wait for an operator."""
        return tuple(
            PendingApproval(
                each.wanted.tool_call_id,
                each.wanted.name,
                each.wanted.parameters,
                expires_in_s=round(max(0.0, each.until_s - now_s), 1),
            )
            for each in self._waiting.values()
        )

    def why_not_waiting(self, tool_call_id: str) -> str:
        """Tell an operator why he cannot decide about a tool."""
        return self._verdicts.get(tool_call_id, "No tool waits under this id.")


def _is_same(before: ApprovalWanted, wanted: ApprovalWanted) -> bool:
    return (before.name, before.parameters) == (wanted.name, wanted.parameters)
