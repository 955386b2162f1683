"""Reading the addresses that people write into settings."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from evibridge.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Target:
    """Where a `ws://` or `wss://` URL leads."""

    host: str
    port: int
    is_secure: bool
    authority: str
    """Host and port as the URL has them, for the `Host` header."""
    resource: str
    """Path and query, for the request line."""
    shown: str
    """The URL without its query, which may hold credentials: for messages to people."""

    @classmethod
    def parse(cls, url: str) -> "Target":
        """Take a URL apart.

        Raises:
            SettingsError: it is not an address of a WebSocket
        """
        shown = re.sub("//[^/]*@", "//", re.split("[?#]", url)[0])
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise SettingsError(f"{shown} is not an address: {error}.") from None
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise SettingsError(f"{shown} must be an address such as wss://voice.example.com/path.")
        if parts.username is not None or not url.isascii() or " " in url:
            raise SettingsError(f"{shown} must not hold a user name, spaces or non-ASCII letters.")
        is_secure = parts.scheme == "wss"
        path = parts.path or "/"
        return cls(
            host=parts.hostname,
            port=port or (443 if is_secure else 80),
            is_secure=is_secure,
            authority=parts.netloc,
            resource=f"{path}?{parts.query}" if parts.query else path,
            shown=shown,
        )


def origin_to_ws(origin: str) -> str:
    """`http(s)://host` -> `ws(s)://host`."""
    parts = urlsplit(origin)
    return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}"
