"""What operators use of a service, put together: the API, streams of events and sound, records."""

from collections.abc import Callable, Iterable, Mapping

from aiohttp import web

from evibridge.agent.calls import Calls
from evibridge.agent.commands import OperatedCall
from evibridge.agent.snapshot import CallSnapshot
from evibridge.audio.levels import LevelMeter
from evibridge.bridges.sidecar import Sidecars
from evibridge.bridges.twilio_outbound import OutboundCalls
from evibridge.bridges.twilio_ringing import RingingCall
from evibridge.bus import EventBus, Told
from evibridge.errors import CommandRefused
from evibridge.events import CallEnded, CommandGiven
from evibridge.operator_access import OperatorAccess, Scope
from evibridge.operators.admission import socket_refusal
from evibridge.operators.api import OperatorApi
from evibridge.operators.audio_stream import AudioStreams
from evibridge.operators.event_streams import EventStreams
from evibridge.operators.event_topics import LevelSink, WatchedCalls
from evibridge.operators.latest import Latest
from evibridge.operators.parts import MakeWebSession, OpenVoice, ServiceFacts, ServiceParts
from evibridge.operators.views import snapshot_of, summary_of
from evibridge.records.keeper import Keeper
from evibridge.records.records import Records
from evibridge.sockets import Refusal, SocketRoute, Upgrade


class AllCalls:
    """Every call of this process, also those that still ring."""

    def __init__(self, calls: Calls, outbound: OutboundCalls) -> None:
        self._calls = calls
        self._outbound = outbound

    def get(self, call_id: str) -> OperatedCall | None:
        """The live call of this id."""
        call = self._calls.operated(call_id)
        if call is not None:
            return call
        ringing = self._outbound.snapshot(call_id)
        is_over = ringing is None or ringing.ended is not None
        return None if ringing is None or is_over else RingingCall(ringing, self._outbound)

    def snapshot(self, call_id: str, *, with_lines: bool = True) -> CallSnapshot | None:
        """A call as it is now, or as it was at its end if that is not long ago.

        `with_lines` is as in `OperatedCall.snapshot`.
        """
        live = self._calls.operated(call_id)
        if live is not None:
            return live.snapshot(with_lines=with_lines)
        return self._calls.snapshot(call_id) or self._outbound.snapshot(call_id)

    def live_calls(self) -> Iterable[OperatedCall]:
        """All calls that go on."""
        yield from self._calls.all_live()
        for ringing in self._outbound.snapshots():
            yield RingingCall(ringing, self._outbound)


class OperatorSide:
    """Made before calls begin; knows of everything that operators may see or do.

    Args:
        access: decides who is an operator
        bus: has all events
        calls: whose audio comes here, or which take part in somebody's chat
        outbound: whoever is being called
        sidecars: take part in chats that others have opened
        make_web_session: lets callers in from web pages
        records: what is kept of calls
        facts: what operators are told of the service
        open_voice: lets an operator speak with a caller
    """

    def __init__(
        self,
        access: OperatorAccess,
        bus: EventBus,
        calls: Calls,
        outbound: OutboundCalls,
        sidecars: Sidecars,
        make_web_session: MakeWebSession,
        records: Records,
        facts: ServiceFacts,
        open_voice: OpenVoice,
    ) -> None:
        self._access = access
        self._bus = bus
        self._calls = calls
        self._all_calls = AllCalls(calls, outbound)
        self._outbound = outbound
        self._sidecars = sidecars
        self._records = records
        self._latest = Latest()
        self._latest.read(bus)
        self.keeper = Keeper(bus, records, records_sound=facts.records_sound, agent=facts.agent)
        bus.subscribe(self._keep_unanswered)
        self._agent = facts.agent
        self._speak = open_voice
        parts = ServiceParts(
            self._all_calls,
            outbound.dial,
            self._attach,
            make_web_session,
            records,
            self._latest,
            facts,
            self._open_voice,
        )
        self._api = OperatorApi(parts, access)
        watched = WatchedCalls(self._snapshot, self._summary, self._live_ids, self._levels)
        self._events = EventStreams(bus, watched, self._admit)
        self._audio = AudioStreams(calls.get, self._is_live, self._rings, self._admit, bus)

    @property
    def socket_routes(self) -> tuple[SocketRoute, ...]:
        """Where WebSockets of operators are accepted."""
        return (*self._events.routes, self._audio.route)

    def add_routes(self, app: web.Application) -> None:
        """Add the HTTP API to an application."""
        self._api.add_routes(app)

    def open(self) -> None:
        """Make the folder of the records.

        Raises:
            SettingsError: nothing can be kept there
        """
        self._records.open()

    async def close(self) -> None:
        """The last call is over: keep what it left, and let nobody wait for more."""
        self._events.close()
        self._audio.close()
        await self.keeper.close()

    async def _attach(self, chat_id: str, by: str) -> tuple[CallSnapshot, bool]:
        call, is_new = await self._sidecars.attach(chat_id)
        if is_new:
            self._bus.publish(call.call_id, CommandGiven("attach", by))
        return call.snapshot(with_lines=False), is_new

    async def _open_voice(self, call_id: str, sdp: str, by: str) -> str:
        if self._rings(call_id):
            raise CommandRefused("call_is_ringing", "Nobody has answered yet.")
        if self._calls.get(call_id) is None and self._is_live(call_id):
            raise CommandRefused("not_here", "The caller's line is not here.")
        return await self._speak(call_id, sdp, by)

    def _keep_unanswered(self, told: Told) -> None:
        """A call that nobody has answered leaves its record as well."""
        if isinstance(told.event, CallEnded):
            unanswered = self._outbound.snapshot(told.call_id)
            if unanswered is not None:
                self.keeper.ended(unanswered)

    # What streams ask

    def _admit(self, upgrade: Upgrade) -> Refusal | None:
        return socket_refusal(self._access, upgrade, Scope.READ)

    def _snapshot(self, call_id: str) -> Mapping[str, object] | None:
        call = self._all_calls.snapshot(call_id)
        if call is None:
            return None
        return snapshot_of(call, self._latest.of(call_id), self._agent)

    def _summary(self, call_id: str) -> Mapping[str, object] | None:
        call = self._all_calls.snapshot(call_id, with_lines=False)
        if call is None:
            return None
        return summary_of(call, self._latest.of(call_id), self._agent)

    def _is_live(self, call_id: str) -> bool:
        return self._all_calls.get(call_id) is not None

    def _rings(self, call_id: str) -> bool:
        return isinstance(self._all_calls.get(call_id), RingingCall)

    def _live_ids(self) -> Iterable[str]:
        return [call.call_id for call in self._all_calls.live_calls()]

    def _levels(self, call_id: str, sink: LevelSink) -> Callable[[], None] | None:
        call = self._calls.get(call_id)
        if call is None:
            return None
        meter = LevelMeter(call.rate_hz)

        def hear(stereo16: bytes) -> None:
            for levels in meter.levels_of(stereo16):
                sink(levels.caller, levels.agent)

        return call.tap.listen(hear)
