"""What a page and its call tell each other, the same on both transports."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable

import structlog

from evibridge.agent.actions import HangUp
from evibridge.agent.call import Call
from evibridge.bridges.browser import messages
from evibridge.bridges.browser.allowance import Allowance
from evibridge.bridges.browser.caller_view import CallerView, ended_without_event
from evibridge.bridges.browser.desk import Place
from evibridge.bridges.browser.replay import Replay
from evibridge.bus import EventBus, Told
from evibridge.errors import BadMessage, CommandRefused
from evibridge.events import CallEnded, EndReason

PER_S = 20.0
"""Messages of a page in the long run; it sends a ping and two marks each second."""
BURST = 40
WARN_EVERY_S = 1.0
"""So often a page that sends more is told so."""

log = structlog.get_logger(__name__)


class CallerChannel:
    """One connection's messages, from its `welcome` on.

    The constructor sends `welcome`, and then what the page has missed: the newest of it, if that is
    too much for a connection, and `welcome` says so.

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
        self._place = place
        self._call = call
        self._send = send_text
        self._loop = asyncio.get_running_loop()
        self._began_at_s = call.snapshot(with_lines=False).began_at_s
        self._view = CallerView(self._began_at_s, holding)
        self._allowance = Allowance(PER_S, BURST)
        self._refused = 0
        self._warned_s = float("-inf")
        self._is_open = True
        self._has_told_end = False
        self._unsubscribe: Callable[[], None] = _nothing
        self._welcome(bus, since, transport)
        self._unsubscribe = bus.subscribe(self._told, call.call_id)

    @property
    def call_id(self) -> str:
        """Of the call."""
        return self._call.call_id

    @property
    def messages_dropped(self) -> int:
        """How many messages of the page came too fast to be read, or to be obeyed."""
        return self._allowance.refused + self._refused

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
        if self._is_open and not self._call.is_over:  # `ended` is the last word
            self._obey(message, now_s)
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

    def _welcome(self, bus: EventBus, since: int | None, transport: messages.Transport) -> None:
        known_seq = 0 if since is None or since > bus.last_seq else since
        history = bus.history(self.call_id)
        replay = self._replay(history, known_seq)
        is_cut = replay.is_cut or (bool(history) and bus.since(self.call_id, known_seq) is None)
        self._send(
            messages.welcome(
                call_id=self.call_id,
                key=self._place.key,
                resume_s=self._place.resume_s,
                agent_name=self._place.agent_name,
                transport=transport,
                missed=is_cut,
            )
        )
        for message in replay.messages():
            self._send(message)

    def _replay(self, history: Iterable[Told], known_seq: int) -> Replay:
        """Gather what the page does not know; the view has to see everything."""
        replay = Replay()
        for told in history:
            message = self._follow(told)
            if message is not None and told.seq > known_seq:
                replay.add(told.event, message)
        return replay

    def _told(self, told: Told) -> None:
        message = self._follow(told)
        if message is not None:
            self._send(message)

    def _follow(self, told: Told) -> bytes | None:
        self._has_told_end |= isinstance(told.event, CallEnded)
        return self._view.follow(told)

    def _finish(self, how: HangUp, close: Callable[[], None]) -> None:
        if self._is_open and not self._has_told_end:
            self._send(ended_without_event(how, time.time() - self._began_at_s))
        self.close()
        close()

    def _obey(self, message: messages.Message, now_s: float) -> None:
        call = self._call
        match message:
            case messages.Ping():
                self._send(messages.PONG)
            case messages.Typed(text):
                wait_s = self._place.allowance.write(len(text), now_s)
                if self._may("text", "too_many_texts", wait_s):
                    self._ask("text", lambda: call.caller_typed(text))
            case messages.Pause():
                self._change("pause", call.caller_pauses, now_s)
            case messages.Resume():
                self._change("resume", call.caller_resumes, now_s)
            case messages.Mute(is_muted):
                self._change("mute", lambda: call.caller_mutes(is_muted=is_muted), now_s)
            case messages.End():
                call.caller_left(EndReason.CALLER_HUNG_UP)

    def _change(self, command: str, change: Callable[[], None], now_s: float) -> None:
        if self._may(command, "too_many_changes", self._place.allowance.change(now_s)):
            self._ask(command, change)

    def _may(self, command: str, code: str, wait_s: float) -> bool:
        """Tell the page to wait, if it has to."""
        if wait_s <= 0.0:
            return True
        self._refused += 1
        seconds = math.ceil(wait_s)
        sentence = f"Too much at once, this was not done: try again in {seconds} s."
        self._send(messages.refused(code, sentence, command=command, retry_after_s=seconds))
        return False

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
