"""The one line of the log that sums a call up, at its end."""

from collections import Counter
from collections.abc import Sequence

import structlog

from evibridge.agent.conversation import Line
from evibridge.events import EndReason

log = structlog.get_logger(__name__)


def log_end(
    call_id: str,
    chat_id: str,
    reason: EndReason,
    *,
    lasted_s: float,
    said: Sequence[Line],
    counts: Counter[str],
    frames_dropped: int,
) -> None:
    """Write the line.

    Args:
        call_id: of the call
        chat_id: of its last chat
        reason: why it has ended
        lasted_s: since the caller came
        said: everything that was said
        counts: of its events, by the names of their classes
        frames_dropped: of the caller's voice
    """
    lines = [line for line in said if line.who == "agent"]
    log.info(
        "call_ended",
        call_id=call_id,
        chat_id=chat_id,
        reason=reason.value,
        seconds=round(lasted_s, 1),
        caller_turns=counts["CallerSaid"],
        agent_sentences=counts["AgentSaid"],
        agent_sent_ms=round(sum(line.sent_ms for line in lines)),
        agent_heard_ms=round(sum(line.heard_ms for line in lines)),
        interruptions=counts["AgentInterrupted"],
        tool_calls=counts["ToolStarted"],
        chats=counts["ChatOpened"],
        chats_lost=counts["ChatLost"],
        caller_lost=counts["CallerLost"],
        server_errors=counts["ServerReportedError"],
        caller_frames_dropped=frames_dropped,
    )
