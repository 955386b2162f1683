"""Operators who watch calls for a while, and whether they were told of everything."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Any

import aiohttp

from benchmarks.event_readers import Read, Watch
from benchmarks.processes import Program, Server
from benchmarks.turns import ENDING_TIMEOUT_S
from evibridge.sockets import origin_to_ws

MAX_CALLS = 200
"""That a service lists at once."""

Said = Mapping[str, Mapping[str, int]]
"""What the EVI server has sent so far: by the ids of chats, and by the types of events of it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What those that read were told in a turn, all of them together.

    Attributes:
        readers: that read
        lost: events that the EVI server had caused, and of which a reader was told neither them nor
            that it had missed some
        missed: events that readers were told to have missed
    """

    readers: int
    messages: int
    size_bytes: int
    lost: int
    missed: int


class Watchers:
    """Programs of operators that come, read what happens in a service, and go.

    Args:
        program: that they are: `benchmarks.event_readers`
        evi: the stand-in, which tells what happens
        watch: where they connect
        chats: of the calls that each of those that read reads of
    """

    def __init__(
        self, program: Program, evi: Server, watch: Watch, chats: Sequence[Collection[str]]
    ) -> None:
        self._program = program
        self._evi = evi
        self._watch = watch
        self._chats = chats
        self._said_before: Said = {}

    @classmethod
    async def of_all_calls(
        cls, program: Program, evi: Server, service: Server, readers: int, never_reading: int
    ) -> "Watchers":
        """Each reads of all calls, or connects and never reads."""
        url = f"{origin_to_ws(service.origin)}/v1/events"
        watch = Watch([url] * (readers - never_reading), [url] * never_reading)
        chats = [each["chat_id"] for each in await _live_calls(service)]
        return cls(program, evi, watch, [chats] * len(watch.reading))

    @classmethod
    async def of_one_call_each(
        cls, program: Program, evi: Server, service: Server, readers: int
    ) -> "Watchers":
        """Each reads of another call, as long as there are some, with interim transcripts."""
        calls = list(islice(cycle(await _live_calls(service)), readers))
        base = f"{origin_to_ws(service.origin)}/v1/calls"
        watch = Watch([f"{base}/{call['call_id']}/events?interim=true" for call in calls])
        return cls(program, evi, watch, [[call["chat_id"]] for call in calls])

    async def come(self) -> None:
        """Connect."""
        self._said_before = await self._said()
        self._program.tell(json.dumps(asdict(self._watch)))
        await self._program.line(timeout_s=ENDING_TIMEOUT_S)

    async def go(self) -> Seen:
        """Leave; returns what was seen since they came."""
        said = await self._said()
        self._program.tell("leave")
        told = json.loads(await self._program.line(timeout_s=ENDING_TIMEOUT_S))
        read = [Read(**each) for each in told]
        return Seen(
            readers=len(read),
            messages=sum(each.messages for each in read),
            size_bytes=sum(each.size_bytes for each in read),
            lost=sum(
                not_told(each, chats, said, self._said_before)
                for each, chats in zip(read, self._chats, strict=True)
            ),
            missed=sum(each.missed for each in read),
        )

    async def _said(self) -> Said:
        said: Said = await _json(f"{self._evi.origin}/said")
        return said


def not_told(read: Read, chats: Collection[str], said: Said, said_before: Said) -> int:
    """How many events one has not read that were caused in these chats meanwhile.

    0 if it was told to have missed any: nobody knows which.
    """
    if read.missed:
        return 0
    caused: dict[str, int] = {}
    for chat in chats:
        for kind, times in said[chat].items():
            caused[kind] = caused.get(kind, 0) + times - said_before[chat][kind]
    return sum(max(0, times - read.events.get(kind, 0)) for kind, times in caused.items())


async def _live_calls(service: Server) -> list[dict[str, Any]]:
    listed = await _json(f"{service.origin}/v1/calls?limit={MAX_CALLS}")
    calls: list[dict[str, Any]] = listed["calls"]
    return calls


async def _json(url: str) -> Any:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        answer.raise_for_status()
        return await answer.json()
