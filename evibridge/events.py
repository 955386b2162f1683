"""What happens in a call, as plain values for logs, records and people who watch.

Texts, numbers and tool arguments in here are personal data: they travel in named attributes only,
never inside a log message.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class EndReason(StrEnum):
    """Why a call ended; a normal end is one of these, not an exception."""

    CALLER_HUNG_UP = "caller_hung_up"
    AGENT_HUNG_UP = "agent_hung_up"
    TRANSFERRED = "transferred"
    """The caller was put through to somebody else."""
    OPERATOR_HUNG_UP = "operator_hung_up"
    INACTIVITY = "inactivity"
    """The EVI server gave up waiting for the caller to speak."""
    MAX_DURATION = "max_duration"
    CALLER_LOST = "caller_lost"
    """The caller's connection ended or fell silent without a hang-up."""
    CALLER_STALLED = "caller_stalled"
    """The caller's side does not take the agent's audio."""
    EVI_UNREACHABLE = "evi_unreachable"
    EVI_REFUSED = "evi_refused"
    """The EVI server refused the chat: credentials, configuration or quota."""
    EVI_LOST = "evi_lost"
    CHAT_ENDED = "chat_ended"
    """A chat that somebody else had opened was ended there."""
    BUSY = "busy"
    """Whoever was called is busy."""
    NO_ANSWER = "no_answer"
    """Whoever was called did not answer."""
    NOT_CONNECTED = "not_connected"
    """The carrier could not put an outbound call through."""
    SHUTDOWN = "shutdown"
    FAULT = "fault"
    """A defect of this service; its traceback is in the log."""


CALLER = "the caller"
"""Who has given a command, if it was no operator: their names are one word."""


class CallerRefusal(StrEnum):
    """Why a caller was not let in."""

    BUSY = "busy"
    """As many calls go on as may."""
    DRAINING = "draining"
    """The service is about to end."""


class CallKind(StrEnum):
    """Where the audio of a call flows."""

    PHONE = "phone"
    BROWSER = "browser"
    SIDECAR = "sidecar"
    """Elsewhere: the chat was opened by somebody else."""


class Direction(StrEnum):
    """Who began a call."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class ToolPath(StrEnum):
    """How a tool call has come."""

    SOCKET = "socket"
    MIRROR = "mirror"
    WEBHOOK = "webhook"


class ChatOpening(StrEnum):
    """Why a chat was opened."""

    FIRST = "first"
    RESUMED = "resumed"
    """The chat before it was lost; this one goes on with its group."""
    AFRESH = "afresh"
    """The chat before it was lost and its group is not known any more."""
    RENEWED = "renewed"
    """The chat before it was near its longest duration, or was to be left."""


@dataclass(frozen=True, slots=True)
class CallDialled:
    """Somebody is being called; `by` is the operator who wanted it."""

    to: str
    by: str


@dataclass(frozen=True, slots=True)
class CallBegan:
    """The first event of a call, but for `CallDialled`: the caller is there."""

    kind: CallKind = CallKind.PHONE
    direction: Direction = Direction.INBOUND


@dataclass(frozen=True, slots=True)
class ChatOpened:
    """The EVI server is there and the agent's settings were sent."""

    chat_id: str
    chat_group_id: str
    why: ChatOpening = ChatOpening.FIRST


@dataclass(frozen=True, slots=True)
class ChatLost:
    """The EVI server is gone in the middle of the call, which tries to get it back.

    `code` is the WebSocket's close code, `error` the code of the server's last `error` message.
    """

    code: int
    error: str | None


@dataclass(frozen=True, slots=True)
class CallerLost:
    """The caller's connection broke; the call waits for another one."""


@dataclass(frozen=True, slots=True)
class CallerReturned:
    """The caller is there again, on another connection."""


@dataclass(frozen=True, slots=True)
class FillerPlayed:
    """The caller was told to wait, because the EVI server is not there."""


@dataclass(frozen=True, slots=True)
class CallerMuted:
    """The caller has switched the microphone off, or on again."""

    is_muted: bool


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """The caller pressed a key of the telephone: one of `0-9*#A-D`."""

    digit: str


@dataclass(frozen=True, slots=True)
class DigitsEntered:
    """The caller has finished entering digits, and the model was told."""

    digits: str


@dataclass(frozen=True, slots=True)
class HangUpDecided:
    """The call ends once the last word was heard."""

    reason: EndReason


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """What the server understood; an interim transcript is replaced by a later one."""

    text: str
    interim: bool
    typed: bool
    scores: Mapping[str, float] | None = None
    """How the voice sounded, from 0 to 1 for each expression; None if the server does not tell."""
    by_caller: bool = True
    """False for what was written in the caller's place, by an operator or another program."""
    spoke_ms: int | None = None
    """How long the words took; None if the server does not tell, or they were written."""


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """A sentence that the agent is about to speak."""

    utterance_id: str
    text: str


@dataclass(frozen=True, slots=True)
class AgentSounded:
    """How the agent's voice sounded in an utterance, as in `CallerSaid.scores`."""

    utterance_id: str | None
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TurnAnswered:
    """The agent's voice begins to answer; `response_ms` after the caller's last word ended."""

    response_ms: int


@dataclass(frozen=True, slots=True)
class AgentHeard:
    """What of an utterance reached the caller, told once it is over."""

    utterance_id: str
    sent_ms: int
    heard_ms: int
    text_heard: str


@dataclass(frozen=True, slots=True)
class AgentInterrupted:
    """The agent's voice was cut off: the caller spoke, or the agent was paused."""


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A Python function runs for the model; `parameters` is the JSON text it was called with."""

    tool_call_id: str
    name: str
    parameters: str
    path: ToolPath = ToolPath.SOCKET


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """How a tool call ended: `answered`, `superseded`, `cancelled`, or the code of its failure.

    `content` is what the model was told; None if it was told nothing.
    """

    tool_call_id: str
    name: str
    outcome: str
    content: str | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ToolDelivered:
    """A tool that was answered early is done; outcomes as in `ToolFinished`."""

    tool_call_id: str
    name: str
    outcome: str


@dataclass(frozen=True, slots=True)
class ApprovalWanted:
    """A tool waits for an operator, at most `timeout_s`; `parameters` is its JSON text."""

    tool_call_id: str
    name: str
    parameters: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class ApprovalGiven:
    """An operator has decided about a tool; `by` is a name for him."""

    tool_call_id: str
    name: str
    is_approved: bool
    by: str


@dataclass(frozen=True, slots=True)
class CommandGiven:
    """An operator, or the caller, has asked for something, and what follows is its effect.

    Attributes:
        command: `say`, `inject`, `context`, `whisper`, `variables`, `pause`, `resume`, `hold`,
            `release`, `takeover`, `handback`, `hangup`, `transfer` or `send`
        by: a name for the operator, or `CALLER`
        text: what was said or set, or where the caller is put through to
    """

    command: str
    by: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class RecordingFailed:
    """The call is not recorded from here on; `why` is a sentence for the owner."""

    why: str


@dataclass(frozen=True, slots=True)
class DigitsSent:
    """Tones of keys were played to the caller's side."""

    digits: str


@dataclass(frozen=True, slots=True)
class AgentPaused:
    """The agent is silent until resumed; the caller is still transcribed."""


@dataclass(frozen=True, slots=True)
class AgentResumed:
    """The agent may speak again."""


@dataclass(frozen=True, slots=True)
class CallHeld:
    """Agent and caller do not hear each other until released."""


@dataclass(frozen=True, slots=True)
class CallReleased:
    """Agent and caller hear each other again."""


@dataclass(frozen=True, slots=True)
class CallTakenOver:
    """The operator `by` speaks with the caller in the agent's place."""

    by: str


@dataclass(frozen=True, slots=True)
class CallHandedBack:
    """The agent goes on; `by` is who wanted it, None if nobody could be asked."""

    by: str | None


@dataclass(frozen=True, slots=True)
class OperatorSaid:
    """What an operator said to the caller; an interim transcript is replaced by a later one."""

    text: str
    by: str
    interim: bool
    is_spoken: bool
    """By microphone; else it was written, and the agent's voice has said it."""


@dataclass(frozen=True, slots=True)
class ServerReportedError:
    """An `error` message of the EVI server."""

    code: str
    slug: str
    text: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The last event of a call."""

    reason: EndReason


CallEvent = (
    CallDialled
    | CallBegan
    | ChatOpened
    | ChatLost
    | CallerLost
    | CallerReturned
    | FillerPlayed
    | CallerMuted
    | DigitPressed
    | DigitsEntered
    | HangUpDecided
    | CallerSaid
    | AgentSaid
    | AgentSounded
    | TurnAnswered
    | AgentHeard
    | AgentInterrupted
    | ToolStarted
    | ToolFinished
    | ToolDelivered
    | ApprovalWanted
    | ApprovalGiven
    | CommandGiven
    | RecordingFailed
    | DigitsSent
    | AgentPaused
    | AgentResumed
    | CallHeld
    | CallReleased
    | CallTakenOver
    | CallHandedBack
    | OperatorSaid
    | ServerReportedError
    | CallEnded
)
