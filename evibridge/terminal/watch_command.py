"""`evibridge calls watch`: calls as they go on, also past lost connections."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import aiohttp

from evibridge.errors import BadMessage, EvibridgeError
from evibridge.terminal.call_ids import full_id, path_of
from evibridge.terminal.call_watch import AllCalls, OneCall, Watch
from evibridge.terminal.live_lines import Line, LiveLines, Tone
from evibridge.terminal.operator_answers import OTHER_VERSION
from evibridge.terminal.operator_client import OVER, OperatorClient

PAUSES_S = (0.5, 1.0, 2.0, 4.0, *[8.0] * 36)
"""Before each attempt to connect again, five minutes in all: a service restarts in less."""
SERVICE_IS_CLOSED = 1001
"""Close code of every stream of a service that ends."""
BROKEN = Line("", "The connection broke. Calls go on; the live view tries again.", Tone.BROKEN)
ENDED = Line("", "The service has ended. The live view tries again.", Tone.BROKEN)
GOES_ON = Line("", "The live view goes on.")


async def watch(
    client: OperatorClient,
    lines: LiveLines,
    written: str | None,
    pauses_s: Sequence[float] = PAUSES_S,
) -> None:
    """Show what happens, until the call is over; all calls never are.

    Args:
        client: asks the service
        lines: show it
        written: the call's id, or its beginning; None for all calls
        pauses_s: before each attempt to connect again

    Raises:
        CommandRefused: there is no such call, or there are several
        LinkUnreachable: the service is not there, or does not come back
        BadMessage: the service tells something else than it should
    """
    if written is None:
        following = _Following(client, lines, "/v1/events", AllCalls(), interim=False)
    else:
        path = f"{path_of(await full_id(client, written))}/events"
        following = _Following(client, lines, path, OneCall(), interim=lines.takes_interim)
    try:
        await following.to_the_end(pauses_s)
    finally:
        lines.end()


class _Following:
    """A stream, and how far it was read."""

    def __init__(
        self, client: OperatorClient, lines: LiveLines, path: str, watch: Watch, *, interim: bool
    ) -> None:
        self._client = client
        self._lines = lines
        self._path = path
        self._watch = watch
        self._query: dict[str, str | int] = {"interim": "true" if interim else "false"}
        self._is_lost = False
        self._service_has_ended = False

    async def to_the_end(self, pauses_s: Sequence[float]) -> None:
        """Read, and connect again where the connection is lost."""
        pauses = iter(pauses_s)
        while True:
            try:
                if await self._read():
                    return
                pauses = iter(pauses_s)
                pause_s = next(pauses)
            except EvibridgeError as error:
                if self._watch.since is None or not error.retryable:
                    raise
                try:
                    pause_s = next(pauses)
                except StopIteration:
                    raise error from None
            self._tell_lost(pause_s)
            await asyncio.sleep(pause_s)

    async def _read(self) -> bool:
        """Read until the connection ends; returns whether nothing more would come on another."""
        since = self._watch.since
        query = self._query if since is None else {**self._query, "since": since}
        async with self._client.stream(self._path, **query) as socket:
            self._tell_found()
            self._service_has_ended = False
            async for message in socket:
                if message.type is aiohttp.WSMsgType.ERROR:
                    return False
                for line in self._watch.lines(_parsed(message.data)):
                    self._lines.show(line)
                if self._watch.is_over:
                    return True
        self._service_has_ended = socket.close_code == SERVICE_IS_CLOSED
        return socket.close_code == OVER

    def _tell_lost(self, pause_s: float) -> None:
        if not self._is_lost:
            self._lines.end()
            self._lines.show(ENDED if self._service_has_ended else BROKEN)
        self._is_lost = True
        again = f"Trying again in {pause_s:g} s."
        self._lines.show(Line("", again, Tone.NEEDED, is_interim=True))

    def _tell_found(self) -> None:
        if self._is_lost:
            self._lines.end()
            self._lines.show(GOES_ON)
        self._is_lost = False


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise BadMessage(OTHER_VERSION) from None
