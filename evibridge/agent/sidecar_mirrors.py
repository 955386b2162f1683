"""The mirrors of one sidecar as connections, and why there is none if there is none."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from evibridge.agent.actions import Connect
from evibridge.agent.evi_client import EviServer
from evibridge.agent.evi_mirror import EviMirror, MirrorOwner
from evibridge.agent.mirror_link import MirrorFate, fate_of_refusal
from evibridge.errors import CommandRefused, LinkError, LinkRefused, SettingsError

_REFUSALS = {
    MirrorFate.CHAT_IS_OVER: ("chat_not_found", "There is no such chat, or it is over."),
    MirrorFate.NOT_ALLOWED: (
        "mirror_refused",
        "The chat has to be opened with allow_connection=true.",
    ),
    MirrorFate.BAD_KEY: ("mirror_refused", "Check HUME_API_KEY."),
    MirrorFate.COMES_BACK: ("evi_unreachable", "It is tried again."),
}

log = structlog.get_logger(__name__)


class SidecarMirrors:
    """Opens and closes the mirrors that the session numbers, one at a time.

    Args:
        owner: gets what they tell
        server: where they are opened
        chat_id: of the chat
    """

    def __init__(self, owner: MirrorOwner, server: EviServer, chat_id: str) -> None:
        self._owner = owner
        self._server = server
        self._chat_id = chat_id
        self.in_use: EviMirror | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._refusal: CommandRefused | None = None

    def connect(
        self,
        attempt: Connect,
        tasks: asyncio.TaskGroup,
        *,
        unavailable: Callable[[int, MirrorFate], None],
    ) -> None:
        """Open a mirror; `unavailable` is told its number if that fails, and what that means."""
        mirror = self.in_use = EviMirror(self._owner, attempt.chat)

        async def open_mirror() -> None:
            try:
                await mirror.open(self._server, self._chat_id, timeout_s=attempt.timeout_s)
            except (LinkError, SettingsError) as error:
                unavailable(attempt.chat, self._note(error))

        self._connecting = tasks.create_task(open_mirror())

    def close(self) -> None:
        """Close the mirror, open or not; nothing of it is told any more."""
        mirror, self.in_use = self.in_use, None
        if mirror is not None:
            mirror.close()
        if self._connecting is not None and self._connecting is not asyncio.current_task():
            self._connecting.cancel()

    def settle(self, *, is_attached: bool) -> None:
        """It is known whether the sidecar learns what happens in the chat."""
        if is_attached:
            self._refusal = None
        self._settled.set()

    async def settled(self, timeout_s: float) -> None:
        """Return when the sidecar learns what happens in the chat.

        Raises:
            CommandRefused: `chat_not_found`, `mirror_refused`, or `evi_unreachable` if that is not
                known within `timeout_s`
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        if self._refusal is not None:
            raise self._refusal
        if not self._settled.is_set():
            raise CommandRefused("evi_unreachable", "The EVI server has not answered in time.")

    def _note(self, error: LinkError | SettingsError) -> MirrorFate:
        fate = fate_of_refusal(error.status if isinstance(error, LinkRefused) else None)
        if isinstance(error, SettingsError):
            fate = MirrorFate.BAD_KEY
        code, advice = _REFUSALS[fate]
        self._refusal = CommandRefused(code, f"{error} {advice}")
        log.warning("mirror_unavailable", call_id=self._chat_id, error=str(self._refusal))
        return fate
