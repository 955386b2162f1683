"""What the rest of the program sees of a WebSocket."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

PARAMETER = re.compile(r"(?<=/)\{([A-Za-z_][A-Za-z0-9_]*)\}(?=/|$)")
"""A segment of a route's path that stands for any segment."""
OFFERS = "sec-websocket-protocol"
"""The header of a client's subprotocols."""


class Socket(Protocol):
    """An open WebSocket.

    Every method returns at once and may be called from inside a callback; once the connection is
    closing, all of them do nothing.
    """

    def unsent_bytes(self) -> int:
        """Bytes written but not yet taken by the kernel: the backlog of a slow peer.

        Nothing here bounds it, because only the owner knows what it may drop.
        """

    def send_text(self, text: bytes, /) -> None:
        """Send UTF-8 text as one message."""

    def send_binary(self, data: bytes) -> None:
        """Send bytes as one message."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the closing handshake; `on_close` follows within 2 s, answered or not.

        Args:
            code: 1000 to 1003, 1007 to 1014 or 3000 to 4999 (RFC 6455, 7.4)
            reason: is cut to the 123 bytes that a close frame can carry
        """

    def abort(self) -> None:
        """Cut the connection now; `on_close` follows with 1006."""


class SocketListener:
    """What a connection tells its owner.

    An exception from a callback is logged and closes the connection with 1011.
    """

    __slots__ = ()

    def on_open(self, socket: Socket) -> None:
        """The handshake is done; messages may be sent."""

    def on_text(self, text: bytes) -> None:
        """One whole text message; whoever parses it finds out whether it is UTF-8."""

    def on_binary(self, data: bytes) -> None:
        """One whole binary message."""

    def on_close(self, code: int, reason: str) -> None:
        """The connection is gone: told exactly once, and only after `on_open`.

        Args:
            code: from the peer's close frame, which may answer our own; 1005 if that frame has no
                code, 1006 if no close frame came (RFC 6455, 7.1.5)
            reason: from the same frame
        """


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A client's request to open a WebSocket, before it is accepted."""

    path: str = field(repr=False)
    """Path with query, as it was sent; keys may stand in it."""
    headers: Mapping[str, str] = field(repr=False)
    """Case-insensitive."""
    peer: str
    """Address of the other end of the TCP connection."""
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What stands for the parameters of the route's path, percent-decoded."""

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """What the client offers to speak, in its order; credentials may stand here."""
        # A header that came several times is several items.
        offers = [value for name, value in self.headers.items() if name.lower() == OFFERS]
        return tuple(filter(None, (offer.strip() for offer in ",".join(offers).split(","))))


@dataclass(frozen=True, slots=True)
class Refusal:
    """The HTTP answer to an upgrade request that is not accepted."""

    status: int
    """A standard status from 400 to 599."""
    sentence: str

    def __post_init__(self) -> None:
        if HTTPStatus(self.status) < HTTPStatus.BAD_REQUEST:
            raise ValueError(f"{self.status} refuses nothing")


@dataclass(frozen=True, slots=True)
class SocketRoute:
    """A path at which WebSockets are accepted, and who decides about each.

    Raises:
        ValueError: the path has braces that are no parameter, or two parameters of one name
    """

    path: str
    """Compared as a whole and without the query.

    A segment in braces, as in `/chat/{chat_id}/connect`, is a parameter: it stands for exactly one
    segment that is not empty. Where two paths fit, one without parameters goes first, then the
    earlier one.
    """
    accept: Callable[[Upgrade], SocketListener | Refusal]
    """Asked once about each well-formed handshake; a listener that it returns is always opened."""
    max_message_bytes: int
    """A longer message closes the connection with 1009."""
    subprotocol: str | None = None
    """What is spoken here (RFC 6455, 1.9): chosen if the client offers it. One that offers others
    alone is told of none, and may leave."""

    def __post_init__(self) -> None:
        *names, rest = [*PARAMETER.findall(self.path), PARAMETER.sub("", self.path)]
        if "{" in rest or "}" in rest or len(set(names)) < len(names):
            raise ValueError(f"{self.path}: a parameter is a whole segment with a name of its own")
