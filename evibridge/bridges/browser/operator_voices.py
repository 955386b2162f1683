"""Operators who speak to callers from the console: who is let in, and that all are closed."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from evibridge.agent.call import Call
from evibridge.bridges.browser.ice_servers import IceServers
from evibridge.bridges.browser.webrtc_offer import Offer, read_offer
from evibridge.errors import BadAudio, BadMessage, CommandRefused, LinkUnreachable

if TYPE_CHECKING:
    from evibridge.bridges.browser.operator_voice_leg import OperatorVoiceLeg

MAX_VOICES = 20
"""Of one service; there is one for each call that is taken over."""
MAX_CONNECTIONS = 2 * MAX_VOICES
"""With those that are being closed, which takes up to 4.5 s."""
CLOSE_TIMEOUT_S = 3.0
NOT_INSTALLED = "WebRTC is not installed on the server: install evibridge[webrtc]."
TOO_MANY = "As many operators speak as may: try again in a moment."
OVER = "The call is over."
ELSEWHERE = "You speak to this caller by another connection."
STOPPED = "The service ends."

log = structlog.get_logger(__name__)


class OperatorVoices:
    """The connections of operators who speak.

    Args:
        call: gives the live call of an id, None if there is none
        ice_servers: for our own end
    """

    def __init__(self, call: Callable[[str], Call | None], ice_servers: IceServers) -> None:
        self._call = call
        self._ice_servers = ice_servers
        self._legs: set[OperatorVoiceLeg] = set()
        self._loading: asyncio.Task[type[OperatorVoiceLeg] | None] | None = None
        self._is_closed = False

    def begin_loading(self) -> None:
        """Import what WebRTC needs, in a thread: it takes a second that nobody should wait."""
        if self._loading is None:
            self._loading = asyncio.ensure_future(asyncio.to_thread(_import_leg))

    async def open(self, call_id: str, sdp: str, by: str) -> str:
        """Let an operator speak to the caller of a call that he has taken over.

        A connection that he had to the same call is closed.

        Args:
            call_id: of a live call
            sdp: what his page offers
            by: his name

        Returns:
            what the page is answered; it has 15 s to connect

        Raises:
            CommandRefused: `bad_offer`, `call_is_over`, `too_many_voices`, `voice_unavailable`, or
                what `Call.check_operator_line` raises
        """
        offer = _read(sdp)
        leg_class = await self._leg_class()
        if leg_class is None:
            raise CommandRefused("voice_unavailable", NOT_INSTALLED)
        call = self._call(call_id)
        if call is None or call.is_over:
            raise CommandRefused("call_is_over", OVER)
        self._make_room(call_id, by)
        call.check_operator_line(by)
        try:
            servers = self._ice_servers.issue(time.time())
            leg = leg_class(call, by, offer, servers, self._legs.discard)
        except BadAudio:
            raise CommandRefused("voice_unavailable", NOT_INSTALLED) from None
        self._legs.add(leg)
        return await self._answer(leg)

    async def close(self) -> None:
        """Close all connections, within 3 s; no other is opened after that."""
        self._is_closed = True
        legs = list(self._legs)
        for leg in legs:
            leg.close(STOPPED)
        if legs:
            closing = [asyncio.ensure_future(leg.closed()) for leg in legs]
            await asyncio.wait(closing, timeout=CLOSE_TIMEOUT_S)

    def _make_room(self, call_id: str, by: str) -> None:
        """Close the connection that this one replaces, if there is room for this one."""
        speaking = [leg for leg in self._legs if not leg.is_over]
        replaced = [leg for leg in speaking if leg.is_of(call_id, by)]
        if self._is_closed:
            raise CommandRefused("voice_unavailable", STOPPED)
        is_full = len(speaking) - len(replaced) >= MAX_VOICES
        if is_full or len(self._legs) >= MAX_CONNECTIONS:
            raise CommandRefused("too_many_voices", TOO_MANY)
        for leg in replaced:
            leg.close(ELSEWHERE)

    async def _answer(self, leg: "OperatorVoiceLeg") -> str:
        try:
            await leg.gather()
        except LinkUnreachable as error:
            leg.close(str(error))
            raise CommandRefused("voice_unavailable", str(error)) from None
        except BaseException:
            leg.close(STOPPED)  # nobody waits for the answer any more
            raise
        if leg.is_over:
            raise CommandRefused("voice_unavailable", STOPPED if self._is_closed else ELSEWHERE)
        return leg.answer()

    async def _leg_class(self) -> "type[OperatorVoiceLeg] | None":
        self.begin_loading()
        assert self._loading is not None
        return await asyncio.shield(self._loading)


def _read(sdp: str) -> Offer:
    try:
        return read_offer(sdp)
    except BadMessage as error:
        raise CommandRefused("bad_offer", str(error)) from None


def _import_leg() -> "type[OperatorVoiceLeg] | None":
    try:
        from evibridge.bridges.browser.operator_voice_leg import OperatorVoiceLeg
    except ImportError as error:
        log.info("webrtc_not_installed", error=str(error))
        return None
    return OperatorVoiceLeg
