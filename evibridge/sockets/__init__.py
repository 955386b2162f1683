"""WebSockets behind one small synchronous interface; the only package that knows the libraries.

The data path of a call is one callback, so nothing here queues or awaits: a `SocketListener` is
called with each message, and a `Socket` writes at once. `connect` dials out, `serve` opens one
TCP port for HTTP and WebSockets, `mount` adds WebSockets to an aiohttp server that is not ours.
What comes by HTTP is read with `receive_body`.
"""

from evibridge.sockets.addresses import origin_to_ws
from evibridge.sockets.client import connect
from evibridge.sockets.interface import Refusal, Socket, SocketListener, SocketRoute, Upgrade
from evibridge.sockets.request_body import receive_body
from evibridge.sockets.server import Server, mount, serve

__all__ = [
    "Refusal",
    "Server",
    "Socket",
    "SocketListener",
    "SocketRoute",
    "Upgrade",
    "connect",
    "mount",
    "origin_to_ws",
    "receive_body",
    "serve",
]
