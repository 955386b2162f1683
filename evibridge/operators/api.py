"""The operator API over HTTP: its routes, each from a token to an answer."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from evibridge.errors import Overloaded
from evibridge.operator_access import Operator, OperatorAccess
from evibridge.operators.admission import operator_of
from evibridge.operators.answers import Answer
from evibridge.operators.command_rate import (
    WEB_SESSIONS_BURST,
    WEB_SESSIONS_PER_S,
    CommandRate,
)
from evibridge.operators.commanding import Commanding
from evibridge.operators.errors import RequestRefused, refused
from evibridge.operators.parts import ServiceParts
from evibridge.operators.reading import Reading
from evibridge.operators.routes import PREFIX, ROUTES, Route

log = structlog.get_logger(__name__)

Act = Callable[[web.Request, Operator], Awaitable[Answer | web.StreamResponse]]
"""What a route does for an operator; raises `RequestRefused`."""


class OperatorApi:
    """All HTTP routes below `/v1/`.

    Args:
        parts: of the service
        access: decides who is an operator
        rate: how many commands each may give; letting callers in from web pages is none
    """

    def __init__(
        self, parts: ServiceParts, access: OperatorAccess, rate: CommandRate | None = None
    ) -> None:
        self._access = access
        self._commanding = Commanding(
            parts, rate or CommandRate(), CommandRate(WEB_SESSIONS_PER_S, WEB_SESSIONS_BURST)
        )
        reading = Reading(parts)
        self._reading: Mapping[str, Act] = {
            "list_calls": _for_anybody(reading.list_calls),
            "get_service": reading.get_service,
            "get_call": _for_anybody(reading.get_call),
            "get_record": _for_anybody(reading.get_record),
            "get_recording": _for_anybody(reading.get_recording),
            "get_openapi": _for_anybody(reading.get_openapi),
        }

    def add_routes(self, app: web.Application) -> None:
        """Add the routes to an application, which ends the commands that are being done."""
        for route in ROUTES:
            handler = self._handler(route)
            if route.method == "GET":
                app.router.add_get(route.path, handler)
            else:
                app.router.add_post(route.path, handler)
        app.middlewares.append(_nowhere)
        app.on_shutdown.append(self._close)

    async def _close(self, _: web.Application) -> None:
        await self._commanding.close()

    def _handler(self, route: Route) -> Handler:
        act = self._act(route)

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                by = operator_of(request, self._access, route.scope)
                answered = await act(request, by)
            except RequestRefused as refusal:
                answered = refusal.answer
            except Overloaded:
                answered = refused("overloaded").answer
            except Exception:
                log.exception("operator_request_failed", operation=route.operation)
                answered = refused("fault").answer
            return answered.response() if isinstance(answered, Answer) else answered

        return handle

    def _act(self, route: Route) -> Act:
        if route.method == "POST":
            return partial(self._commanding.take, route)
        return self._reading[route.operation]


def _for_anybody(read: Callable[[web.Request], Awaitable[Answer | web.StreamResponse]]) -> Act:
    """What every operator is answered alike."""
    return lambda request, _: read(request)


@web.middleware
async def _nowhere(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer as the rest of the API does where it has no route."""
    if not request.path.startswith(PREFIX):
        return await handler(request)
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        allow = {"Allow": error.headers["Allow"]}
        return refused("method_not_allowed", **allow).answer.response()
    except web.HTTPNotFound:
        return refused("not_found").answer.response()
