"""Servers that help a page and the service to find a way to each other (STUN, TURN).

Credentials of TURN follow "A REST API For Access To TURN Services": the username is the time at
which it expires, and the password is its signature by a secret that the TURN server knows as well
(coturn: `use-auth-secret`, `static-auth-secret`).
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from evibridge.errors import SettingsError


@dataclass(frozen=True, slots=True)
class IceServer:
    """Addresses that share their credentials, as `RTCConfiguration.iceServers` has them."""

    urls: tuple[str, ...]
    username: str | None = field(default=None, repr=False)
    credential: str | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, object]:
        """The members that a page hands to `RTCPeerConnection`."""
        entry: dict[str, object] = {"urls": list(self.urls)}
        if self.username is not None:
            entry |= {"username": self.username, "credential": self.credential}
        return entry


class IceServers:
    """The servers of a service, with credentials that are good for a while.

    Args:
        urls: such as `stun:stun.example.com:3478` or `turn:turn.example.com?transport=udp`, as
            the settings have checked them
        turn_secret: shared with the TURN servers
        turn_ttl_s: how long credentials are good

    Raises:
        SettingsError: there is a TURN server, but no secret
    """

    def __init__(
        self, urls: Sequence[str] = (), turn_secret: str | None = None, turn_ttl_s: int = 3600
    ) -> None:
        self._stun = tuple(url for url in urls if url.startswith("stun"))
        self._turn = tuple(url for url in urls if url.startswith("turn"))
        if self._turn and not turn_secret:
            raise SettingsError(
                f"{self._turn[0]} is used with a secret only: set EVIBRIDGE_TURN_SECRET to the "
                "one that the TURN server was given."
            )
        self._secret = (turn_secret or "").encode()
        self._ttl_s = turn_ttl_s

    def issue(self, unix_s: float) -> list[IceServer]:
        """The servers, with new credentials; `unix_s` is the time of day."""
        servers = [IceServer(self._stun)] if self._stun else []
        if self._turn:
            username = f"{int(unix_s) + self._ttl_s}:{secrets.token_hex(8)}"
            signature = hmac.digest(self._secret, username.encode(), hashlib.sha1)
            credential = base64.b64encode(signature).decode()
            servers.append(IceServer(self._turn, username, credential))
        return servers
