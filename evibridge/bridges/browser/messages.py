"""The JSON messages between a page and its call: text frames of a WebSocket, or a data channel.

Strict in what is read, as both sides are ours: a message of another shape is answered with a
sentence that says what is wrong with it. Members that are not known are passed over.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from evibridge.errors import BadMessage

MAX_TEXT = 4000
"""Characters of one message that the caller types."""
MAX_SECRET = 512
"""Characters of a token or a key."""
MAX_NAME = 128
"""Characters of a mark's name."""
MAX_SEQ = 2**53
"""The largest whole number that JavaScript can tell from its neighbours."""
MAX_RATE_HZ = 1_000_000

Transport = Literal["webrtc", "websocket"]


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a WebSocket: who comes, and how his audio is written.

    Attributes:
        token: of a caller who comes for the first time
        key: of one who comes back; one of the two is there
        since: number of the last event that the page knows, None if it knows none
        capture_rate_hz: of the caller's audio
        playback_rate_hz: in which the agent's is wanted
        microphone: whether the caller's audio comes at all
    """

    token: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    since: int | None = None
    capture_rate_hz: int = 16_000
    playback_rate_hz: int = 24_000
    microphone: bool = True


@dataclass(frozen=True, slots=True)
class Pause:
    """The agent is to be silent."""


@dataclass(frozen=True, slots=True)
class Resume:
    """The agent may speak again."""


@dataclass(frozen=True, slots=True)
class Typed:
    """The caller says something in writing; `text` is not blank."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mute:
    """The caller has switched the microphone off or on."""

    is_muted: bool


@dataclass(frozen=True, slots=True)
class End:
    """The caller hangs up."""


@dataclass(frozen=True, slots=True)
class Ping:
    """The page is there."""


@dataclass(frozen=True, slots=True)
class Mark:
    """All audio before the mark was played, or dropped by a `clear`."""

    name: str


Message = Hello | Pause | Resume | Typed | Mute | End | Ping | Mark


def parse(text: bytes) -> Message:
    """Read one message of a page.

    Raises:
        BadMessage: not JSON, of an unknown type, or without what its type requires
    """
    try:
        raw = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadMessage("The message is not JSON in UTF-8.") from None
    kind = raw.get("type") if isinstance(raw, dict) else None
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise BadMessage(f"A message needs a 'type': one of {', '.join(_READERS)}.")
    return reader(raw)


def message(kind: str, **members: object) -> bytes:
    """Write a message of this type; members that are None are left out."""
    told = {"type": kind, **{name: each for name, each in members.items() if each is not None}}
    try:
        return orjson.dumps(told)
    except orjson.JSONEncodeError:  # half a surrogate pair, which Python's own parser lets through
        return orjson.dumps(_repaired(told))


def welcome(
    *,
    call_id: str,
    key: str,
    resume_s: float,
    agent_name: str,
    transport: Transport,
    missed: bool = False,
) -> bytes:
    """The first message of a connection that has its call.

    Args:
        call_id: of the call
        key: with which the page may come back
        resume_s: for how long it may, when the connection breaks
        agent_name: what the page may call the agent
        transport: of the connection
        missed: whether more has happened than the page is told now
    """
    return message(
        "welcome",
        call_id=call_id,
        key=key,
        resume_s=resume_s,
        agent={"name": agent_name},
        transport=transport,
        missed=missed or None,
    )


def refused(
    code: str, sentence: str, *, command: str | None = None, retry_after_s: float | None = None
) -> bytes:
    """Something that the page wants is not done.

    Args:
        code: for programs
        sentence: for people
        command: type of the message that is refused, None for the connection itself
        retry_after_s: when it may be worth another try
    """
    return message(
        "refused", code=code, message=sentence, command=command, retry_after_s=retry_after_s
    )


def mark(name: str) -> bytes:
    """WebSocket: is sent back once the audio before it was played or dropped."""
    return message("mark", name=name)


PONG = message("pong")
"""The answer to `ping`."""
CLEAR = message("clear")
"""WebSocket: drop all audio that was not played yet."""


def _repaired(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {name: _repaired(each) for name, each in value.items()}
    return [_repaired(each) for each in value] if isinstance(value, list) else value


def _hello(raw: Mapping[str, Any]) -> Hello:
    token, key = _secret(raw, "token"), _secret(raw, "key")
    if (token is None) == (key is None):
        raise BadMessage("hello: give either 'token' or 'key'.")
    since = raw.get("since")
    if since is not None and not _is_whole(since, MAX_SEQ):
        raise BadMessage("hello: 'since' must be the 'seq' of a message that was received.")
    rates = {name: raw.get(name, usual) for name, usual in _RATES.items()}
    for name, rate_hz in rates.items():
        if not _is_whole(rate_hz, MAX_RATE_HZ):
            raise BadMessage(f"hello: '{name}' must be a whole number, in Hz.")
    microphone = _switch(raw, "hello", "microphone", usual=True)
    return Hello(token, key, since, **rates, microphone=microphone)


def _typed(raw: Mapping[str, Any]) -> Typed:
    text = raw.get("text")
    if not isinstance(text, str) or not text.strip():
        raise BadMessage("text: 'text' must be a text that is not blank.")
    if len(text) > MAX_TEXT:
        raise BadMessage(f"text: 'text' may have {MAX_TEXT} characters, not {len(text)}.")
    return Typed(text)


def _mute(raw: Mapping[str, Any]) -> Mute:
    return Mute(_switch(raw, "mute", "muted"))


def _mark(raw: Mapping[str, Any]) -> Mark:
    name = raw.get("name")
    if not isinstance(name, str) or len(name) > MAX_NAME:
        raise BadMessage("mark: 'name' must be the name of a mark that was received.")
    return Mark(name)


def _secret(raw: Mapping[str, Any], name: str) -> str | None:
    value = raw.get(name)
    if value is not None and (not isinstance(value, str) or not 0 < len(value) <= MAX_SECRET):
        raise BadMessage(f"hello: '{name}' must be a text of 1 to {MAX_SECRET} characters.")
    return value


def _switch(raw: Mapping[str, Any], kind: str, name: str, *, usual: bool | None = None) -> bool:
    value = raw.get(name, usual)
    if not isinstance(value, bool):
        raise BadMessage(f"{kind}: '{name}' must be true or false.")
    return value


def _is_whole(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


_RATES = {"capture_rate_hz": 16_000, "playback_rate_hz": 24_000}
_READERS: dict[str, Callable[[Mapping[str, Any]], Message]] = {
    "hello": _hello,
    "pause": lambda _: Pause(),
    "resume": lambda _: Resume(),
    "text": _typed,
    "mute": _mute,
    "end": lambda _: End(),
    "ping": lambda _: Ping(),
    "mark": _mark,
}
