"""One chat socket: performs what the course of the chat asks for, and owns its tasks."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import assert_never

import structlog

from evibridge.audio.wav import wav_file
from evibridge.engine import messages
from evibridge.engine.actions import (
    Action,
    Answer,
    AnswerAfterTool,
    EndChat,
    Greet,
    Recite,
    Refuse,
    Start,
    Stop,
    Tell,
)
from evibridge.engine.audio_in import WholeFile
from evibridge.engine.chat_settings import ChatSettings
from evibridge.engine.dialogue import Dialogue
from evibridge.engine.ears import Ears
from evibridge.engine.hearing import Hearing
from evibridge.engine.messages import Fault, ServerMessage, SessionSettings, malformed
from evibridge.engine.mind import Action as Step
from evibridge.engine.mind import CallTool, Mind, Say
from evibridge.engine.reply import perform
from evibridge.engine.tasks import OwnedTasks
from evibridge.engine.turns import TurnTaking
from evibridge.engine.voice import Voice
from evibridge.errors import BadAudio
from evibridge.sockets import Socket, SocketListener

VOICE_RATE_HZ = 48_000
MAX_LEAD_S = 30.0
"""How far the agent's audio runs ahead of its playback. Almost every reply is shorter and goes out
as fast as it is synthesised; a longer one must not fill a client's queue (bridges give up a call
at 60 s unplayed) nor synthesise minutes that an interruption throws away."""
AUDIO_BACKLOG_BYTES = 256 * 1024
"""Two seconds of audio that the network has not taken: sending waits until it is less."""
MAX_UNSENT_BYTES = 2 * AUDIO_BACKLOG_BYTES
"""Audio, and as much of control messages: a client that takes neither counts as gone."""
BACKLOG_CHECK_S = 0.02
STALLED_READER_S = 10.0
MAX_IDENTICAL_FAULTS = 10

log = structlog.get_logger()


class Chat(SocketListener):
    """The server side of one chat: its fault ends this chat and harms no other.

    Args:
        settings: initial settings, or the fault in them, from the handshake
        live: the chats of the engine, which this one joins and leaves by itself
    """

    def __init__(
        self,
        *,
        ears: Ears,
        mind: Mind,
        voice: Voice,
        turn_taking: TurnTaking,
        tool_timeout_s: float,
        settings: SessionSettings | Fault | None,
        live: set["Chat"],
    ) -> None:
        self.id = str(uuid.uuid4())
        self.voice = voice
        self._conversation = mind.conversation()
        self._initial_settings = settings
        self._live = live
        self._loop = asyncio.get_running_loop()
        self._unix_minus_loop_s = time.time() - self._loop.time()
        self.dialogue = Dialogue(
            now_s=self.now_s(), tool_timeout_s=tool_timeout_s, new_id=lambda: uuid.uuid4().hex
        )
        self._tasks = OwnedTasks(self._fail)
        self._hearing = Hearing(ears, turn_taking, self, self._tasks)
        self._part: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at_s: float | None = None
        self._socket: Socket
        self._over = False
        self._gone = asyncio.Event()
        self._last_fault: Fault | None = None
        self._identical_faults = 0

    def now_s(self) -> float:
        """Unix time that no correction of the system's clock can set back."""
        return self._loop.time() + self._unix_minus_loop_s

    @property
    def unsent_bytes(self) -> int:
        """How far the network is behind."""
        return self._socket.unsent_bytes

    async def finished(self) -> None:
        """Return when the connection is gone and no task is left."""
        await self._gone.wait()
        await self._tasks.ended()

    def end(self, code: int, reason: str) -> None:
        """Close the chat from this side."""
        if not self._over:
            self._stop()
            self._socket.close(code, reason)

    # What the socket tells

    def on_open(self, socket: Socket) -> None:
        """Begin with the identity of the chat."""
        self._socket = socket
        self._live.add(self)
        log.info("chat_started", chat_id=self.id)
        # Groups of chats are not kept yet: each chat is the first of its own.
        self.send(messages.chat_metadata(self.id, str(uuid.uuid4()), str(uuid.uuid4())))
        self._guard(self._begin)

    def _begin(self) -> None:
        match self._initial_settings:
            case Fault() as fault:
                self._refuse(fault)
            case SessionSettings() as settings:
                self._change_settings(settings)
        self._arm()

    def on_text(self, text: bytes) -> None:
        """One message of the client."""
        self._guard(self._receive, text)

    def on_binary(self, data: bytes) -> None:
        """Raw audio of the caller."""
        self._guard(self._hear, data)

    def on_close(self, code: int, reason: str) -> None:
        """The connection is gone, whoever ended it."""
        del reason  # free text of a peer
        self._stop()
        self._live.discard(self)
        self._gone.set()
        heard_ms = self._hearing.position_ms
        log.info("chat_ended", chat_id=self.id, code=code, heard_ms=heard_ms)

    # What the client says

    def _receive(self, text: bytes) -> None:
        match messages.decode(text):
            case messages.AudioInput(data):
                self._hear(data)
            case Fault() as fault:
                self._refuse(fault)
            case message:
                self._identical_faults = 0
                self._obey(message)

    def _obey(self, message: messages.ControlMessage) -> None:
        dialogue = self.dialogue
        match message:
            case SessionSettings():
                self._change_settings(message)
                self.perform(dialogue.client_ready())
            case messages.UserInput(text=words):
                at_ms = self._hearing.position_ms
                said = dialogue.caller_said(words, at_ms, at_ms, self.now_s(), from_text=True)
                self.perform(said)
            case messages.AssistantInput(text=words):
                self.perform(dialogue.text_to_speak(words))
            case messages.ToolResponse(tool_call_id=call_id, content=content):
                self.perform(dialogue.tool_answered(call_id, content, failed=False))
            case messages.ToolError(tool_call_id=call_id, content=excuse):
                self.perform(dialogue.tool_answered(call_id, excuse, failed=True))
            case messages.PauseAssistant():
                self.perform(dialogue.pause(self.now_s()))
            case messages.ResumeAssistant():
                self.perform(dialogue.resume())
            case _:
                assert_never(message)

    def _change_settings(self, change: SessionSettings) -> None:
        # The client is not told its own settings: SDKs older than the control plane cannot read
        # a `session_settings` from a server (UNCONFIRMED U6).
        settings = self.dialogue.settings.merged(change)
        if isinstance(settings, ChatSettings) and settings.audio is not None:
            try:
                self._hearing.announce(settings.audio)
            except BadAudio as error:
                settings = malformed(f"session_settings: {error}")
        if isinstance(settings, Fault):
            self._refuse(settings)
        else:
            self.dialogue.settings = settings

    def _hear(self, data: bytes) -> None:
        try:
            self._hearing.take(data)
        except WholeFile as error:
            self._refuse(Fault("E0723", "audio_not_streamed", str(error)))
        except BadAudio as error:
            self._refuse(malformed(f"audio_input: {error}"))
        else:
            self.perform(self.dialogue.client_ready())

    # What the hearing tells

    def agent_is_speaking(self) -> bool:
        """Tell whether speech of the caller is an interruption now."""
        return self.dialogue.speaking(self.now_s())

    def caller_interrupts(self) -> None:
        """The caller has spoken over the agent for long enough."""
        self.perform(self.dialogue.caller_interrupts(self.now_s()))

    def caller_said(self, text: str, begin_ms: int, end_ms: int) -> None:
        """An utterance is over."""
        now_s = self.now_s()
        self.perform(self.dialogue.caller_said(text, begin_ms, end_ms, now_s, from_text=False))

    # What the course of the chat asks for

    def perform(self, actions: list[Action]) -> None:
        """Do what the dialogue wants, in its order."""
        for action in actions:
            match action:
                case Tell(message):
                    self.send(message)
                case Refuse(fault):
                    self._refuse(fault)
                case Start(number, work):
                    part = _Part(self, number)
                    self._part = self._tasks.start(part.run(self._steps(work)))
                case Stop():
                    assert self._part is not None
                    self._part.cancel()
                case Greet(prompt):
                    text = self._conversation.greeting(prompt)
                    if text:
                        self.perform(self.dialogue.greeting_chosen(text))
                case EndChat():
                    self.end(1000, "The agent hung up.")
                case _:
                    assert_never(action)
        self._arm()

    def _steps(self, work: Recite | Answer | AnswerAfterTool) -> AsyncIterator[Step]:
        match work:
            case Recite(text):
                return _one(Say(text))
            case Answer(prompt):
                return self._conversation.reply(prompt)
            case AnswerAfterTool(prompt, call, outcome):
                return self._conversation.after_tool(prompt, call, outcome)

    def send(self, message: ServerMessage) -> None:
        """Send a message, unless the client has stopped reading."""
        if self._over:
            return
        if self.unsent_bytes > MAX_UNSENT_BYTES:
            self.drop_slow_reader()
            return
        session_id = self.dialogue.settings.custom_session_id
        self._socket.send_text(messages.encode(message, session_id))

    def drop_slow_reader(self) -> None:
        """Cut a connection that takes nothing: a close frame would only join the backlog."""
        log.warning("chat_reader_too_slow", chat_id=self.id)
        self._stop()
        self._socket.abort()

    def _refuse(self, fault: Fault) -> None:
        """Tell a fault; a client that goes on repeating one is closed (UNCONFIRMED U22)."""
        self.send(messages.error(fault, str(uuid.uuid4())))
        self._identical_faults = self._identical_faults + 1 if fault == self._last_fault else 1
        self._last_fault = fault
        if self._identical_faults >= MAX_IDENTICAL_FAULTS:
            self.end(1008, "The same error was made ten times.")

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
        self.perform(self.dialogue.woke(self.now_s()))

    def _guard(self, callback: Callable[..., None], *arguments: object) -> None:
        if self._over:
            return
        try:
            callback(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and logged
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        log.error("chat_failed", chat_id=self.id, exc_info=error)
        self.send(messages.error(messages.INTERNAL_FAULT, str(uuid.uuid4())))
        self.end(1011, messages.INTERNAL_FAULT.message)

    def _stop(self) -> None:
        self._over = True
        self._arm()
        self._tasks.stop()


class _Part:
    """One part of the agent's turn at work; the dialogue refuses what it reports when stale."""

    def __init__(self, chat: Chat, number: int) -> None:
        self._chat = chat
        self._dialogue = chat.dialogue
        self._number = number

    async def run(self, steps: AsyncIterator[Step]) -> None:
        await perform(steps, self._chat.voice, self)
        self._chat.perform(self._dialogue.part_finished(self._number))

    def begin_sentence(self, text: str) -> None:
        begun = self._dialogue.sentence_begins(self._number, text, self._chat.now_s())
        self._chat.perform(begun)

    async def send_audio(self, pcm16: bytes) -> None:
        await self._wait_for_room()
        duration_s = len(pcm16) / 2 / VOICE_RATE_HZ
        place = self._dialogue.chunk_ready(self._number, duration_s, self._chat.now_s())
        if place is not None:
            wav = wav_file(pcm16, VOICE_RATE_HZ)
            self._chat.send(messages.audio_output(*place, wav))

    def call_tool(self, call: CallTool) -> None:
        self._chat.perform(self._dialogue.tool_called(self._number, call, self._chat.now_s()))

    def hang_up(self) -> None:
        self._dialogue.hang_up_wanted(self._number)

    async def _wait_for_room(self) -> None:
        too_far_s = self._dialogue.lead_s(self._chat.now_s()) - MAX_LEAD_S
        if too_far_s > 0:
            await asyncio.sleep(too_far_s)
        deadline_s = self._chat.now_s() + STALLED_READER_S
        while self._chat.unsent_bytes > AUDIO_BACKLOG_BYTES:
            if self._chat.now_s() > deadline_s:
                self._chat.drop_slow_reader()
            await asyncio.sleep(BACKLOG_CHECK_S)


async def _one(step: Step) -> AsyncIterator[Step]:
    yield step
