"""How messages reach a chat that somebody else has opened: by the control plane or by a mirror."""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

import structlog

from evibridge.agent import evi_messages as evi
from evibridge.agent.commands import Via
from evibridge.agent.control_plane import ControlPlane, DeliveryUnknown
from evibridge.agent.evi_mirror import EviMirror
from evibridge.agent.sidecar_mirrors import SidecarMirrors
from evibridge.errors import LinkError, LinkRefused

log = structlog.get_logger(__name__)

UNSURE_S = 2.0
"""What was sent by a mirror so short a time before it broke may be lost with it."""
MAX_UNSURE = 64

_MALFORMED = frozenset({400, 422})
_NO_SUCH_CHAT = 404
_SAID = (evi.UserInput, evi.AssistantInput)
"""Said twice is worse than perhaps not at all; the second one of all else changes nothing."""


class Undelivered(Enum):
    """What became of a message that did not reach the chat."""

    REFUSED = auto()
    """The server will not have it, however often it is sent."""
    KEPT = auto()
    """There is no way to the chat now."""


class PostOwner(Protocol):
    """Who is told what did not arrive."""

    def chat_missed(self, messages: Iterable[evi.ClientMessage]) -> None:
        """These were not delivered, or perhaps not, in this order."""

    def chat_unknown(self) -> None:
        """The server does not know the chat."""


@dataclass(frozen=True, slots=True)
class _Letter:
    message: evi.ClientMessage
    fate: "asyncio.Future[Via | Undelivered]"


class SidecarPost:
    """Delivers messages to one chat, one after another, so that they arrive in order.

    Args:
        owner: is told what did not arrive
        chat_id: of the chat
        control_plane: of the server
        mirrors: of the chat
    """

    def __init__(
        self,
        owner: PostOwner,
        chat_id: str,
        control_plane: ControlPlane,
        mirrors: SidecarMirrors,
    ) -> None:
        self._owner = owner
        self._chat_id = chat_id
        self._control_plane = control_plane
        self._mirrors = mirrors
        self._letters: deque[_Letter] = deque()
        self._has_letters = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._by_mirror: deque[tuple[float, evi.ClientMessage]] = deque(maxlen=MAX_UNSURE)
        """What was sent by the mirror in use, and when, as far as it may be sent again."""

    def send(self, message: evi.ClientMessage) -> "asyncio.Future[Via | Undelivered]":
        """Send a message behind those that were sent before; returns what will become of it."""
        letter = _Letter(message, asyncio.get_running_loop().create_future())
        self._letters.append(letter)
        self._has_letters.set()
        self._is_empty.clear()
        return letter.fate

    async def run(self) -> None:
        """Deliver, until this is cancelled."""
        while True:
            await self._has_letters.wait()
            while self._letters:
                fate = await self._deliver(self._letters[0].message)
                if fate is Undelivered.KEPT:
                    self._owner.chat_missed(self.take_back())
                else:
                    self._letters.popleft().fate.set_result(fate)
            self._has_letters.clear()
            self._is_empty.set()

    def mirror_lost(self) -> None:
        """The mirror is gone, and with it perhaps what was sent by it just now."""
        since_s = asyncio.get_running_loop().time() - UNSURE_S
        unsure = [message for sent_s, message in self._by_mirror if sent_s >= since_s]
        self._by_mirror.clear()
        if unsure:
            self._owner.chat_missed(unsure)

    async def delivered(self, timeout_s: float) -> None:
        """Return when everything was sent, at most after so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._is_empty.wait()

    def take_back(self) -> list[evi.ClientMessage]:
        """Send nothing of what still waits; returns it."""
        letters, self._letters = list(self._letters), deque()
        for letter in letters:
            letter.fate.set_result(Undelivered.KEPT)
        return [letter.message for letter in letters]

    async def _deliver(self, message: evi.ClientMessage) -> Via | Undelivered:
        try:
            await self._control_plane.send(
                self._chat_id, message, is_only_way=self._open_mirror() is None
            )
        except DeliveryUnknown as error:
            log.warning("control_plane_silent", call_id=self._chat_id, error=str(error))
            if not isinstance(message, _SAID):
                return self._deliver_otherwise(message, None, may_pass=True)
        except LinkRefused as error:
            log.warning("control_plane_refused", call_id=self._chat_id, error=str(error))
            return self._deliver_otherwise(message, error.status, may_pass=error.retryable)
        except LinkError as error:
            log.info("control_plane_unreachable", call_id=self._chat_id, error=str(error))
            return self._deliver_otherwise(message, None, may_pass=True)
        except Exception:  # whatever it is, nothing waits for ever behind it
            log.exception("control_plane_failed", call_id=self._chat_id)
            return Undelivered.REFUSED
        return Via.CONTROL_PLANE

    def _deliver_otherwise(
        self, message: evi.ClientMessage, status: int | None, *, may_pass: bool
    ) -> Via | Undelivered:
        """Deliver what the control plane has not, unless it has told that nobody would take it."""
        mirror = self._open_mirror()
        if mirror is not None and status not in _MALFORMED:
            mirror.send(message)
            if not isinstance(message, _SAID):
                self._by_mirror.append((asyncio.get_running_loop().time(), message))
            return Via.CHAT_SOCKET
        if status == _NO_SUCH_CHAT:
            self._owner.chat_unknown()
        return Undelivered.KEPT if may_pass else Undelivered.REFUSED

    def _open_mirror(self) -> EviMirror | None:
        mirror = self._mirrors.in_use
        return mirror if mirror is not None and mirror.is_open else None
