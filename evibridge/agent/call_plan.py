"""What a call is made of: the caller's side, who calls, and what all calls have in common."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.control_plane import ControlPlane
from evibridge.agent.course import CallLimits
from evibridge.agent.evi_client import EviServer
from evibridge.agent.manners import Manners
from evibridge.agent.tool_journal import MemoryJournal, ToolJournal
from evibridge.events import CallEvent, CallKind, Direction
from evibridge.tools_registry.runner import ToolRunner


class CallerLeg(Protocol):
    """The caller's side of a call; a bridge implements it. Every method returns at once.

    Attributes:
        tap: is handed what `play` queues, in the format of `audio`, while somebody listens
    """

    tap: Callable[[bytes], None] | None

    @property
    def can_transfer(self) -> bool:
        """Whether `hang_up` can put the caller through to somebody, as carriers do."""

    @property
    def audio(self) -> evi.AudioFormat:
        """Format in which the caller's audio is handed to `Call.caller_audio`."""

    def play(self, wav: bytes) -> float:
        """Queue one WAV file behind what is playing; returns its length in ms.

        Raises:
            BadAudio: the bytes are not a WAV file that can be played
        """

    def mark(self, name: str) -> None:
        """Report `name` by `Call.playback_heard` once everything queued so far was played."""

    def clear(self) -> None:
        """Drop whatever is queued and not played yet."""

    def hang_up(self, how: act.HangUp) -> None:
        """End the caller's side, or put the caller through to somebody; no report follows."""

    def release(self) -> None:
        """Another leg has taken over the call: close the connection; no report follows."""


@dataclass(frozen=True, slots=True)
class CallerFacts:
    """What is known of a call before it starts. Numbers are personal data."""

    call_id: str
    caller: str | None = field(default=None, repr=False)
    called: str | None = field(default=None, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    direction: Direction = Direction.INBOUND
    kind: CallKind = CallKind.PHONE
    variables: Mapping[str, str | float | bool] = field(default_factory=dict, repr=False)
    """Values for the placeholders of the prompt, beside those of the agent."""


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What all calls of a service have in common."""

    server: EviServer
    control_plane: ControlPlane
    """Of the same server."""
    settings: Callable[[], evi.SessionSettings]
    """Gives those of a call that begins: its tools stay as they are then."""
    tools: ToolRunner
    limits: CallLimits
    publish: Callable[[str, CallEvent], object]
    """Gets the call's id and each of its events, in order."""
    journal: ToolJournal = field(default_factory=MemoryJournal)
    manners: Manners = field(default_factory=Manners)
    filler: Callable[[], bytes | None] = lambda: None
    """Gives the sound of `manners.filler`, a WAV file, once there is one."""
    disclosure: str | None = None
    """What the agent says before anything else, word for word."""
