"""EVI's control plane: messages to chats by HTTP, and the entrance of mirrors.

POST /v0/evi/chat/{chat_id}/send       one message, as if the chat's own client had sent it
GET  /v0/evi/chat/{chat_id}/connect    a mirror, if the chat was opened with `allow_connection`
"""

import time
from collections.abc import Iterable, Mapping

import structlog
from aiohttp import web

from evibridge.engine.access import Access
from evibridge.engine.chat.chat import Chat
from evibridge.engine.chat.faults import NOT_JSON, TOO_LONG, TOO_MANY_TEXTS, Fault
from evibridge.engine.chat.handshake import read_handshake
from evibridge.engine.chat.messages import MAX_CONTROL_BYTES, ServerMessage, decode_control
from evibridge.engine.chat.mirrors import Mirror
from evibridge.engine.metrics import EngineMetrics
from evibridge.sockets import Refusal, SocketListener, SocketRoute, Upgrade, receive_body

BODY_TIMEOUT_S = 10.0
"""How long a client may take to send one message."""
NO_CHAT = Refusal(404, "There is no such chat, or it has ended.")
NO_MIRRORS = Refusal(403, "The chat was opened without allow_connection=true: it has no mirrors.")
TOO_MANY_MIRRORS = Refusal(429, "The chat has as many mirrors as it may have: close another one.")
NO_ID = Refusal(404, "A mirror is opened at /v0/evi/chat/{chat_id}/connect, with the chat's id.")
"""For SDKs that leave the id out, as Hume's for Python 0.14.1 does."""

log = structlog.get_logger()


class ControlPlane:
    """What others than a chat's own client may do with it.

    A chat of another owner is answered for like one that does not exist. UNCONFIRMED U2 and U23:
    apart from 401, EVI's statuses are not documented.

    Args:
        paths: of the chat; everything here is below them
        chats: those that are open, by id
        access: who may reach a chat: whoever could have opened it
    """

    def __init__(
        self,
        paths: Iterable[str],
        chats: Mapping[str, Chat],
        access: Access,
        metrics: EngineMetrics,
    ) -> None:
        self._paths = tuple(paths)
        self._chats = chats
        self._access = access
        self._metrics = metrics

    def add_to(self, app: web.Application) -> None:
        """Serve what comes by HTTP."""
        for path in self._paths:
            app.router.add_post(f"{path}/{{chat_id}}/send", self._send)
            app.router.add_get(f"{path}/", self._refuse_without_id)

    def socket_routes(self) -> list[SocketRoute]:
        """Where mirrors connect."""
        return [
            SocketRoute(f"{path}/{{chat_id}}/connect", self._accept, MAX_CONTROL_BYTES)
            for path in self._paths
        ]

    def _find(self, request: Upgrade) -> Chat | Refusal:
        shown = read_handshake(request)
        owner = self._access.admits(request, shown.api_keys, shown.access_token, time.time())
        if owner is None:
            return Refusal(401, self._access.wrong_credentials)
        chat = self._chats.get(request.parameters["chat_id"].lower())
        if chat is None or chat.is_over or chat.owner != owner:
            return NO_CHAT
        return chat

    # Mirrors

    def _accept(self, upgrade: Upgrade) -> SocketListener | Refusal:
        found = self._find(upgrade)
        if isinstance(found, Chat):
            if not found.mirrors.allowed:
                found = NO_MIRRORS
            elif found.mirrors.is_full:
                found = TOO_MANY_MIRRORS
            else:
                return Mirror(found, self._metrics)
        log.info("mirror_refused", status=found.status, reason=found.sentence)
        self._metrics.mirror_refused(found.status)
        return found

    async def _refuse_without_id(self, _: web.Request) -> web.Response:
        self._metrics.mirror_refused(NO_ID.status)
        return _refused(NO_ID)

    # Messages

    async def _send(self, request: web.Request) -> web.Response:
        response = await self._answer(request)
        self._metrics.message_sent(response.status)
        return response

    async def _answer(self, request: web.Request) -> web.Response:
        """Obey one message. UNCONFIRMED U30: EVI most likely takes it for chats without mirrors."""
        asked = Upgrade(
            request.raw_path, request.headers, request.remote or "", dict(request.match_info)
        )
        refusal = self._find(asked)
        if isinstance(refusal, Refusal):
            return _refused(refusal)
        if request.content_type != "application/json":
            return _refused(Refusal(415, "The body must be JSON: Content-Type application/json."))
        try:
            body = await receive_body(
                request, max_bytes=MAX_CONTROL_BYTES, timeout_s=BODY_TIMEOUT_S
            )
        except web.HTTPRequestEntityTooLarge:
            return _refused(Refusal(413, TOO_LONG.message))
        except web.HTTPException as fault:
            return _refused(Refusal(fault.status, fault.text or ""))
        message = decode_control(body)
        if isinstance(message, Fault):
            return _faulty(message)
        chat = self._find(asked)  # it may have ended meanwhile
        if isinstance(chat, Refusal):
            return _refused(chat)
        sender = _Request()
        chat.take(message, sender)
        if sender.objection is not None:
            return sender.objection
        return _refused(NO_CHAT) if chat.is_over else web.json_response({})


class _Request:
    """The sender of one message by HTTP; what is wrong with it becomes the answer."""

    is_own_client = False

    def __init__(self) -> None:
        self.objection: web.Response | None = None

    def refuse(self, fault: Fault) -> None:
        self.objection = _faulty(fault)

    def answer(self, message: ServerMessage) -> None:
        self.objection = _invalid(("tool_call_id",), message["error"], message["code"])


def _refused(refusal: Refusal) -> web.Response:
    return web.json_response({"message": refusal.sentence}, status=refusal.status)


def _faulty(fault: Fault) -> web.Response:
    if fault == NOT_JSON:
        return web.json_response({"code": fault.code, "message": fault.message}, status=400)
    if fault == TOO_MANY_TEXTS:
        return _refused(Refusal(429, fault.message))
    return _invalid(fault.loc, fault.message, fault.kind)


def _invalid(loc: tuple[str | int, ...], sentence: str, kind: str) -> web.Response:
    detail = {"loc": ["body", *loc], "msg": sentence, "type": kind}
    return web.json_response({"detail": [detail]}, status=422)
