"""The composition root of the bridge: builds the service out of its rooms and runs it."""

import asyncio
import importlib.util
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from aiohttp import web
from pydantic import SecretStr

from evibridge import events, sockets
from evibridge.agent import evi_messages as evi
from evibridge.agent.call_plan import CallPlan
from evibridge.agent.calls import Calls
from evibridge.agent.control_plane import ControlPlane
from evibridge.agent.course import CallLimits
from evibridge.agent.definition import Agent
from evibridge.agent.evi_client import EviServer
from evibridge.bridges.browser.ice_servers import IceServers
from evibridge.bridges.browser.operator_voices import MAX_VOICES, OperatorVoices
from evibridge.bridges.browser.origins import Origins
from evibridge.bridges.hume_webhook import HumeWebhook
from evibridge.bridges.sidecar import Sidecars
from evibridge.bridges.twilio import TwilioBridge
from evibridge.bridges.twilio_endings import LastWords
from evibridge.bridges.twilio_rest import TwilioRest
from evibridge.bridges.twilio_signature import SignatureCheck
from evibridge.browser_side import BrowserSide
from evibridge.bus import EventBus
from evibridge.engine.config import EngineConfig
from evibridge.engine_service import engine_config, running_engine
from evibridge.errors import SettingsError
from evibridge.event_log import log_event
from evibridge.event_loop_watch import EventLoopWatch
from evibridge.filler import filler_sound
from evibridge.logs import configure_logs
from evibridge.metrics import CONTENT_TYPE, ServiceMetrics
from evibridge.operator_access import OperatorAccess, Scope, parse_tokens
from evibridge.operator_side import OperatorSide
from evibridge.operators.parts import ServiceFacts
from evibridge.operators.web_session import checked_lifetime_s, checked_web_session
from evibridge.records.records import Records
from evibridge.settings import Settings, load_settings
from evibridge.tools_registry.catalogue import ToolCatalogue
from evibridge.tools_registry.mcp.connections import mcp_connections
from evibridge.tools_registry.runner import ToolRunner
from evibridge.web_pages import WebPages
from evibridge.web_sessions import LIFETIME_S, WebSessions

if TYPE_CHECKING:
    from evibridge.engine.server import Engine

OnEvent = Callable[[str, events.CallEvent], None]
"""Gets the id of a call and an event of it."""

TURN_SPARE_S = 600
"""How much longer than the longest call credentials are good: a token may wait for its call."""
WEB_SESSIONS = web.AppKey("evibridge_web_sessions", WebSessions)

log = structlog.get_logger(__name__)


def create_app(agent: Agent, settings: Settings | None = None) -> web.Application:
    """The whole service as an aiohttp application, to be run by any aiohttp server.

    Carriers and operators know its paths, so it has to be the whole application for them; for
    callers in the browser it may be a sub-application. Without an EVI server in the settings the
    embedded engine starts and stops with it. A program that has not configured
    structlog gets the service's own logs, which keep secrets out of tracebacks.

    Raises:
        SettingsError: settings that contradict each other
        EngineSetupError: the configuration of the embedded engine is missing or wrong
    """
    settings = settings or load_settings()
    if not structlog.is_configured():
        configure_logs(settings.log_level, settings.log_format)
    engine = _embedded_engine(agent, settings)
    parts = _build(agent, settings, engine, lambda _call_id, _event: None)

    async def end_calls(_: web.Application) -> None:
        await parts.end_calls()
        await parts.twilio.close()
        await parts.operators.close()

    parts.app.on_shutdown.append(end_calls)
    sockets.mount(parts.app, parts.socket_routes)
    return parts.app


def create_web_session(
    app: web.Application,
    *,
    name: str | None = None,
    parameters: Mapping[str, str] | None = None,
    variables: Mapping[str, str | float | bool] | None = None,
    origin: str | None = None,
    lifetime_s: float = LIFETIME_S,
) -> str:
    """Let somebody call from a web page, whom your server knows: returns a token for the page.

    Args:
        app: what `create_app` has made, and runs
        name: what the caller is called, as a telephone number is in other calls
        parameters: what the call's tools find in `ToolContext.parameters`
        variables: values for the placeholders of the prompt, beside those of the agent
        origin: the only origin whose pages may use the token, such as `https://shop.example`
        lifetime_s: how long the token may wait for its call, from 5 to 3600; it is good for one

    Raises:
        ValueError: something is not as `POST /v1/web-sessions` takes it; the sentence says what
        Overloaded: ten thousand tokens wait to be used
    """
    session = checked_web_session(name, parameters, variables, origin)
    lifetime_s = checked_lifetime_s(lifetime_s)
    return app[WEB_SESSIONS].create(session, asyncio.get_running_loop().time(), lifetime_s)


@dataclass(frozen=True, slots=True)
class Service:
    """A running service.

    Attributes:
        engine: what the embedded engine is made of; None when the EVI server is another
    """

    parts: "ServiceParts"
    server: sockets.Server
    host: str
    engine: EngineConfig | None

    @property
    def calls(self) -> Calls:
        """All live calls."""
        return self.parts.calls

    @property
    def twilio(self) -> TwilioBridge:
        """Where telephone calls come in."""
        return self.parts.twilio

    @property
    def origin(self) -> str:
        """Where it listens, as seen from this machine."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.server.port}"

    async def drain(self, timeout_s: float) -> None:
        """Let no more callers in, and return when the last call is over, or after `timeout_s`."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        self.parts.ending.at_s = time.time() + timeout_s
        await self.calls.drain(0)
        await asyncio.gather(
            self.twilio.all_begun(timeout_s), self.parts.browser.all_begun(timeout_s)
        )
        await self.calls.drain(deadline_s - asyncio.get_running_loop().time())

    async def close(self) -> None:
        """End every call, tell its carrier what comes next, and give the port back."""
        await self.parts.end_calls()
        await self.twilio.all_told()
        await self.parts.operators.close()
        await self.server.close()


async def start_service(
    agent: Agent, settings: Settings, *, on_event: OnEvent = lambda _call_id, _event: None
) -> Service:
    """Serve on a port of its own: the fast way, where media sockets bypass the HTTP server.

    Args:
        agent: whom callers speak with
        settings: of the service
        on_event: gets the id of a call and each of its events, in order

    Raises:
        SettingsError: settings that contradict each other, or a port in use
        EngineSetupError: the embedded engine cannot be started
    """
    engine = _embedded_engine(agent, settings)
    parts = _build(agent, settings, engine, on_event)
    server = await sockets.serve(
        parts.app, parts.socket_routes, host=settings.host, port=settings.port
    )
    return Service(parts, server, settings.host, engine)


def _embedded_engine(agent: Agent, settings: Settings) -> EngineConfig | None:
    """What the embedded engine is made of; None when the settings name an EVI server."""
    if settings.evi_url is not None:
        return None
    script = Path(agent.script) if agent.script is not None else None
    config = engine_config(settings, agent_script=script)
    # The bridge counts the calls; the chat of one that has ended may still be closing, and an
    # operator who speaks has two of his own.
    return replace(config, max_chats=2 * settings.max_calls + 2 * MAX_VOICES)


@dataclass(slots=True)
class Ending:
    """When a service that ends cuts its calls, in Unix seconds; None as long as it does not."""

    at_s: float | None = None


@dataclass(frozen=True, slots=True)
class ServiceParts:
    """The parts of a service."""

    app: web.Application
    bus: EventBus
    calls: Calls
    twilio: TwilioBridge
    browser: BrowserSide
    sidecars: Sidecars
    operators: OperatorSide
    voices: OperatorVoices
    ending: Ending

    @property
    def socket_routes(self) -> list[sockets.SocketRoute]:
        """Where WebSockets are accepted."""
        return [
            self.twilio.media_route,
            *self.browser.socket_routes,
            *self.operators.socket_routes,
        ]

    async def end_calls(self) -> None:
        """End every call, and let none begin."""
        self.sidecars.close()
        await self.calls.close()
        await self.voices.close()
        await self.browser.close()


def _build(
    agent: Agent, settings: Settings, engine: EngineConfig | None, on_event: OnEvent
) -> ServiceParts:
    app = web.Application()
    bus = EventBus()
    calls = Calls(max_calls=settings.max_calls)
    metrics = ServiceMetrics(calls)
    _add_readers(bus, metrics, on_event)
    twilio = _twilio_bridge(agent, settings, calls, metrics, bus)
    twilio.add_routes(app)
    web_sessions = app[WEB_SESSIONS] = WebSessions()
    sidecars = Sidecars(calls, lambda: calls.free_places)
    HumeWebhook(sidecars, _secret(settings.hume_webhook_signing_key)).add_routes(app)
    ice_servers = _ice_servers(settings)
    voices = OperatorVoices(calls.get, ice_servers)
    ending = Ending()
    tokens = _secret(settings.operator_token)
    access = OperatorAccess(parse_tokens(tokens) if tokens else ())
    operators = OperatorSide(
        access,
        bus,
        calls,
        twilio.outbound,
        sidecars,
        lambda session, lifetime_s: web_sessions.create(
            session, asyncio.get_running_loop().time(), lifetime_s
        ),
        Records(settings.data_dir / "calls"),
        _service_facts(agent, settings, calls, twilio, ice_servers, ending),
        voices.open,
    )
    operators.add_routes(app)
    browser = _browser_side(agent, settings, calls, web_sessions, bus, metrics, ice_servers)
    browser.add_routes(app)
    _add_probes(app, calls)
    _add_metrics(app, metrics, access)
    parts = ServiceParts(app, bus, calls, twilio, browser, sidecars, operators, voices, ending)
    # An application whose start fails is not always cleaned up: the watch begins when all else is.
    app.cleanup_ctx.extend((_run_calls(agent, settings, engine, parts), _event_loop_watch(metrics)))
    return parts


def _service_facts(
    agent: Agent,
    settings: Settings,
    calls: Calls,
    twilio: TwilioBridge,
    ice_servers: IceServers,
    ending: Ending,
) -> ServiceFacts:
    """What operators are told of the service."""
    return ServiceFacts(
        agent=agent.name,
        lines=lambda: calls.live + len(twilio.outbound.snapshots()),
        max_lines=calls.max_calls,
        is_draining=lambda: not calls.is_open,
        stops_at_s=lambda: ending.at_s,
        records_sound=settings.record,
        # To import it takes a second: it is loaded when somebody needs it.
        has_voice=importlib.util.find_spec("aiortc") is not None,
        number=settings.outbound_number,
        transfer_targets=settings.transfer_targets,
        ice_servers=lambda: [each.as_json() for each in ice_servers.issue(time.time())],
    )


def _add_readers(bus: EventBus, metrics: ServiceMetrics, on_event: OnEvent) -> None:
    """Tell of each event: the metrics, the log, and whoever else watches."""
    bus.subscribe(lambda told: metrics.call_event(told.call_id, told.event))
    bus.subscribe(log_event)
    bus.subscribe(lambda told: on_event(told.call_id, told.event))


def _run_calls(
    agent: Agent, settings: Settings, engine: EngineConfig | None, parts: ServiceParts
) -> Callable[[web.Application], AsyncIterator[None]]:
    """What lets calls begin while the application runs, with all that they need."""

    async def run(_: web.Application) -> AsyncIterator[None]:
        parts.operators.open()
        async with (
            _evi_server(settings, engine) as (origin, embedded),
            filler_sound(agent.manners.filler, embedded) as filler,
            mcp_connections(agent.tools.mcp_servers) as connections,
        ):
            tools = ToolCatalogue(agent.tools, connections)
            runner = ToolRunner(tools, default_timeout_s=settings.tool_seconds)
            server = EviServer(origin, _secret(settings.hume_api_key), settings.hume_config_id)
            control_plane = ControlPlane(server.origin, server.api_key)
            plan = CallPlan(
                server=server,
                control_plane=control_plane,
                settings=partial(_session_settings, agent, tools),
                tools=runner,
                limits=CallLimits(
                    call_s=settings.max_call_seconds, resume_s=settings.resume_seconds
                ),
                publish=parts.bus.publish,
                manners=agent.manners,
                filler=lambda: filler.wav,
                disclosure=agent.disclosure,
            )
            parts.calls.open(plan, parts.operators.keeper)
            yield
            await runner.close()
            await control_plane.close()

    return run


def _twilio_bridge(
    agent: Agent, settings: Settings, calls: Calls, metrics: ServiceMetrics, bus: EventBus
) -> TwilioBridge:
    token = _secret(settings.twilio_auth_token)
    if token is not None and settings.public_url is None:
        raise SettingsError(
            "TWILIO_AUTH_TOKEN is set: set EVIBRIDGE_PUBLIC_URL as well, to the origin that "
            "Twilio calls, such as https://voice.example.com; signatures cover it."
        )
    return TwilioBridge(
        calls,
        SignatureCheck(token, settings.public_url),
        settings.public_url,
        LastWords(agent.manners.apology, agent.manners.closing, settings.fallback_number),
        _twilio_rest(settings),
        metrics.caller_refused,
        settings.outbound_number,
        bus.publish,
    )


def _browser_side(
    agent: Agent,
    settings: Settings,
    calls: Calls,
    sessions: WebSessions,
    bus: EventBus,
    metrics: ServiceMetrics,
    ice_servers: IceServers,
) -> BrowserSide:
    def holding(tool: str) -> str | None:
        registered = agent.tools.get(tool)
        return None if registered is None else registered.conduct.holding

    return BrowserSide(
        calls,
        sessions,
        bus,
        Origins(settings.public_url, settings.allowed_origins),
        ice_servers,
        WebPages(agent.name, agent.about, is_recorded=settings.record),
        agent_name=agent.name,
        resume_s=settings.resume_seconds,
        # A service that others reach, or that has operators, knows better who is local.
        gives_tokens=settings.public_url is None and settings.operator_token is None,
        holding=holding,
        on_refused=metrics.caller_refused,
    )


def _ice_servers(settings: Settings) -> IceServers:
    return IceServers(
        settings.ice_servers,
        _secret(settings.turn_secret),
        turn_ttl_s=round(settings.max_call_seconds) + TURN_SPARE_S,
    )


def _twilio_rest(settings: Settings) -> TwilioRest | None:
    """Twilio's REST API, if there are credentials for it."""
    if settings.twilio_account_sid is None or settings.twilio_auth_token is None:
        return None
    token = settings.twilio_auth_token.get_secret_value()
    return TwilioRest(settings.twilio_account_sid, token, origin=settings.twilio_api_url)


@asynccontextmanager
async def _evi_server(
    settings: Settings, config: EngineConfig | None
) -> AsyncIterator[tuple[str, "Engine | None"]]:
    """The EVI server of the settings, or the embedded engine on a free loopback port."""
    if config is None:
        assert settings.evi_url is not None
        yield settings.evi_url, None
        return
    async with running_engine(config, host="127.0.0.1", port=0) as engine:
        log.info("embedded_engine_started", origin=engine.origin, **config.descriptions())
        yield engine.origin, engine


def _secret(setting: SecretStr | None) -> str | None:
    return None if setting is None else setting.get_secret_value()


def _session_settings(agent: Agent, tools: ToolCatalogue) -> evi.SessionSettings:
    """What the EVI server is told at the start of every chat of a call that begins now."""
    offers = tuple(
        evi.ToolOffer(
            name=tool.name,
            parameters=json.dumps(tool.parameters),
            description=tool.description,
            fallback_content=tool.fallback,
        )
        for tool in tools.definitions()
    )
    return evi.SessionSettings(
        system_prompt=agent.system_prompt,
        variables=dict(agent.variables) or None,
        tools=offers or None,
        voice_id=agent.voice_id,
    )


def _add_probes(app: web.Application, calls: Calls) -> None:
    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        ready = calls.is_open
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)


def _add_metrics(app: web.Application, metrics: ServiceMetrics, access: OperatorAccess) -> None:
    async def page(request: web.Request) -> web.Response:
        refusal = access.refusal(request.headers, request.remote or "", Scope.READ)
        if refusal is not None:
            return web.Response(
                status=refusal.status, text=refusal.sentence, headers=refusal.headers
            )
        return web.Response(body=metrics.page(), headers={"Content-Type": CONTENT_TYPE})

    app.router.add_get("/metrics", page)


def _event_loop_watch(
    metrics: ServiceMetrics,
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def watch(_: web.Application) -> AsyncIterator[None]:
        started = EventLoopWatch(metrics.event_loop_was_late, metrics.garbage_was_collected)
        started.start()
        yield
        started.stop()

    return watch
