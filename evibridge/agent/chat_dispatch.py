"""How messages reach the chat: by its own socket, or by the control plane, in one order.

What an operator asks for goes out by the control plane, where every observer of the chat sees it.
That takes a moment; what the call itself has to tell meanwhile waits behind it.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

import structlog

from evibridge.agent import evi_messages as evi
from evibridge.agent.chat_lines import ChatLines
from evibridge.agent.commands import Via
from evibridge.agent.control_plane import ControlPlane, DeliveryUnknown
from evibridge.errors import LinkError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    message: evi.ClientMessage
    done: "asyncio.Future[Via | None] | None"
    """Waits for how an operator's message has gone; None for a message of the call itself."""


class ChatDispatch:
    """Sends everything that the chat in use is told.

    Args:
        chats: the sockets
        control_plane: of the server
    """

    def __init__(self, chats: ChatLines, control_plane: ControlPlane) -> None:
        self._chats = chats
        self._control_plane = control_plane
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

    def tell_for_operator(self, message: evi.ClientMessage) -> "asyncio.Future[Via | None]":
        """Send a message for an operator.

        Returns:
            how it has gone; None if the chat was left before
        """
        done: asyncio.Future[Via | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(message, done))
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send_waiting())
        return done

    def stop(self) -> None:
        """The chat in use is left; nothing more is sent to it."""
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        while self._waiting:
            waiting = self._waiting.popleft()
            if waiting.done is not None and not waiting.done.done():
                waiting.done.set_result(None)

    async def _send_waiting(self) -> None:
        while self._waiting:
            waiting = self._waiting[0]
            if waiting.done is None:
                self._chats.tell(waiting.message)
            else:
                via = await self._send(waiting.message)
                if not waiting.done.done():
                    waiting.done.set_result(via)
            self._waiting.popleft()
        self._sending = None

    async def _send(self, message: evi.ClientMessage) -> Via:
        try:
            await self._control_plane.send(self._chat_id, message)
        except DeliveryUnknown as error:  # said twice is worse than perhaps not at all
            log.warning("control_plane_silent", chat_id=self._chat_id, error=str(error))
        except LinkError as error:
            log.info("control_plane_unreachable", chat_id=self._chat_id, error=str(error))
            self._chats.tell(message)
            return Via.CHAT_SOCKET
        except Exception:  # whatever it is, nothing waits for ever behind it
            log.exception("control_plane_failed", chat_id=self._chat_id)
            self._chats.tell(message)
            return Via.CHAT_SOCKET
        return Via.CONTROL_PLANE
