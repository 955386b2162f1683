"""How messages reach the chat: by its own socket, or by the control plane, in one order.

What an operator asks for goes out by the control plane, where every observer of the chat sees it.
That takes a moment; what the call itself has to tell meanwhile waits behind it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import structlog

from evibridge.agent import evi_messages as evi
from evibridge.agent.chat_lines import ChatLines
from evibridge.agent.commands import Via
from evibridge.agent.control_plane import ANSWER_TIMEOUT_S, ControlPlane, DeliveryUnknown
from evibridge.errors import CommandRefused, LinkError

log = structlog.get_logger(__name__)


class Undelivered(Enum):
    """What else may become of a message."""

    CHAT_LOST = auto()
    """The chat was gone before it was told, or perhaps a moment after."""
    UNKNOWN = auto()
    """The server has not said whether it was."""


Fate = Via | Undelivered


_LOST_WORDS = {
    Undelivered.CHAT_LOST: CommandRefused(
        "chat_was_lost",
        "The chat was lost, perhaps before it was told: look at the conversation before you try "
        "again.",
    ),
    Undelivered.UNKNOWN: CommandRefused(
        "delivery_unknown",
        "The EVI server has not said whether it took the words: look at the conversation before "
        "you try again.",
    ),
}


@dataclass(frozen=True, slots=True)
class Dispatched:
    """An operator's message, and what will become of it."""

    message: evi.ClientMessage
    fate: asyncio.Future[Fate]


@dataclass(frozen=True, slots=True)
class _Waiting:
    message: evi.ClientMessage
    fate: asyncio.Future[Fate] | None
    """Of an operator's message; None for one of the call itself."""

    def settle(self, fate: Fate) -> None:
        if self.fate is not None and not self.fate.done():
            self.fate.set_result(fate)


async def way_of(told: Sequence[Dispatched]) -> Via | None:
    """Wait for an operator's messages; returns how they went, None if there was nobody to tell.

    Raises:
        CommandRefused: words may not have arrived, which cannot be made good by themselves
    """
    ways = []
    for each in told:
        fate = await each.fate
        if isinstance(fate, Via):
            ways.append(fate)
        elif isinstance(each.message, evi.UserInput):
            refusal = _LOST_WORDS[fate]
            raise CommandRefused(refusal.code, str(refusal))
    return Via.CHAT_SOCKET if Via.CHAT_SOCKET in ways else next(iter(ways), None)


class ChatDispatch:
    """Sends everything that the chat in use is told.

    Args:
        chats: the sockets
        control_plane: of the server
        is_owed: tells whether the agent was to speak a text and has not begun
        pause_is_uncertain: told when nobody knows whether a pause, or its end, has arrived
    """

    def __init__(
        self,
        chats: ChatLines,
        control_plane: ControlPlane,
        is_owed: Callable[[str], bool],
        pause_is_uncertain: Callable[[], None],
    ) -> None:
        self._chats = chats
        self._control_plane = control_plane
        self._is_owed = is_owed
        self._pause_is_uncertain = pause_is_uncertain
        self._chat_id = ""
        self._waiting: deque[_Waiting] = deque()
        self._sending: asyncio.Task[None] | None = None

    def use(self, chat: int) -> None:
        """From now on another chat speaks with the caller; what waited for the last one is void."""
        self.stop()
        self._chats.in_use = chat

    def opened(self, chat_id: str) -> None:
        """The chat in use has this id."""
        self._chat_id = chat_id

    def tell(self, message: evi.ClientMessage) -> None:
        """Send a message of the call itself."""
        if self._sending is None:
            self._chats.tell(message)
        else:
            self._waiting.append(_Waiting(message, None))

    def for_operator(self, message: evi.ClientMessage) -> Dispatched:
        """Send a message for an operator."""
        loop = asyncio.get_running_loop()
        fate: asyncio.Future[Fate] = loop.create_future()
        self._waiting.append(_Waiting(message, fate))
        if self._sending is None:
            self._sending = loop.create_task(self._send_waiting())
        return Dispatched(message, fate)

    def stop(self) -> list[evi.ClientMessage]:
        """The chat in use is gone, or is left; returns what the call had yet to tell it."""
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            each.settle(Undelivered.CHAT_LOST)
        return [each.message for each in waiting if each.fate is None]

    async def _send_waiting(self) -> None:
        # Messages of the call wait behind all that an operator does in a row, but not for longer.
        until_s = asyncio.get_running_loop().time() + ANSWER_TIMEOUT_S
        while self._waiting:
            waiting = self._waiting[0]
            is_late = asyncio.get_running_loop().time() >= until_s
            if waiting.fate is None or is_late:
                fate = self._write(waiting.message)
            else:
                fate = await self._post(waiting.message)
            self._waiting.popleft()
            waiting.settle(fate)
        self._sending = None

    async def _post(self, message: evi.ClientMessage) -> Fate:
        try:
            await self._control_plane.send(self._chat_id, message)
        except DeliveryUnknown as error:
            log.warning("control_plane_silent", chat_id=self._chat_id, error=str(error))
            return self._may_have_arrived(message)
        except LinkError as error:
            log.info("control_plane_unreachable", chat_id=self._chat_id, error=str(error))
            return self._write(message)
        except Exception:  # whatever it is, nothing waits for ever behind it
            log.exception("control_plane_failed", chat_id=self._chat_id)
            return self._write(message)
        return Via.CONTROL_PLANE

    def _may_have_arrived(self, message: evi.ClientMessage) -> Fate:
        """Send again what does no harm twice; words said twice do."""
        match message:
            case evi.UserInput():
                return Undelivered.UNKNOWN
            case evi.AssistantInput(text) if not self._is_owed(text):
                return Via.CONTROL_PLANE  # it is being spoken
            case evi.PauseAssistant() | evi.ResumeAssistant():
                self._pause_is_uncertain()
            case _:
                pass
        return self._write(message)

    def _write(self, message: evi.ClientMessage) -> Fate:
        try:
            is_sent = self._chats.tell(message)
        except Exception:  # it cannot be written; those behind it can
            log.exception("message_not_sent", chat_id=self._chat_id, type=message.type)
            return Undelivered.UNKNOWN
        return Via.CHAT_SOCKET if is_sent else Undelivered.CHAT_LOST
