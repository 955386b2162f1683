"""Chats that others have opened: their webhooks and operators find the call of each, or begin one.

A chat may as well be one of our own telephone calls: then the call is told, and no other begins.
"""

import asyncio
from collections.abc import Callable, Collection, MutableMapping
from typing import Protocol, TypeVar

import structlog

from evibridge.agent import evi_messages as evi
from evibridge.agent.commands import OperatedCall
from evibridge.agent.sidecar_call import SidecarCall
from evibridge.bridges.hume_events import (
    ChatEnded,
    ChatEvent,
    ChatStarted,
    ToolCalled,
    checked_chat_id,
)
from evibridge.errors import CommandRefused
from evibridge.events import EndReason, ToolPath

ATTACH_TIMEOUT_S = 5.0
"""For an operator; a server that lives opens a mirror within a second."""
OWN_CHATS_KNOWN_S = 1.0
"""A telephone call learns the id of its chat from the chat's first message, which the webhook that
tells of the chat may overtake."""
MAX_REMEMBERED = 4096
"""Chats that are over, so that events which come late begin nothing."""
MAX_LEFT = 256
"""Chats that were left and may go on, each with its tool calls; a repeated delivery comes within
minutes."""

_Value = TypeVar("_Value")

log = structlog.get_logger(__name__)


class ChatCall(OperatedCall, Protocol):
    """A live call that has a chat."""

    def tool_called(self, call: evi.ToolCall, path: ToolPath) -> None:
        """The model calls a function; the same call may come by several paths."""


class CallPlaces(Protocol):
    """All calls of the service."""

    def by_chat(self, chat_id: str) -> ChatCall | None:
        """The live call that has this chat, on the telephone or as a sidecar."""

    def had_chat(self, chat_id: str) -> bool:
        """Whether the chat belongs to a telephone call that is over, or has another one now."""

    def begin_sidecar(self, chat_id: str, past_tool_calls: Collection[str]) -> SidecarCall:
        """Begin a call beside a chat that somebody else has opened."""


class Sidecars:
    """Begins sidecars, and tells calls what webhooks say of their chats.

    Args:
        calls: where calls begin
        free_places: tells how many more may begin
    """

    def __init__(self, calls: CallPlaces, free_places: Callable[[], int]) -> None:
        self._calls = calls
        self._free_places = free_places
        self._over: dict[str, None] = {}
        self._past_tool_calls: dict[str, frozenset[str]] = {}
        """By chat: what its sidecars knew of that have ended."""
        self._started: dict[str, asyncio.TimerHandle] = {}
        """Chats that may turn out to be our own."""

    async def attach(self, chat_id: str) -> tuple[ChatCall, bool]:
        """Find the call of a chat, or begin one beside it, for an operator.

        Returns:
            the call, and whether it is new

        Raises:
            CommandRefused: `chat_not_found`, `mirror_refused`, `evi_unreachable` or `service_full`
        """
        try:
            chat_id = checked_chat_id(chat_id)
        except ValueError as error:
            raise CommandRefused("chat_not_found", f"There is no such chat: {error}.") from None
        call = self._calls.by_chat(chat_id)
        if call is not None and not isinstance(call, SidecarCall):
            return call, False
        if call is not None and call.is_over:
            raise _over(call)
        sidecar = call or self._begin(chat_id)
        try:
            await sidecar.attached(ATTACH_TIMEOUT_S)
        except CommandRefused:
            if not sidecar.has_webhooks:
                sidecar.end(EndReason.EVI_UNREACHABLE)
            raise
        if sidecar.is_over:
            raise _over(sidecar)
        return sidecar, call is None

    # Webhooks: `ChatWebhooks`

    def chat_started(self, event: ChatStarted) -> None:
        """A chat was opened: begin a sidecar, unless it turns out to be our own."""
        chat_id = event.chat_id
        if self._is_settled(event) or chat_id in self._started:
            return
        if self._free_places() <= 0:
            raise _no_place()
        loop = asyncio.get_running_loop()
        self._started[chat_id] = loop.call_later(OWN_CHATS_KNOWN_S, self._begin_late, event)

    def tool_called(self, event: ToolCalled) -> None:
        """The model of a chat calls a function."""
        if event.call.tool_call_id in self._past_tool_calls.get(event.chat_id, ()):
            return
        if not self._is_settled(event):
            self._begin_for(event)
        call = self._calls.by_chat(event.chat_id)
        if call is not None:
            call.tool_called(event.call, ToolPath.WEBHOOK)

    def chat_ended(self, event: ChatEnded) -> None:
        """A chat is over. Telephone calls know that of their own chats."""
        self._forget_start(event.chat_id)
        _remember(self._over, event.chat_id, None, MAX_REMEMBERED)
        call = self._calls.by_chat(event.chat_id)
        if isinstance(call, SidecarCall):
            log.info("webhook_tells_end", call_id=event.chat_id, end_reason=event.end_reason[:64])
            call.webhook_ended()

    def close(self) -> None:
        """Begin nothing more."""
        while self._started:
            self._started.popitem()[1].cancel()

    # Inside

    def _is_settled(self, event: ChatEvent) -> bool:
        """Whether nothing has to begin: the chat has its call, or will never have one.

        Raises:
            CommandRefused: its sidecar is leaving, and may have to be followed by another one
        """
        call = self._calls.by_chat(event.chat_id)
        if isinstance(call, SidecarCall) and not call.is_over:
            call.webhooks_come(event.chat_group_id, event.caller, event.called)
            return True
        if event.chat_id in self._over or self._calls.had_chat(event.chat_id):
            return True
        if isinstance(call, SidecarCall):
            raise _is_leaving()
        return call is not None

    def _begin_late(self, event: ChatStarted) -> None:
        self._forget_start(event.chat_id)
        try:
            if not self._is_settled(event):
                self._begin_for(event)
        except CommandRefused as refusal:
            log.warning("chat_left_alone", call_id=event.chat_id, why=str(refusal))

    def _begin_for(self, event: ChatEvent) -> None:
        self._forget_start(event.chat_id)
        sidecar = self._begin(event.chat_id)
        sidecar.webhooks_come(event.chat_group_id, event.caller, event.called)

    def _begin(self, chat_id: str) -> SidecarCall:
        if self._free_places() <= 0:
            raise _no_place()
        past = self._past_tool_calls.get(chat_id, frozenset())
        sidecar = self._calls.begin_sidecar(chat_id, past)

        def note(reason: EndReason) -> None:
            if sidecar.tool_calls and chat_id not in self._over:
                _remember(self._past_tool_calls, chat_id, sidecar.tool_calls, MAX_LEFT)
            if reason is EndReason.MAX_DURATION:
                _remember(self._over, chat_id, None, MAX_REMEMBERED)

        sidecar.when_over(note)
        return sidecar

    def _forget_start(self, chat_id: str) -> None:
        timer = self._started.pop(chat_id, None)
        if timer is not None:
            timer.cancel()


def _no_place() -> CommandRefused:
    sentence = "No more calls are taken now: try again when one of them is over."
    return CommandRefused("service_full", sentence)


def _is_leaving() -> CommandRefused:
    sentence = "The sidecar of this chat is leaving it: try again in a moment."
    return CommandRefused("evi_unreachable", sentence)


def _over(sidecar: SidecarCall) -> CommandRefused:
    """Why nothing can be done with a sidecar that is over: its chat is too, or may go on."""
    if sidecar.end_reason is EndReason.CHAT_ENDED:
        return CommandRefused("chat_not_found", "The chat is over.")
    return _is_leaving()


def _remember(
    known: MutableMapping[str, _Value], chat_id: str, value: _Value, at_most: int
) -> None:
    known.pop(chat_id, None)
    known[chat_id] = value
    if len(known) > at_most:
        del known[next(iter(known))]
