"""Origins of web pages, such as `https://shop.example`, in the one form that browsers write."""

import re
from ipaddress import IPv6Address
from urllib.parse import SplitResult, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}

_NAME = re.compile(r"[a-z0-9_.-]+")
"""Browsers write other letters in Punycode, `xn--...`."""


def normal_origin(text: str) -> str | None:
    """Return an origin as browsers write it: lower case, without the scheme's own port.

    None for what is no origin of a web page: `null`, other schemes, a path, nonsense.
    """
    try:
        parts = urlsplit(text.strip().lower())
        host, port = _normal_host(parts), parts.port
    except ValueError:
        return None
    is_bare = parts.path in ("", "/") and not parts.query and not parts.fragment
    if parts.scheme not in DEFAULT_PORTS or host is None or "@" in parts.netloc or not is_bare:
        return None
    shown = "" if port is None or port == DEFAULT_PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{host}{shown}"


def checked_origin(text: str) -> str:
    """Return an origin as browsers write it.

    Raises:
        ValueError: it is none
    """
    normal = normal_origin(text)
    if normal is None:
        raise ValueError("must be an origin such as https://shop.example, without a path")
    return normal


def _normal_host(parts: SplitResult) -> str | None:
    host = parts.hostname or ""
    if "[" in parts.netloc:
        return f"[{IPv6Address(host)}]" if "%" not in host else None
    return host if _NAME.fullmatch(host) else None
