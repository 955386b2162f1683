"""What a caller is told when a call in the browser is over."""

from collections.abc import Mapping

from evibridge.agent.actions import HangUp
from evibridge.events import EndReason

_TROUBLE = "There was a technical problem on our side. Please call again."
_SENTENCES: Mapping[EndReason, str] = {
    EndReason.CALLER_HUNG_UP: "You have ended the call.",
    EndReason.AGENT_HUNG_UP: "The agent has ended the call.",
    EndReason.TRANSFERRED: "The call was passed on.",
    EndReason.OPERATOR_HUNG_UP: "The call was ended by our team.",
    EndReason.INACTIVITY: "The call was ended because nothing was said for a while.",
    EndReason.MAX_DURATION: "The call has reached its longest duration. Please call again.",
    EndReason.CALLER_LOST: "Your connection was lost. Please call again.",
    EndReason.CALLER_STALLED: "Your connection is too slow for a call. Please call again.",
    EndReason.EVI_UNREACHABLE: "The agent cannot be reached right now. Please try again later.",
    EndReason.EVI_REFUSED: "The agent cannot be reached right now. Please try again later.",
    EndReason.EVI_LOST: "The connection to the agent was lost. Please call again.",
    EndReason.CHAT_ENDED: "The conversation was ended.",
    EndReason.BUSY: "The line is busy. Please try again later.",
    EndReason.NO_ANSWER: "Nobody has answered. Please try again later.",
    EndReason.NOT_CONNECTED: "The call could not be put through. Please try again later.",
    EndReason.SHUTDOWN: "The service is being restarted. Please call again in a moment.",
    EndReason.FAULT: _TROUBLE,
}


def ending_words(how: HangUp) -> str:
    """Return a sentence for the caller: what the agent could not say any more, if there is that."""
    return how.last_words or _SENTENCES[how.reason]
