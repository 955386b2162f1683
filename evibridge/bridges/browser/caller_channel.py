"""What a page and its call tell each other, the same on both transports."""

import asyncio
import time
from collections.abc import Callable

import structlog

from evibridge.agent.actions import HangUp
from evibridge.agent.call import Call
from evibridge.bridges.browser import messages
from evibridge.bridges.browser.allowance import Allowance
from evibridge.bridges.browser.caller_view import CallerView, ended_without_event
from evibridge.bridges.browser.desk import Place
from evibridge.bus import EventBus, Told
from evibridge.errors import BadMessage, CommandRefused
from evibridge.events import CallEnded, EndReason

PER_S = 20.0
"""Messages of a page in the long run; it sends a ping every 2 s, and two marks a second."""
BURST = 40
WARN_EVERY_S = 1.0
"""So often a page that sends more is told so."""

log = structlog.get_logger(__name__)


class CallerChannel:
    """One connection's messages, from its `welcome` on.

    The constructor sends `welcome`, and then what the page has missed.

    Args:
        place: of the caller
        call: that the connection has joined
        bus: tells what happens
        send_text: sends one message; returns at once
        holding: tells what the caller hears while he waits for the tool of a name
        since: number of the last event that the page knows; None if it knows none
        transport: of the connection
    """

    def __init__(
        self,
        place: Place,
        call: Call,
        bus: EventBus,
        send_text: Callable[[bytes], None],
        holding: Callable[[str], str | None],
        since: int | None,
        *,
        transport: messages.Transport,
    ) -> None:
        self._call = call
        self._send = send_text
        self._loop = asyncio.get_running_loop()
        self._began_at_s = call.snapshot(with_lines=False).began_at_s
        self._view = CallerView(self._began_at_s, holding)
        self._allowance = Allowance(PER_S, BURST)
        self._warned_s = float("-inf")
        self._is_open = True
        self._has_told_end = False
        self._unsubscribe: Callable[[], None] = _nothing
        send_text(
            messages.welcome(
                call_id=call.call_id,
                key=place.key,
                resume_s=place.resume_s,
                agent_name=place.agent_name,
                transport=transport,
            )
        )
        self._catch_up(bus, since)
        self._unsubscribe = bus.subscribe(self._told, call.call_id)

    @property
    def call_id(self) -> str:
        """Of the call."""
        return self._call.call_id

    @property
    def messages_dropped(self) -> int:
        """How many messages of the page came too fast to be read."""
        return self._allowance.refused

    def receive(self, text: bytes) -> bool:
        """Act on a message of the page.

        Returns:
            False for one that belongs to the transport: `hello` or `mark`
        """
        now_s = self._loop.time()
        if not self._allowance.take(1, now_s):
            self._warn(now_s)
            return True
        try:
            message = messages.parse(text)
        except BadMessage as error:
            self._send(messages.refused("bad_message", str(error)))
            return True
        if isinstance(message, messages.Hello | messages.Mark):
            return False
        if self._is_open:
            self._obey(message)
        return True

    def end(self, how: HangUp, close: Callable[[], None]) -> None:
        """The call ends: tell the page so, and then close the connection.

        The last events of a call are told right behind its end, and are still to come.
        """
        self._view.last_words = how.last_words
        self._loop.call_soon(self._finish, how, close)

    def close(self) -> None:
        """Nothing more is told: the connection is gone, or another one has the call."""
        self._is_open = False
        self._unsubscribe()

    def _catch_up(self, bus: EventBus, since: int | None) -> None:
        """Tell what the page does not know; the view has to see everything."""
        known_seq = 0 if since is None or since > bus.last_seq else since
        for told in bus.history(self._call.call_id):
            self._told(told, known_seq)

    def _told(self, told: Told, known_seq: int = 0) -> None:
        message = self._view.follow(told)
        self._has_told_end |= isinstance(told.event, CallEnded)
        if message is not None and told.seq > known_seq:
            self._send(message)

    def _finish(self, how: HangUp, close: Callable[[], None]) -> None:
        if self._is_open and not self._has_told_end:
            self._send(ended_without_event(how, time.time() - self._began_at_s))
        self.close()
        close()

    def _obey(self, message: messages.Message) -> None:
        match message:
            case messages.Ping():
                self._send(messages.PONG)
            case messages.Pause():
                self._ask("pause", self._call.caller_pauses)
            case messages.Resume():
                self._ask("resume", self._call.caller_resumes)
            case messages.Typed(text):
                self._call.caller_typed(text)
            case messages.Mute(is_muted):
                self._call.caller_mutes(is_muted=is_muted)
            case messages.End():
                self._call.caller_left(EndReason.CALLER_HUNG_UP)

    def _ask(self, command: str, ask: Callable[[], None]) -> None:
        try:
            ask()
        except CommandRefused as error:
            self._send(messages.refused(error.code, str(error), command=command))

    def _warn(self, now_s: float) -> None:
        if now_s - self._warned_s >= WARN_EVERY_S:
            self._warned_s = now_s
            sentence = f"Send at most {PER_S:g} messages a second: some were not read."
            self._send(messages.refused("too_many_messages", sentence))
            log.warning("caller_sends_too_much", call_id=self._call.call_id)


def _nothing() -> None:
    """Of no effect."""
