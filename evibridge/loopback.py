"""Which peers are on this machine: whom a service without credentials may answer."""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

FORWARDING_HEADERS = ("forwarded", "via", "x-real-ip", "x-forwarded-", "cf-")
"""Beginnings of headers that proxies and tunnels set: such a request only looks local. A proxy that
sets none of them cannot be told from a local program."""


def is_loopback(host: str) -> bool:
    """Tell whether a host name or an address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_local_request(headers: Mapping[str, str], peer: str) -> bool:
    """Tell whether a request was sent by a program of this machine, or a page that one serves.

    The `Host` header has to be a loopback name too: a web page that resolves its own name to
    127.0.0.1 would pass otherwise. A browser names the page in `Origin`.
    """
    if any(name.lower().startswith(FORWARDING_HEADERS) for name in headers):
        return False
    if "Origin" in headers and not is_loopback(_host_of(headers["Origin"])):
        return False
    return is_loopback(peer) and is_loopback(_host_of(f"//{headers.get('Host', '')}"))


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
