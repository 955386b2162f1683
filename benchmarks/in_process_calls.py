"""Whole calls in one process and without sockets: what picows would hand over is handed over here.

Everything between picows' callback and picows' `send` is the bridge's own: sockets, legs, calls,
chats, and what the service counts and logs. What picows and the kernel do is not in it.
"""

import asyncio
import operator
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

import orjson
from picows import WSCloseCode, WSFrame, WSMsgType, WSTransport
from picows.picows import _make_test_ws_frame

from benchmarks.talk import STREAM_SID, Kind, Step
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import HangUp
from evibridge.agent.call import Call
from evibridge.agent.call_plan import CallerFacts, CallPlan
from evibridge.agent.calls import Calls
from evibridge.agent.control_plane import ControlPlane
from evibridge.agent.course import CallLimits
from evibridge.agent.evi_client import MAX_MESSAGE_BYTES, Dial, EviServer
from evibridge.agent.evi_codec import encode
from evibridge.bridges.twilio_leg import TwilioLeg
from evibridge.bridges.twilio_messages import Start
from evibridge.bus import EventBus
from evibridge.event_log import log_event
from evibridge.events import CallEvent
from evibridge.metrics import ServiceMetrics
from evibridge.sockets import Socket, SocketListener
from evibridge.sockets._picows import PicowsSocket
from evibridge.tools_registry.registry import Tools
from evibridge.tools_registry.runner import ToolRunner

BATCH_CALLS = 10
"""Calls that are served together: less than a millisecond, so that most are served undisturbed."""
SYSTEM_PROMPT = "You answer the phone for a book shop."

Publish = Callable[[str, CallEvent], object]
Receive = Callable[[WSFrame], None]
"""What picows calls with a frame that a socket has received."""
Begin = Callable[[CallerFacts, TwilioLeg], Call]


@dataclass(frozen=True, slots=True)
class Batch:
    """One thing that is handed to some calls, one after another."""

    kind: Kind
    step: int
    """Number of the step of the talk that it is, or comes of."""
    receivers: Sequence[Receive]
    frames: Sequence[WSFrame]
    """One for each receiver."""

    def __len__(self) -> int:
        return len(self.receivers)

    def serve(self) -> None:
        """Hand it over."""
        for receive, frame in zip(self.receivers, self.frames, strict=True):
            receive(frame)


class Leg(TwilioLeg):
    """A phone's side of a call, which knows what mark was placed last."""

    placed: str | None = None

    def mark(self, name: str) -> None:
        """Place one."""
        self.placed = name
        super().mark(name)


class _Transport:
    """What a `PicowsSocket` needs of picows' transport. It forgets what is sent, in C."""

    def __init__(self, *, is_client_side: bool) -> None:
        self.is_client_side = is_client_side
        self.is_close_frame_sent = False
        self.send = operator.is_
        self.underlying_transport = _Unhindered()

    def send_close(self, code: WSCloseCode, reason: bytes = b"") -> None:
        """Nobody answers it."""

    def disconnect(self, *, graceful: bool = True) -> None:
        """There is nothing to be cut."""


class _Unhindered:
    """A transport of asyncio whose bytes are all taken at once."""

    def __init__(self) -> None:
        self.get_write_buffer_size = b"".__len__


class _Reception:
    """Lets every stream begin a call.

    Args:
        begin: makes the call
    """

    def __init__(self, begin: Begin) -> None:
        self._begin = begin

    def stream_opened(self, leg: TwilioLeg) -> None:
        """Its `start` follows."""

    def stream_started(self, leg: TwilioLeg, start: Start) -> Call:
        """Begin the call."""
        return self._begin(CallerFacts(start.call_sid), leg)

    def stream_closed(self, leg: TwilioLeg) -> None:
        """It does not come back."""

    def caller_hung_up(self, call_sid: str) -> None:
        """Nobody does."""

    def call_ended(self, call_sid: str, how: HangUp) -> None:
        """Nobody asks what is next."""


@dataclass(frozen=True, slots=True)
class Phone:
    """The caller's end of a call."""

    leg: Leg
    receive: Receive


class InProcessCalls:
    """Calls that go on.

    Args:
        phones: their callers' ends
        from_servers: where messages of their EVI servers go
    """

    def __init__(self, phones: Sequence[Phone], from_servers: Sequence[Receive]) -> None:
        self._phones = phones
        self._from_phones = [phone.receive for phone in phones]
        self._from_servers = from_servers
        self._marks: list[tuple[Receive, str]] = []
        """Placed and not played yet, each with where its echo goes."""

    def batches(self, steps: Iterable[Step]) -> Iterator[Batch]:
        """What is to be served for a talk, in order; each batch before the next is asked for.

        A phone plays one chunk behind: a mark is echoed when the next chunk has come.
        """
        for number, step in enumerate(steps):
            receivers = self._from_phones if step.kind is Kind.FRAME else self._from_servers
            # One frame for all: what the kernel has just copied is in the cache in service, too.
            frames = [text_frame(step.text)] * len(receivers)
            yield from _cut(step.kind, number, receivers, frames)
            played = self._played() if step.kind is Kind.CHUNK else []
            self._note_marks()
            receivers = [receive for receive, _ in played]
            yield from _cut(Kind.ECHO, number, receivers, [mark_echo(mark) for _, mark in played])

    def _played(self) -> list[tuple[Receive, str]]:
        played, self._marks = self._marks, []
        return played

    def _note_marks(self) -> None:
        for phone in self._phones:
            mark, phone.leg.placed = phone.leg.placed, None
            if mark is not None:
                self._marks.append((phone.receive, mark))


def _cut(
    kind: Kind, step: int, receivers: Sequence[Receive], frames: Sequence[WSFrame]
) -> Iterator[Batch]:
    for at in range(0, len(receivers), BATCH_CALLS):
        end = at + BATCH_CALLS
        yield Batch(kind, step, receivers[at:end], frames[at:end])


@asynccontextmanager
async def open_calls(count: int, publish: Publish | None = None) -> AsyncIterator[InProcessCalls]:
    """Hold so many calls, whose chats are open.

    Args:
        count: of calls
        publish: gets their events; without one, they are counted and logged as in service
    """
    calls = Calls(max_calls=count)
    servers: list[Receive] = []
    all_open = asyncio.Event()

    async def dial(url: str, listener: SocketListener, **_: object) -> Socket:
        del url
        socket, receive = _connected(listener, is_client_side=True)
        servers.append(receive)
        receive(text_frame(encode(evi.ChatMetadata("a chat", "its group"))))
        if len(servers) == count:
            all_open.set()
        return socket

    calls.open(_plan(dial, publish or _service_publish(ServiceMetrics(calls))))
    phones = [started_stream(calls.begin, number) for number in range(count)]
    await all_open.wait()
    try:
        yield InProcessCalls(phones, servers)
    finally:
        await calls.close()


def started_stream(begin: Begin, number: int) -> Phone:
    """A media stream that has begun.

    Args:
        begin: makes its call
        number: among the streams
    """
    leg = Leg(_Reception(begin))
    _, receive = _connected(leg, is_client_side=False)
    sid = f"MZ{number:032}"
    start = {"streamSid": sid, "callSid": f"CA{number:032}"}
    receive(text_frame(orjson.dumps({"event": "start", "streamSid": sid, "start": start})))
    return Phone(leg, receive)


def text_frame(text: bytes) -> WSFrame:
    """A message as picows hands it over."""
    return _make_test_ws_frame(WSMsgType.TEXT, text, fin=True, rsv1=False)


def mark_echo(name: str) -> WSFrame:
    """Twilio's word that a mark was played."""
    return text_frame(
        orjson.dumps(
            {
                "event": "mark",
                "sequenceNumber": "102",
                "streamSid": STREAM_SID,
                "mark": {"name": name},
            }
        )
    )


def _connected(listener: SocketListener, *, is_client_side: bool) -> tuple[PicowsSocket, Receive]:
    socket = PicowsSocket(listener, MAX_MESSAGE_BYTES, set())
    transport = cast("WSTransport", _Transport(is_client_side=is_client_side))
    socket.on_ws_connected(transport)
    return socket, partial(socket.on_ws_frame, transport)


def _service_publish(metrics: ServiceMetrics) -> Publish:
    bus = EventBus()
    bus.subscribe(lambda told: metrics.call_event(told.call_id, told.event))
    bus.subscribe(log_event)
    return bus.publish


def _plan(dial: Dial, publish: Publish) -> CallPlan:
    return CallPlan(
        server=EviServer("http://127.0.0.1", dial=dial),
        control_plane=ControlPlane("http://127.0.0.1", None),
        settings=lambda: evi.SessionSettings(system_prompt=SYSTEM_PROMPT),
        tools=ToolRunner(Tools(), default_timeout_s=1),
        limits=CallLimits(),
        publish=publish,
    )
