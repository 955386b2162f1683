"""Calls that end well, and calls that are broken at every stage: what a caller does in each."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from enum import StrEnum

import aiohttp

from benchmarks.caller_lines import TwilioLine, open_stream
from benchmarks.heard import FRAME_MS
from benchmarks.orders import Order
from benchmarks.webhooks import Stream, ask, new_call_sid, ring, stream_in
from benchmarks.wires import Exchange

NOTHING_MORE = "<Response><Hangup/></Response>"
"""Twilio: a document that comes to its end ends the call."""
PATIENCE_S = 15.0
"""For what the service does by itself: it gives an EVI server up after 6 s."""
AT_ONCE_S = 0.01
"""Long enough for a message to arrive, and for nothing else."""
TOOL_RUNS_S = 0.2


class Stage(StrEnum):
    """How a call goes, in words for a table."""

    WHOLE = "a whole call"
    NO_STREAM = "webhook, and never a stream"
    NO_START = "stream without start"
    WRONG_TOKEN = "wrong token"  # the words for a table, and no secret
    RESET_AT_START = "stream reset right after start"
    RESET = "stream reset in mid-call"
    COMES_BACK = "stream reset, caller back by another"
    START_TWICE = "start, and start again"
    STOP_ONLY = "stop, and not a word more"
    TOOL_RUNS = "tool running at the hang-up"
    CHAT_CUT = "EVI socket cut in mid-call"
    REFUSED_401 = "chat refused with 401"
    REFUSED_503 = "chat refused with 503"


BROKEN = tuple(stage for stage in Stage if stage is not Stage.WHOLE)
REFUSED: Mapping[Stage, int] = {Stage.REFUSED_401: 401, Stage.REFUSED_503: 503}
"""Stages for which the EVI server has to refuse chats, and how."""


class SoakPhone(TwilioLine):
    """A telephone that knows when it is hung up on."""

    def __init__(self, call_sid: str, parameters: Mapping[str, str]) -> None:
        super().__init__(call_sid, parameters)
        self.closed = asyncio.Event()

    def on_close(self, code: int, reason: str) -> None:
        """The stream is over."""
        del code, reason
        self.closed.set()

    async def talk(self, seconds: float) -> None:
        """Say something for so long, or until the stream is over."""
        began_s = time.perf_counter()
        frames = round(seconds * 1000 / FRAME_MS)
        for frame in range(1, frames + 1):
            if self.closed.is_set():
                return
            self.send_frame(time.perf_counter())
            await asyncio.sleep(max(0.0, began_s + frame * FRAME_MS / 1000 - time.perf_counter()))

    async def talk_until(self, is_so: Callable[[], bool]) -> bool:
        """Say something until something is so; returns whether it is, in the end."""
        give_up_s = time.perf_counter() + PATIENCE_S
        while not is_so() and time.perf_counter() < give_up_s:
            await self.talk(FRAME_MS / 1000)
            if self.closed.is_set():
                break
        return is_so()

    def order(self, order: Order) -> None:
        """Have the EVI server do something."""
        self.send_payload(order.payload, time.perf_counter())


class SilentPhone(SoakPhone):
    """One that never says which call its stream belongs to."""

    def start(self) -> None:
        """Say nothing."""


class SoakCaller:
    """Makes one call after another, each with a connection of its own.

    Args:
        url: of the service's webhook, or its origin
        line: leads to the service, for streams
        http: for webhooks
        seconds: how long a call lasts
    """

    def __init__(
        self, url: str, line: Exchange, http: aiohttp.ClientSession, seconds: float
    ) -> None:
        self._url = url
        self._line = line
        self._http = http
        self._seconds = seconds
        self._acts: Mapping[Stage, Callable[[str, Stream], Awaitable[bool]]] = {
            Stage.WHOLE: self._whole,
            Stage.NO_STREAM: self._no_stream,
            Stage.NO_START: self._no_start,
            Stage.WRONG_TOKEN: self._wrong_token,
            Stage.RESET_AT_START: self._reset_at_start,
            Stage.RESET: self._reset,
            Stage.COMES_BACK: self._comes_back,
            Stage.START_TWICE: self._start_twice,
            Stage.STOP_ONLY: self._stop_only,
            Stage.TOOL_RUNS: self._tool_runs,
            Stage.CHAT_CUT: self._chat_cut,
            Stage.REFUSED_401: self._refused,
            Stage.REFUSED_503: self._refused,
        }

    async def call(self, stage: Stage) -> bool:
        """Make a call; returns whether the service did what it has to."""
        call_sid = new_call_sid()
        return await self._acts[stage](call_sid, await ring(self._http, self._url, call_sid))

    async def _whole(self, call_sid: str, stream: Stream) -> bool:
        phone = await self._open(call_sid, stream)
        await phone.talk(self._seconds)
        return await self._hang_up(call_sid, stream, phone)

    async def _no_stream(self, call_sid: str, stream: Stream) -> bool:
        del call_sid, stream
        return True

    async def _no_start(self, call_sid: str, stream: Stream) -> bool:
        phone = SilentPhone(call_sid, stream.parameters)
        return await _closed(await open_stream(self._line.origin, stream.path, phone))

    async def _wrong_token(self, call_sid: str, stream: Stream) -> bool:
        wrong = {name: value[::-1] for name, value in stream.parameters.items()}
        return await _closed(await self._open(call_sid, replace(stream, parameters=wrong)))

    async def _reset_at_start(self, call_sid: str, stream: Stream) -> bool:
        phone = await self._open(call_sid, stream)
        await asyncio.sleep(AT_ONCE_S)
        self._line.wires[-1].reset()
        return await _closed(phone)

    async def _reset(self, call_sid: str, stream: Stream) -> bool:
        phone = await self._open(call_sid, stream)
        await phone.talk(self._seconds / 2)
        self._line.wires[-1].reset()
        return await _closed(phone)

    async def _comes_back(self, call_sid: str, stream: Stream) -> bool:
        await self._reset(call_sid, stream)
        document = await self._ask_what_comes_next(call_sid, stream, "in-progress")
        another = stream_in(document, self._url)
        phone = await self._open(call_sid, another)
        await phone.talk(self._seconds / 2)
        return await self._hang_up(call_sid, another, phone)

    async def _start_twice(self, call_sid: str, stream: Stream) -> bool:
        phone = await self._open(call_sid, stream)
        phone.start()
        await phone.talk(self._seconds)
        return await self._hang_up(call_sid, stream, phone)

    async def _stop_only(self, call_sid: str, stream: Stream) -> bool:
        phone = await self._open(call_sid, stream)
        await phone.talk(self._seconds)
        # The service closes the stream and gets no answer: it has to cut the connection.
        wire = self._line.wires[-1]
        wire.deafen()
        phone.stop()
        was_cut = await wire.cut_by_server(PATIENCE_S)
        wire.reset()
        return was_cut and await _closed(phone)

    async def _tool_runs(self, call_sid: str, stream: Stream) -> bool:
        phone = await self._open(call_sid, stream)
        await phone.talk(self._seconds)
        phone.order(Order.CALL_TOOL)
        await phone.talk(TOOL_RUNS_S)
        return await self._hang_up(call_sid, stream, phone)

    async def _chat_cut(self, call_sid: str, stream: Stream) -> bool:
        phone = await self._open(call_sid, stream)
        await phone.talk(self._seconds / 2)
        phone.order(Order.CUT_CHAT)
        # What was sent before the cut is there within this time.
        await phone.talk(self._seconds / 2)
        heard_ms = phone.ear.audio_ms
        goes_on = await phone.talk_until(lambda: phone.ear.audio_ms > heard_ms)
        return await self._hang_up(call_sid, stream, phone) and goes_on

    async def _refused(self, call_sid: str, stream: Stream) -> bool:
        phone = await self._open(call_sid, stream)
        await phone.talk(PATIENCE_S)
        document = await self._ask_what_comes_next(call_sid, stream, "in-progress")
        return phone.closed.is_set() and "<Say>" in document

    async def _open(self, call_sid: str, stream: Stream) -> SoakPhone:
        phone = SoakPhone(call_sid, stream.parameters)
        return await open_stream(self._line.origin, stream.path, phone)

    async def _hang_up(self, call_sid: str, stream: Stream, phone: SoakPhone) -> bool:
        """End a call that was held; returns whether it was."""
        was_held = await phone.talk_until(lambda: phone.ear.audio_ms > 0)
        phone.hang_up()
        was_closed = await _closed(phone)
        document = await self._ask_what_comes_next(call_sid, stream, "completed")
        return was_held and was_closed and "<Hangup" in document

    async def _ask_what_comes_next(self, call_sid: str, stream: Stream, status: str) -> str:
        if stream.ended_url is None:
            return NOTHING_MORE
        return await ask(self._http, stream.ended_url, call_sid, CallStatus=status)


async def _closed(phone: SoakPhone) -> bool:
    try:
        await asyncio.wait_for(phone.closed.wait(), PATIENCE_S)
    except TimeoutError:
        return False
    return True
