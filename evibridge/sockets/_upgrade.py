"""Answering a client's upgrade request: what both entrances of a server have in common."""

import binascii
from base64 import b64decode
from http import HTTPStatus

import structlog
from multidict import MultiMapping
from picows import WSUpgradeResponse, WSUpgradeResponseWithListener

from evibridge.sockets._picows import PicowsSocket
from evibridge.sockets.interface import Refusal, SocketRoute, Upgrade

log = structlog.get_logger()


def handshake_fault(headers: MultiMapping[str]) -> Refusal | None:
    """Check a client's opening handshake (RFC 6455, 4.2.1)."""
    if "upgrade" not in _tokens(headers, "Connection") or "websocket" not in _tokens(
        headers, "Upgrade"
    ):
        return Refusal(400, "This address is for WebSocket connections only.")
    if headers.get("Sec-WebSocket-Version") != "13":
        return Refusal(400, "Only version 13 of the WebSocket protocol is spoken here.")
    if not _is_key(headers.get("Sec-WebSocket-Key", "")):
        return Refusal(400, "The Sec-WebSocket-Key is not 16 bytes in Base64.")
    return None


def _tokens(headers: MultiMapping[str], name: str) -> set[str]:
    return {token.strip().lower() for token in ",".join(headers.getall(name, [])).split(",")}


def _is_key(value: str) -> bool:
    try:
        return len(b64decode(value, validate=True)) == 16
    except (ValueError, binascii.Error):
        return False


def admit(
    route: SocketRoute, upgrade: Upgrade, open_sockets: set[PicowsSocket]
) -> PicowsSocket | WSUpgradeResponseWithListener:
    """Ask a route's owner about a well-formed handshake; the result is picows' to carry out."""
    try:
        answer = route.accept(upgrade)
    except Exception:
        log.exception("socket_accept_failed", path=route.path)
        answer = Refusal(500, "The server failed on this request.")
    if isinstance(answer, Refusal):
        return refused(answer)
    socket = PicowsSocket(answer, route.max_message_bytes, open_sockets)
    if route.subprotocol is None or route.subprotocol not in upgrade.subprotocols:
        return socket
    chosen = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": route.subprotocol})
    return WSUpgradeResponseWithListener(chosen, socket)


def refused(refusal: Refusal) -> WSUpgradeResponseWithListener:
    """Put a refusal into picows' terms."""
    response = WSUpgradeResponse.create_error_response(
        HTTPStatus(refusal.status),
        refusal.sentence.encode(),
        {"Content-Type": "text/plain; charset=utf-8"},
    )
    return WSUpgradeResponseWithListener(response, None)
