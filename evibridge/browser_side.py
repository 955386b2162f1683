"""What callers in the browser use of a service, put together: the page, tokens, both transports."""

from collections.abc import Callable, Sequence

from aiohttp import web

from evibridge.agent.calls import Calls
from evibridge.bridges.browser.desk import BrowserDesk
from evibridge.bridges.browser.ice_servers import IceServers
from evibridge.bridges.browser.origins import Origins
from evibridge.bridges.browser.webrtc_routes import WebRtcRoutes
from evibridge.bridges.browser.websocket_routes import WebSocketRoutes
from evibridge.bus import EventBus
from evibridge.events import CallerRefusal
from evibridge.sockets import SocketRoute
from evibridge.web_pages import WebPages
from evibridge.web_sessions import WebSessions


class BrowserSide:
    """Made before calls begin; knows of every caller who comes from a page.

    Args:
        calls: where calls begin
        sessions: what tokens stand for
        bus: has all events
        origins: decides whose pages may call
        ice_servers: help pages and the service to find a way to each other
        page: what is shown to whoever opens the service's address
        agent_name: what pages may call the agent
        resume_s: how long a call waits for a caller whose connection broke
        gives_tokens: whether the built-in page may ask for a token by itself, on this machine
        holding: tells what the caller hears while he waits for the tool of a name
        on_refused: is told of each caller who is not let in
    """

    def __init__(
        self,
        calls: Calls,
        sessions: WebSessions,
        bus: EventBus,
        origins: Origins,
        ice_servers: IceServers,
        page: WebPages,
        *,
        agent_name: str,
        resume_s: float,
        gives_tokens: bool,
        holding: Callable[[str], str | None],
        on_refused: Callable[[CallerRefusal], None],
    ) -> None:
        self._page = page
        self._desk = BrowserDesk(
            calls, sessions, resume_s=resume_s, agent_name=agent_name, on_refused=on_refused
        )
        self._websocket = WebSocketRoutes(
            self._desk, sessions, origins, bus, holding, gives_tokens=gives_tokens
        )
        self._webrtc = WebRtcRoutes(self._desk, origins, ice_servers, bus, holding)
        page.on_visit = self._webrtc.begin_loading

    @property
    def socket_routes(self) -> Sequence[SocketRoute]:
        """Where WebSockets of callers are accepted."""
        return (self._websocket.socket_route,)

    def add_routes(self, app: web.Application) -> None:
        """Add what is asked for by HTTP to an application."""
        self._page.add_routes(app)
        self._websocket.add_routes(app)
        self._webrtc.add_routes(app)

    async def all_begun(self, timeout_s: float) -> None:
        """Return when nobody who was let in is still without a call, or after `timeout_s`."""
        await self._desk.all_begun(timeout_s)

    async def close(self) -> None:
        """Calls are over: let nobody come back."""
        self._desk.close()
        await self._webrtc.close()
