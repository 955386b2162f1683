"""One chat socket: performs what the course of the chat asks for, and owns its tasks."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import assert_never

import structlog

from evibridge.engine.chat import faults, messages
from evibridge.engine.chat.actions import (
    Action,
    Answer,
    AnswerAfterTool,
    EndChat,
    Recite,
    Refuse,
    Report,
    Search,
    SpeakUp,
    Start,
    Stop,
    Tell,
    TellSender,
    Work,
)
from evibridge.engine.chat.chat_settings import ChatSettings
from evibridge.engine.chat.dialogue import Dialogue
from evibridge.engine.chat.faults import Fault, malformed
from evibridge.engine.chat.handshake import Handshake
from evibridge.engine.chat.history import History
from evibridge.engine.chat.inbox import Inbox, Sender
from evibridge.engine.chat.messages import ControlMessage, ServerMessage
from evibridge.engine.chat.mirrors import Mirrors
from evibridge.engine.chat.mistakes import TOO_OFTEN, Mistakes
from evibridge.engine.chat.part import AUDIO_BACKLOG_BYTES, PartAtWork
from evibridge.engine.hearing.audio_in import WholeFile
from evibridge.engine.hearing.hearing import Hearing
from evibridge.engine.minds.mind import Action as Step
from evibridge.engine.minds.mind import Say
from evibridge.engine.minds.patience import patient
from evibridge.engine.parts import EngineParts
from evibridge.engine.tasks import OwnedTasks
from evibridge.engine.webhooks.chat_webhooks import ChatWebhooks
from evibridge.engine.webhooks.events import ChatIdentity
from evibridge.errors import BadAudio
from evibridge.sockets import Socket, SocketListener

MAX_UNSENT_BYTES = 2 * AUDIO_BACKLOG_BYTES
"""Audio, and as much of control messages: a client that takes neither counts as gone."""
AUDIO_FAULT_INTERVAL_S = 1.0
"""Bad audio comes fifty times a second: it is one mistake, and told once a second."""
CLEAN_UP_TIMEOUT_S = 2.0
"""How long the mind of a chat may take to give back what it holds."""

ABNORMAL_CLOSURE = 1006
"""The connection ended without a close frame (RFC 6455, 7.1.5)."""

log = structlog.get_logger()


class Chat(SocketListener):
    """The server side of one chat: its fault ends this chat and harms no other.

    Args:
        owner: who the client is, as `Access.admits` tells
        live: the chats of the engine by id, which this one joins and leaves by itself
    """

    is_own_client = True  # as a `Sender`, a chat stands for the client at its socket

    def __init__(
        self, parts: EngineParts, handshake: Handshake, owner: str, live: dict[str, "Chat"]
    ) -> None:
        self.id = str(uuid.uuid4())
        self.owner = owner
        self._parts = parts
        self._handshake = handshake
        self._live = live
        self._conversation = parts.mind.conversation()
        self._loop = asyncio.get_running_loop()
        self._unix_minus_loop_s = time.time() - self._loop.time()
        self._opened_s = self.now_s()
        self._last_received_s = self._opened_s
        resumed_id = handshake.resumed_chat_group_id
        groups = parts.groups
        self._group = groups.resume(resumed_id, owner) if resumed_id else groups.open(owner)
        history = self._group.history if self._group else History()
        self.dialogue = Dialogue(
            now_s=self._opened_s,
            limits=parts.limits,
            phrases=parts.phrases,
            new_id=lambda: uuid.uuid4().hex,
            history=history,
            remembers_since=history.place_of_last(handshake.event_limit),
            count_tool_call=parts.metrics.tool_call_ended,
            resumes=resumed_id is not None,
            can_search=parts.web_search is not None,
        )
        self.dialogue.settings = ChatSettings(configured_prompt=parts.system_prompt)
        self._tasks = OwnedTasks(self._fail)
        self._hearing = Hearing(
            parts.ears,
            parts.turn_taking,
            self,
            self._tasks,
            interim=handshake.verbose_transcription,
        )
        self._inbox = Inbox(self, self._hearing)
        self.mirrors = Mirrors(allowed=handshake.allow_connection)
        self._webhooks: ChatWebhooks | None = None
        self._part: asyncio.Task[None] | None = None
        self._searching: asyncio.Task[None] | None = None
        self._turn_ended_s: float | None = None
        self._turns = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at_s: float | None = None
        self._socket: Socket
        self._over = False
        self._why = "client_left"
        self._gone = asyncio.Event()
        self._clean_up: asyncio.Task[None]
        self._mistakes = Mistakes()
        self._audio_fault_told_s = 0.0

    def now_s(self) -> float:
        """Unix time that no correction of the system's clock can set back."""
        return self._loop.time() + self._unix_minus_loop_s

    @property
    def is_over(self) -> bool:
        """Whether nothing that is said to the chat has an effect any more."""
        return self._over

    @property
    def unsent_bytes(self) -> int:
        """How far the network is behind."""
        return self._socket.unsent_bytes()

    async def finished(self) -> None:
        """Return when the connection is gone and nothing of the chat is left."""
        await self._gone.wait()
        await self._clean_up

    def end(self, code: int, reason: str, *, why: str) -> None:
        """Close the chat from this side."""
        if not self._over:
            self._why = why
            self._stop()
            self._socket.close(code, reason)

    # What the socket tells

    def on_open(self, socket: Socket) -> None:
        """Begin with the identity of the chat, or end it for want of the group to resume."""
        self._socket = socket
        self._live[self.id] = self
        self._parts.metrics.chat_started()
        group = self._group
        resumes = self._handshake.resumed_chat_group_id is not None
        log.info("chat_started", chat_id=self.id, resumes=resumes)
        if group is None:
            fault = faults.GROUP_NOT_FOUND
            self._report(fault)
            self.end(1000, fault.message, why=fault.slug)
            return
        group.members.append(self)
        self.send(messages.chat_metadata(self.id, group.id, str(uuid.uuid4())))
        self._guard(self._begin)
        if self._parts.webhooks is not None:
            identity = ChatIdentity(self.id, group.id, self._handshake.config_id)
            self._webhooks = ChatWebhooks(self._parts.webhooks, identity, self._opened_s)
            self._webhooks.started(self.dialogue.settings.custom_session_id, resumed=resumes)

    def _begin(self) -> None:
        if self._handshake.fault is not None:
            self.refuse(self._handshake.fault)
        if self._handshake.settings is not None:
            self._inbox.change_settings(self._handshake.settings, self)
        self._arm()

    def on_text(self, text: bytes) -> None:
        """One message of the client."""
        self._last_received_s = self.now_s()
        self._guard(self._receive, text)

    def on_binary(self, data: bytes) -> None:
        """Raw audio of the caller."""
        self._last_received_s = self.now_s()
        self._guard(self._hear, data)

    def on_close(self, code: int, reason: str) -> None:
        """The connection is gone, whoever ended it."""
        del reason  # free text of a peer
        self._stop()
        # Who says goodbye was there until now; who vanished was last there with the last message.
        vanished = code == ABNORMAL_CLOSURE
        self.dialogue.client_left(self._last_received_s if vanished else self.now_s())
        if self._group is not None:
            self._parts.groups.leave(self._group, self)
        self._gone.set()
        self._parts.metrics.chat_ended(self._why)
        log.info(
            "chat_ended",
            chat_id=self.id,
            why=self._why,
            code=code,
            duration_s=round(self.now_s() - self._opened_s, 1),
            turns=self._turns,
            heard_ms=self._hearing.position_ms,
        )
        self._clean_up = self._loop.create_task(self._give_back())
        if self._webhooks is not None:
            session_id = self.dialogue.settings.custom_session_id
            self._webhooks.ended(self._why, session_id, self.now_s())

    def resumed_elsewhere(self) -> None:
        """Count as heard only what was played while the client was surely there."""
        self.dialogue.client_left(self._last_received_s)

    async def _give_back(self) -> None:
        for ending in (self._tasks.ended(), self._conversation.close()):
            try:
                async with asyncio.timeout(CLEAN_UP_TIMEOUT_S):
                    await ending
            except Exception as error:  # whatever its mind does, the chat is over
                log.warning("chat_not_cleaned_up", chat_id=self.id, exc_info=error)
        del self._live[self.id]

    # What the client says

    def _receive(self, text: bytes) -> None:
        match messages.decode(text):
            case messages.AudioInput(data):
                self._hear(data)
            case Fault() as fault:
                self.refuse(fault)
            case message:
                self._mistakes.forgive()
                self._inbox.take(message, self)

    def take(self, message: ControlMessage, sender: Sender) -> None:
        """Do what a message of the control plane wants, unless the chat is over."""
        self._guard(self._inbox.take, message, sender)

    def _hear(self, data: bytes) -> None:
        try:
            self._hearing.take(data)
        except WholeFile as error:
            self.refuse(Fault("E0723", "audio_not_streamed", str(error)))
        except BadAudio as error:
            if self.now_s() - self._audio_fault_told_s >= AUDIO_FAULT_INTERVAL_S:
                self._audio_fault_told_s = self.now_s()
                self.refuse(malformed(f"audio_input: {error}"))
        else:
            self.perform(self.dialogue.client_ready())

    # What the hearing tells

    def agent_is_speaking(self) -> bool:
        """Tell whether speech of the caller is an interruption now."""
        return self.dialogue.speaking(self.now_s())

    def caller_interrupts(self) -> None:
        """The caller has spoken over the agent for long enough."""
        actions = self.dialogue.caller_interrupts(self.now_s())
        if actions:
            self._parts.metrics.interrupted()
        self.perform(actions)

    def interruption_was_noise(self) -> None:
        """What interrupted the agent held no words."""
        self.perform(self.dialogue.interruption_was_noise())

    def caller_is_saying(self, text: str, begin_ms: int, end_ms: int) -> None:
        """A provisional transcript of what the caller is saying."""
        self.perform(self.dialogue.caller_is_saying(text, begin_ms, end_ms))

    def caller_said(self, text: str, begin_ms: int, end_ms: int) -> None:
        """A stretch of speech is over."""
        self.perform(self.dialogue.caller_said(text, begin_ms, end_ms, self.now_s()))

    def turn_ended(self) -> None:
        """The caller has finished and waits for an answer."""
        self._turns += 1
        actions = self.dialogue.turn_ended()
        if actions:
            self._parts.metrics.turn_ended()
            self._turn_ended_s = self.now_s()
        self.perform(actions)

    def not_heard(self) -> None:
        """The ears have failed to recognise what the caller said."""
        self.perform(self.dialogue.not_heard())

    # What the course of the chat asks for

    def perform(self, actions: list[Action], sender: Sender | None = None) -> None:
        """Do what the dialogue wants, in its order.

        Args:
            actions: what to do
            sender: whose message asked for it; None stands for the chat's own client
        """
        for action in actions:
            match action:
                case Tell(message):
                    self._tell(message)
                case TellSender(message):
                    (sender or self).answer(message)
                case Refuse(fault):
                    (sender or self).refuse(fault)
                case Report(fault):
                    self._report(fault)
                case Start(number, work):
                    part = PartAtWork(self, number)
                    self._part = self._tasks.start(part.run(self._steps(work), self._speak))
                case Stop():
                    assert self._part is not None
                    self._part.cancel()
                case Search(call_id, query):
                    self._start_search(call_id, query)
                case EndChat(why):
                    self.end(1000, "The conversation is over.", why=why)
                case _:
                    assert_never(action)
        self._arm()

    def _steps(self, work: Work) -> AsyncIterator[Step]:
        match work:
            case Recite(text):
                return _one(Say(text))
            case SpeakUp(prompt, occasion):
                return self._conversation.speak_up(prompt, occasion)
            case Answer(prompt):
                return self._patient(self._conversation.reply(prompt))
            case AnswerAfterTool(prompt, call, outcome):
                return self._patient(self._conversation.after_tool(prompt, call, outcome))

    def _patient(self, steps: AsyncIterator[Step]) -> AsyncIterator[Step]:
        after_s = self._parts.filler_after_s
        if after_s is None:
            return steps
        return patient(steps, filler=self._parts.phrases.filler, after_s=after_s)

    def _speak(self, sentence: str) -> AsyncIterator[bytes]:
        return self._parts.voice.speak(sentence, self.dialogue.settings.voice_id)

    def _tell(self, message: ServerMessage) -> None:
        if message["type"] == "assistant_end":
            self._turn_ended_s = None  # whatever is said after it answers nobody
        self.send(message)
        if self._webhooks is not None and not self._over:
            session_id = self.dialogue.settings.custom_session_id
            self._webhooks.sent(message, session_id, self.now_s())

    def _start_search(self, call_id: str, query: str) -> None:
        if self._searching is not None:
            self._searching.cancel()  # the call that it was for is dropped
        self._searching = self._tasks.start(self._search(call_id, query))

    async def _search(self, call_id: str, query: str) -> None:
        assert self._parts.web_search is not None
        found: str | None = None
        try:
            async with asyncio.timeout(self._parts.limits.tool_timeout_s):
                found = await self._parts.web_search(query)
        except Exception as error:  # the search is the owner's, and so are its faults
            log.warning("web_search_failed", chat_id=self.id, exc_info=error)
        self.perform(self.dialogue.searched(call_id, found))

    def audio_begins(self) -> None:
        """The first audio of a part is about to be sent."""
        if self._turn_ended_s is not None:
            self._parts.metrics.turn_answered(self.now_s() - self._turn_ended_s)
            self._turn_ended_s = None

    def send(self, message: ServerMessage) -> None:
        """Send a message, unless the client has stopped reading."""
        if self._over:
            return
        if self.unsent_bytes > MAX_UNSENT_BYTES:
            self.drop_slow_reader()
            return
        text = messages.encode(message, self.dialogue.settings.custom_session_id)
        self._socket.send_text(text)
        self.mirrors.repeat(message, text)

    def show(self, message: ServerMessage) -> None:
        """Send a message to mirrors alone."""
        self.mirrors.tell(message, self.dialogue.settings.custom_session_id)

    def drop_slow_reader(self) -> None:
        """Cut a connection that takes nothing: a close frame would only join the backlog."""
        log.warning("chat_reader_too_slow", chat_id=self.id)
        self._why = "reader_too_slow"
        self._stop()
        self._socket.abort()

    def _report(self, fault: Fault) -> None:
        self._parts.metrics.error_sent(fault.code)
        self.send(messages.error(fault, str(uuid.uuid4())))

    def refuse(self, fault: Fault) -> None:
        """Tell a fault of the client; one who goes on repeating it is closed."""
        self._report(fault)
        if self._mistakes.is_once_too_often(fault):
            self.end(1008, TOO_OFTEN, why="repeated_errors")

    def answer(self, message: ServerMessage) -> None:
        """Tell the client that what it said came too late."""
        self._tell(message)

    # Time, faults and the end

    def _arm(self) -> None:
        """Wake up when the dialogue wants to."""
        wake_at_s = None if self._over else self.dialogue.wake_at_s
        if wake_at_s == self._wake_at_s:
            return
        self._wake_at_s = wake_at_s
        if self._timer is not None:
            self._timer.cancel()
        if wake_at_s is not None:
            at_s = wake_at_s - self._unix_minus_loop_s
            self._timer = self._loop.call_at(at_s, self._guard, self._wake)

    def _wake(self) -> None:
        self._wake_at_s = None  # a timer may be a rounding error too early: then it is armed again
        caller_speaks = self._hearing.caller_is_speaking
        self.perform(self.dialogue.woke(self.now_s(), caller_speaks=caller_speaks))

    def _guard(self, callback: Callable[..., None], *arguments: object) -> None:
        if self._over:
            return
        try:
            callback(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and logged
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        log.error("chat_failed", chat_id=self.id, exc_info=error)
        self._report(faults.INTERNAL_FAULT)
        self.end(1011, faults.INTERNAL_FAULT.message, why=faults.INTERNAL_FAULT.slug)

    def _stop(self) -> None:
        self._over = True
        self._arm()
        self._tasks.stop()
        self.mirrors.end()


async def _one(step: Step) -> AsyncIterator[Step]:
    yield step
