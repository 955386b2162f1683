"""What it means that an EVI chat has closed.

EVI sends an `error` message first, then closes with 1000. The first letter of an error tells whose
fault it is: `E` the client's, `I` the server's; `W` is a warning. An error that the conversation
has outlived says nothing about its end.
"""

from collections.abc import Mapping
from enum import Enum, auto

from evibridge.events import EndReason


class Retry(Enum):
    """A chat that is lost can be had again."""

    RESUME = auto()
    """Another chat goes on with the same group."""
    AFRESH = auto()
    """The server does not know the group: the conversation goes on in a new one."""


_BY_ERROR: Mapping[str, Retry | EndReason] = {
    "E0300": EndReason.EVI_REFUSED,  # out of credits
    "E0708": Retry.AFRESH,  # the chat group was not found
    "E0710": Retry.AFRESH,  # the chat could not be resumed
    "E0714": EndReason.INACTIVITY,
    "E0715": Retry.RESUME,  # the longest duration of a chat, not of a call
}
_NORMAL = 1000
_POLICY = 1008


def meaning_of_close(code: int, error: str | None, *, opened: bool) -> Retry | EndReason:
    """What to do about a chat that has closed.

    Args:
        code: of the close frame; 1006 if there was none
        error: code of the last `error` message, if nothing was said after it
        opened: whether the chat had begun; one that is closed before that is refused
    """
    if error is not None and error in _BY_ERROR:
        return _BY_ERROR[error]
    if error is not None and error.startswith("I"):
        return Retry.RESUME
    if code == _POLICY:
        return EndReason.EVI_REFUSED
    if code != _NORMAL:
        return Retry.RESUME
    if not opened or (error is not None and error.startswith("E")):
        return EndReason.EVI_REFUSED
    return EndReason.AGENT_HUNG_UP
