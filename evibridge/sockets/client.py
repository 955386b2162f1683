"""Dialling out."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from functools import cache

from picows import WSError
from picows.common import WSInvalidStatusError

from evibridge.errors import LinkError, LinkRefused, LinkUnreachable, SettingsError
from evibridge.sockets._picows import PicowsSocket, client_protocol
from evibridge.sockets.addresses import Target
from evibridge.sockets.interface import Socket, SocketListener

KERNEL_BUFFER_BYTES = 16 * 1024
"""Most of a second of telephone audio as JSON, and enough for 50 messages a second over 100 ms."""


async def connect(
    url: str,
    listener: SocketListener,
    *,
    headers: Mapping[str, str] | None = None,
    max_message_bytes: int,
    timeout_s: float,
    ping_after_s: float | None = None,
) -> Socket:
    """Open a WebSocket; `listener.on_open` is called before this returns.

    Redirects are not followed, because a redirect would carry the credentials of the URL to
    another host.

    Args:
        url: `ws://` or `wss://`; its query is left out of every message to people
        listener: the owner of the connection
        headers: sent with the upgrade request
        max_message_bytes: a longer message closes the connection with 1009
        timeout_s: for name resolution, TCP, TLS and the upgrade together
        ping_after_s: a server that sends nothing for so long is asked for a sign of life; without
            one as long after, the connection is cut; None for 20 s

    Raises:
        SettingsError: the URL or a header cannot be sent
        LinkRefused: the server answered the upgrade request with a status other than 101
        LinkUnreachable: no connection or no answer within `timeout_s`
    """
    target = Target.parse(url)
    for name, value in (headers or {}).items():
        if not value.isprintable():
            raise SettingsError(f"The header {name} holds a line break: check the key it carries.")
    adapter = PicowsSocket(listener, max_message_bytes, set())
    try:
        async with asyncio.timeout(timeout_s):
            await _open(target, adapter, headers or {}, max_message_bytes, ping_after_s)
    except WSError as error:
        raise _failed_handshake(target.shown, error) from error
    except (OSError, UnicodeError) as error:
        raise LinkUnreachable(f"{target.shown} cannot be reached: {_cause(error)}.") from error
    return adapter


def _bound_kernel_buffer(transport: asyncio.BaseTransport) -> None:
    """Let a peer that stops reading be noticed within seconds, by `unsent_bytes`.

    Linux grows a send buffer to megabytes, minutes of telephone audio, that nobody can see or
    take back.
    """
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER_BYTES)


async def _open(
    target: Target,
    adapter: PicowsSocket,
    headers: Mapping[str, str],
    max_message_bytes: int,
    ping_after_s: float | None,
) -> None:
    transport, protocol = await asyncio.get_running_loop().create_connection(
        lambda: client_protocol(target, adapter, headers, max_message_bytes, ping_after_s),
        target.host,
        target.port,
        ssl=_tls_context() if target.is_secure else None,
    )
    _bound_kernel_buffer(transport)
    try:
        await protocol.wait_until_handshake_complete()
    except BaseException:
        transport.abort()
        raise
    if protocol.listener is None:
        raise ConnectionResetError("the server hung up during the handshake")


@cache
def _tls_context() -> ssl.SSLContext:
    """Reading the trusted certificates takes tens of milliseconds: once, not for each call."""
    return ssl.create_default_context()


def _failed_handshake(shown: str, error: WSError) -> LinkError:
    if isinstance(error, WSInvalidStatusError) and error.response is not None:
        return LinkRefused(shown, error.response.status.value)
    return LinkUnreachable(f"{shown} answered, but not as a WebSocket server: check the address.")


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or "no answer in time"
