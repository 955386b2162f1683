"""Who may send a request, over HTTP or as the beginning of a WebSocket."""

from aiohttp import web

from evibridge.operator_access import Operator, OperatorAccess, OperatorRefusal, Scope
from evibridge.operators.errors import not_admitted
from evibridge.sockets import Refusal, Upgrade


def operator_of(request: web.Request, access: OperatorAccess, scope: Scope) -> Operator:
    """Tell who has sent a request.

    Raises:
        RequestRefused: nobody who may
    """
    admitted = access.admit(request.headers, request.remote or "", scope)
    if isinstance(admitted, OperatorRefusal):
        raise not_admitted(admitted)
    return admitted


def socket_refusal(access: OperatorAccess, upgrade: Upgrade, scope: Scope) -> Refusal | None:
    """Tell why a WebSocket is not opened, None for an operator's."""
    refusal = access.refusal(upgrade.headers, upgrade.peer, scope, upgrade.subprotocols)
    return None if refusal is None else Refusal(refusal.status, refusal.sentence)
