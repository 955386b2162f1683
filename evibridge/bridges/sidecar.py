"""Chats that others have opened: their webhooks and operators find the call of each, or begin one.

A chat may as well be one of our own telephone calls: then the call is told, and no other begins.
"""

import asyncio
from collections.abc import MutableMapping
from typing import Protocol

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

_FINAL = frozenset({EndReason.CHAT_ENDED, EndReason.MAX_DURATION})
"""Ends of sidecars after which webhooks begin no other."""

log = structlog.get_logger(__name__)


class ChatCall(OperatedCall, Protocol):
    """A live call that has a chat."""

    def tool_called(self, call: evi.ToolCall, path: ToolPath) -> None:
        """The model calls a function; the same call may come by several paths."""


class CallPlaces(Protocol):
    """All calls of the service."""

    @property
    def free_places(self) -> int:
        """How many more calls may begin."""

    def by_chat(self, chat_id: str) -> ChatCall | None:
        """The live call that has this chat, on the telephone or as a sidecar."""

    def had_chat(self, chat_id: str) -> bool:
        """Whether the chat belongs to a telephone call that is over, or has another one now."""

    def begin_sidecar(self, chat_id: str) -> SidecarCall:
        """Begin a call beside a chat that somebody else has opened."""


class Sidecars:
    """Begins sidecars, and tells calls what webhooks say of their chats.

    Args:
        calls: where calls begin
    """

    def __init__(self, calls: CallPlaces) -> None:
        self._calls = calls
        self._over: dict[str, None] = {}
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
        sidecar = call or self._begin(chat_id)
        try:
            await sidecar.attached(ATTACH_TIMEOUT_S)
        except CommandRefused:
            if not sidecar.has_webhooks:
                sidecar.end(EndReason.EVI_UNREACHABLE)
            raise
        if sidecar.is_over:
            raise CommandRefused("chat_not_found", "The chat is over.")
        return sidecar, call is None

    # Webhooks: `ChatWebhooks`

    def chat_started(self, event: ChatStarted) -> None:
        """A chat was opened: begin a sidecar, unless it turns out to be our own."""
        chat_id = event.chat_id
        if self._is_settled(event) or chat_id in self._started:
            return
        if self._calls.free_places <= 0:
            raise _no_place()
        loop = asyncio.get_running_loop()
        self._started[chat_id] = loop.call_later(OWN_CHATS_KNOWN_S, self._begin_late, event)

    def tool_called(self, event: ToolCalled) -> None:
        """The model of a chat calls a function."""
        if not self._is_settled(event):
            self._begin_for(event)
        call = self._calls.by_chat(event.chat_id)
        if call is not None:
            call.tool_called(event.call, ToolPath.WEBHOOK)

    def chat_ended(self, event: ChatEnded) -> None:
        """A chat is over. Telephone calls know that of their own chats."""
        self._forget_start(event.chat_id)
        _remember(self._over, event.chat_id)
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
        """Whether nothing has to begin: the chat has its call, or will never have one."""
        call = self._calls.by_chat(event.chat_id)
        if isinstance(call, SidecarCall):
            call.webhooks_come(event.chat_group_id, event.caller, event.called)
        is_over = event.chat_id in self._over or self._calls.had_chat(event.chat_id)
        return call is not None or is_over

    def _begin_late(self, event: ChatStarted) -> None:
        self._forget_start(event.chat_id)
        if self._is_settled(event):
            return
        try:
            self._begin_for(event)
        except CommandRefused as refusal:
            log.warning("chat_left_alone", call_id=event.chat_id, why=str(refusal))

    def _begin_for(self, event: ChatEvent) -> None:
        self._forget_start(event.chat_id)
        sidecar = self._begin(event.chat_id)
        sidecar.webhooks_come(event.chat_group_id, event.caller, event.called)

    def _begin(self, chat_id: str) -> SidecarCall:
        if self._calls.free_places <= 0:
            raise _no_place()
        sidecar = self._calls.begin_sidecar(chat_id)

        def note(reason: EndReason) -> None:
            if reason in _FINAL:
                _remember(self._over, chat_id)

        sidecar.when_over(note)
        return sidecar

    def _forget_start(self, chat_id: str) -> None:
        timer = self._started.pop(chat_id, None)
        if timer is not None:
            timer.cancel()


def _no_place() -> CommandRefused:
    sentence = "No more calls are taken now: try again when one of them is over."
    return CommandRefused("service_full", sentence)


def _remember(known: MutableMapping[str, None], chat_id: str) -> None:
    known[chat_id] = None
    if len(known) > MAX_REMEMBERED:
        del known[next(iter(known))]
