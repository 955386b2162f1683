"""The operator API on a real port, before calls that a test plays and records on a real disk."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from evibridge.agent.commands import OperatorCommand, Via
from evibridge.agent.conversation import Line
from evibridge.agent.snapshot import CallSnapshot, CallState
from evibridge.bus import EventBus
from evibridge.dialling import TransferTarget
from evibridge.events import EndReason
from evibridge.operator_access import OperatorAccess, OperatorToken, Scope
from evibridge.operators.api import OperatorApi
from evibridge.operators.command_rate import CommandRate
from evibridge.operators.latest import Latest
from evibridge.operators.parts import ServiceFacts, ServiceParts
from evibridge.records.document import Recording
from evibridge.records.records import Records
from evibridge.sockets import Server, serve
from evibridge.web_sessions import WebSession, WebSessions
from tests.reference import evi_validator

NOON_S = 1_795_867_200.0
NOON = "2026-11-28T12:00:00.000Z"
PATIENCE_S = 5.0
TOKENS = (
    OperatorToken("anna", Scope.CONTROL, "hush"),
    OperatorToken("bob", Scope.CONTROL, "quiet"),
    OperatorToken("wall", Scope.READ, "glance"),
)
ANNA, BOB, WALL = ({"Authorization": f"Bearer {each.token}"} for each in TOKENS)


FACTS = ServiceFacts(
    agent="Paper Lantern",
    lines=lambda: 3,
    max_lines=100,
    is_draining=lambda: False,
    stops_at_s=lambda: None,
    records_sound=True,
    has_voice=True,
    number="+14155550100",
    transfer_targets=(TransferTarget("Front desk", "+442079460100"),),
    ice_servers=lambda: [{"urls": ["turn:t.example"], "username": "9:x", "credential": "s3cret"}],
)


def snapshot(call_id: str = "CA1", **more: Any) -> CallSnapshot:
    """A call that began at noon and is a minute old."""
    call = CallSnapshot(
        call_id=call_id,
        chat_id=f"chat-{call_id}",
        chat_group_id=f"group-{call_id}",
        lasts_s=60.0,
        is_paused=False,
        is_held=False,
        caller_is_away=False,
        chat_is_ready=True,
        open_tools=(),
        caller="+4930123456",
        called="+14155550100",
        digits="",
        lines=(Line("caller", 1.5, "Hello.", "Hello."),),
        state=CallState.LISTENING,
        began_at_s=NOON_S,
    )
    return replace(call, **more)


@dataclass
class PlayedCall:
    """A call that does what a test says."""

    now: CallSnapshot
    asked: list[tuple[OperatorCommand, str]] = field(default_factory=list)
    via: Via | None = Via.CONTROL_PLANE
    fault: Exception | None = None
    """What it answers the next commands with."""
    may_answer: asyncio.Event | None = None
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)
    lines_were_read: bool = False

    @property
    def call_id(self) -> str:
        return self.now.call_id

    @property
    def is_over(self) -> bool:
        return self.now.ended is not None

    def snapshot(self, *, with_lines: bool = True) -> CallSnapshot:
        self.lines_were_read |= with_lines
        return self.now if with_lines else replace(self.now, lines=())

    async def operate(self, command: OperatorCommand, by: str) -> Via | None:
        self.asked.append((command, by))
        self.was_asked.set()
        if self.may_answer is not None:
            await self.may_answer.wait()
        if self.fault is not None:
            raise self.fault
        return self.via

    def end(self, reason: EndReason) -> None:
        self.now = replace(self.now, ended=reason, state=CallState.ENDED)


class PlayedCalls:
    """The calls of a service, the last of which have ended."""

    def __init__(self) -> None:
        self.live: dict[str, PlayedCall] = {}
        self.ended: dict[str, CallSnapshot] = {}

    def get(self, call_id: str) -> PlayedCall | None:
        return self.live.get(call_id)

    def snapshot(self, call_id: str) -> CallSnapshot | None:
        call = self.live.get(call_id)
        return self.ended.get(call_id) if call is None else call.now

    def live_calls(self) -> Iterator[PlayedCall]:
        return iter(self.live.values())


@dataclass
class Stage:
    """A service with one call, CA1, and a program that asks it."""

    http: aiohttp.ClientSession
    records: Records
    calls: PlayedCalls = field(default_factory=PlayedCalls)
    bus: EventBus = field(default_factory=lambda: EventBus(lambda: NOON_S))
    latest: Latest = field(default_factory=Latest)
    dialled: list[tuple[str, str | None, Mapping[str, str], str]] = field(default_factory=list)
    attached: list[tuple[str, str]] = field(default_factory=list)
    web_sessions: WebSessions = field(default_factory=WebSessions)
    voices: list[tuple[str, str, str]] = field(default_factory=list)
    facts: ServiceFacts = FACTS
    is_new: bool = True
    fault: Exception | None = None
    """What beginning a call ends with."""
    app: web.Application = field(default_factory=web.Application)
    server: Server = field(init=False)
    origin: str = ""

    @property
    def call(self) -> PlayedCall:
        return self.calls.live["CA1"]

    def parts(self) -> ServiceParts:
        return ServiceParts(
            self.calls,
            self.dial,
            self.attach,
            self.make_web_session,
            self.records,
            self.latest,
            self.facts,
            self.open_voice,
        )

    async def dial(
        self, to: str, from_: str | None, parameters: Mapping[str, str], by: str
    ) -> CallSnapshot:
        if self.fault is not None:
            raise self.fault
        self.dialled.append((to, from_, parameters, by))
        return snapshot("CA2", state=CallState.RINGING, called=to)

    def make_web_session(self, session: WebSession, lifetime_s: float) -> str:
        return self.web_sessions.create(session, 0.0, lifetime_s)

    async def attach(self, chat_id: str, by: str) -> tuple[CallSnapshot, bool]:
        if self.fault is not None:
            raise self.fault
        self.attached.append((chat_id, by))
        return snapshot("CA3", chat_id=chat_id), self.is_new

    async def open_voice(self, call_id: str, sdp: str, by: str) -> str:
        if self.fault is not None:
            raise self.fault
        self.voices.append((call_id, sdp, by))
        return f"answer to {sdp}"

    def end_call(self, reason: EndReason = EndReason.CALLER_HUNG_UP) -> None:
        """The call is over, and remembered for some time."""
        call = self.calls.live.pop("CA1")
        call.end(reason)
        self.calls.ended["CA1"] = call.now

    async def keep_record(self, call: CallSnapshot, recording: Recording | None = None) -> None:
        told = self.bus.history(call.call_id)
        assert await self.records.keep(call, told, recording, self.facts.agent)

    async def ask(
        self, method: str, path: str, *, by: Mapping[str, str] = ANNA, **how: Any
    ) -> "Answered":
        """Send one request, and read all of its answer."""
        headers = {**by, **how.pop("headers", {})}
        async with (
            asyncio.timeout(PATIENCE_S),
            self.http.request(method, self.origin + path, headers=headers, **how) as response,
        ):
            return Answered(response.status, response.headers, await response.read())

    async def get(self, path: str, **how: Any) -> "Answered":
        return await self.ask("GET", path, **how)

    async def post(self, path: str, body: Any = None, **how: Any) -> "Answered":
        if body is not None:
            how["json"] = body
        return await self.ask("POST", path, **how)


@dataclass(frozen=True)
class Answered:
    """What a request was answered with."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        assert self.headers["Content-Type"].startswith("application/json")
        return json.loads(self.body)

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code of a refusal, whose message is a sentence."""
        answer = self.json()
        assert answer.keys() == {"code", "message"}
        assert answer["message"].endswith(".")
        return self.status, answer["code"]

    @property
    def faults(self) -> list[tuple[list[str | int], str]]:
        """Place and type of what is wrong with the request."""
        assert self.status == 422
        evi_validator("HTTPValidationError").validate(self.json())
        return [(fault["loc"], fault["type"]) for fault in self.json()["detail"]]


@asynccontextmanager
async def open_stage(
    folder: Path,
    tokens: tuple[OperatorToken, ...] = TOKENS,
    rate: CommandRate | None = None,
    facts: ServiceFacts = FACTS,
) -> AsyncIterator[Stage]:
    """Serve the API on a port."""
    records = Records(folder)  # opened when they are looked into first
    async with aiohttp.ClientSession() as http:
        stage = Stage(http, records, facts=facts)
        stage.latest.read(stage.bus)
        stage.calls.live["CA1"] = PlayedCall(snapshot())
        OperatorApi(stage.parts(), OperatorAccess(tokens), rate).add_routes(stage.app)
        stage.server = await serve(stage.app, [], host="127.0.0.1", port=0)
        stage.origin = f"http://127.0.0.1:{stage.server.port}"
        try:
            yield stage
        finally:
            await stage.server.close()
            await records.close()
