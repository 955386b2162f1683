"""Every error that evibridge raises on purpose, and who is to blame for it.

    EvibridgeError
    ├── OwnerError              the person who runs the service can fix it
    │   ├── SettingsError       a setting is missing or wrong
    │   ├── AgentLoadError      the agent's file cannot be loaded
    │   ├── ToolDefinitionError a Python function cannot be offered as a tool
    │   └── EngineSetupError    a part of the engine is missing or damaged
    ├── PeerError               the program on the other side broke its protocol
    │   ├── BadMessage          a message that cannot be read
    │   └── BadAudio            audio that cannot be read
    ├── LinkError               the connection itself
    │   ├── LinkRefused         the other side answered the handshake with a status
    │   ├── LinkUnreachable     nobody answered in time
    │   └── UpstreamFailed      a model service that the engine uses gave no usable answer
    ├── CommandRefused          an operator asked for what a call cannot do now
    ├── WebSessionRefused       a page shows a token that lets nobody in (`web_sessions.py`)
    ├── CallerRefused           there is no place for a page's caller (`bridges/browser/desk.py`)
    ├── PlaceUnknown            a page comes back to a call that is over (the same)
    ├── Overloaded              more work waits already than can be done in time
    ├── ToolError               raised by a tool's author; its text is for the model
    └── ToolUnavailable         what a tool works with is not there; the model gets its fallback

A normal end of a call is an `EndReason`, not an exception.
"""


class EvibridgeError(Exception):
    """Root of the tree; `str()` of any of these is one sentence for a person."""

    retryable = False


class OwnerError(EvibridgeError):
    """Something that the owner of the service can put right."""


class SettingsError(OwnerError):
    """A setting is missing, contradictory or out of range."""


class AgentLoadError(OwnerError):
    """The agent's file or module cannot be imported, or holds no `Agent`."""


class ToolDefinitionError(OwnerError):
    """A function cannot be offered as a tool; the text names function and parameter."""


class EngineSetupError(OwnerError):
    """A package, model file or script that the engine needs is missing or damaged."""


class PeerError(EvibridgeError):
    """The peer sent something that its protocol does not allow."""


class BadMessage(PeerError):
    """A message that is not JSON, or lacks what its type requires."""


class BadAudio(PeerError):
    """Bytes that are not the audio they claim to be."""


class LinkError(EvibridgeError):
    """A connection could not be opened."""


class LinkRefused(LinkError):
    """The other side answered the WebSocket handshake with an HTTP status.

    Attributes:
        status: the HTTP status; 408, 429 and 5xx are worth another try
    """

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"{url} refused the connection with HTTP status {status}.")
        self.status = status
        self.retryable = status in (408, 429) or status >= 500


class LinkUnreachable(LinkError):
    """Nobody listens at the address, or the handshake did not finish in time."""

    retryable = True


class UpstreamFailed(LinkError):
    """A service for language, recognition or speech gave no usable answer, retries included.

    Attributes:
        timed_out: nothing came in time, in contrast to a refusal or nonsense
    """

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


class CommandRefused(EvibridgeError):
    """A call cannot do now what an operator asks for.

    Attributes:
        code: names the reason for programs, such as `call_is_over`
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Overloaded(EvibridgeError):
    """The queue for a bounded resource is full."""

    retryable = True


class ToolError(EvibridgeError):
    """Raised inside a tool to refuse or to report failure; the model reads the text.

    Args:
        message: what the model is told instead of a result
        code: a short name of the fault for logs and events
    """

    def __init__(self, message: str, *, code: str = "tool_error") -> None:
        super().__init__(message)
        self.code = code


class ToolUnavailable(EvibridgeError):
    """What a tool works with is not there; the model is told the tool's fallback.

    `str()` ends the sentence "The tool so-and-so ...".
    """
