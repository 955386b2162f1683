"""What a page that connects is told of the past: no more than a connection takes at once."""

from collections import deque
from collections.abc import Mapping

from evibridge import events
from evibridge.events import CallEvent

MAX_BYTES = 256 * 1024
"""More than an hour of talk, unless utterances are measured; a quarter of what makes a connection
count as stuck."""

_CONDITIONS: Mapping[type[CallEvent], str] = {
    events.ChatOpened: "server",
    events.ChatLost: "server",
    events.AgentPaused: "pause",
    events.AgentResumed: "pause",
    events.CallHeld: "hold",
    events.CallReleased: "hold",
    events.CallerMuted: "microphone",
    events.HangUpDecided: "end",
}
"""Events after which something is so until the next of its kind: a page has to know it."""


class Replay:
    """The newest messages of a call, and of the older ones those that tell how things are."""

    def __init__(self) -> None:
        self._newest: deque[tuple[type[CallEvent], bytes]] = deque()
        self._bytes = 0
        self._conditions: dict[str, bytes] = {}
        self.is_cut = False
        """Whether something was left out."""

    def add(self, event: CallEvent, message: bytes) -> None:
        """Add the next message, and the event that it tells of."""
        self._newest.append((type(event), message))
        self._bytes += len(message)
        while self._bytes > MAX_BYTES:
            self._leave_out(*self._newest.popleft())

    def messages(self) -> list[bytes]:
        """What the page is to be told, in its order."""
        return [*self._conditions.values(), *(message for _, message in self._newest)]

    def _leave_out(self, event: type[CallEvent], message: bytes) -> None:
        self.is_cut = True
        self._bytes -= len(message)
        condition = _CONDITIONS.get(event)
        if condition is not None:
            self._conditions.pop(condition, None)  # it is now the newest of those
            self._conditions[condition] = message
