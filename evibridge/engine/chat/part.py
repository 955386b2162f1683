"""One part of the agent's turn at work, in the chat that it belongs to."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import structlog

from evibridge.audio.wav import wav_file
from evibridge.engine.chat import messages
from evibridge.engine.chat.actions import Action
from evibridge.engine.chat.dialogue import Dialogue
from evibridge.engine.chat.faults import MODEL_FAILED, MODEL_TIMED_OUT, Fault
from evibridge.engine.chat.messages import ServerMessage
from evibridge.engine.chat.reply import Sentence, Speak, VoiceFailed, perform
from evibridge.engine.minds.mind import Action as Step
from evibridge.engine.minds.mind import CallTool
from evibridge.errors import EvibridgeError, UpstreamFailed

VOICE_RATE_HZ = 48_000
MAX_LEAD_S = 30.0
"""How far the agent's audio runs ahead of its playback. Almost every reply is shorter and goes out
as fast as it is synthesised; a longer one must not fill a client's queue (bridges give up a call
at 60 s unplayed) nor synthesise minutes that an interruption throws away."""
AUDIO_BACKLOG_BYTES = 256 * 1024
"""Two seconds of audio that the network has not taken: sending waits until it is less."""
BACKLOG_CHECK_S = 0.02
STALLED_READER_S = 10.0

log = structlog.get_logger()


class Stage(Protocol):
    """The chat, as a part sees it."""

    id: str
    dialogue: Dialogue

    def now_s(self) -> float:
        """The clock of the dialogue."""

    @property
    def unsent_bytes(self) -> int:
        """How far the network is behind."""

    def perform(self, actions: list[Action]) -> None:
        """Do what the dialogue wants."""

    def send(self, message: ServerMessage) -> None:
        """Send a message to the client."""

    def audio_begins(self) -> None:
        """The first audio of the part is about to be sent."""

    def drop_slow_reader(self) -> None:
        """Cut a connection that takes nothing."""


class PartAtWork:
    """Performs one part; the dialogue refuses what it reports when it is stale."""

    def __init__(self, chat: Stage, number: int) -> None:
        self._chat = chat
        self._dialogue = chat.dialogue
        self._number = number
        self._silent = True

    async def run(self, steps: AsyncIterator[Step], speak: Speak) -> None:
        """Think, speak and send to the end, or until the mind or the voice fails."""
        try:
            await perform(steps, speak, self)
        except EvibridgeError as error:
            log.warning("part_failed", chat_id=self._chat.id, error=str(error))
            failed = self._dialogue.part_failed(self._number, _fault(error))
            self._chat.perform(failed)
        else:
            self._chat.perform(self._dialogue.part_finished(self._number))

    def begin_sentence(self, sentence: Sentence) -> None:
        """The audio of this sentence follows."""
        begun = self._dialogue.sentence_begins(
            self._number, sentence.text, self._chat.now_s(), quick=sentence.quick
        )
        self._chat.perform(begun)

    async def send_audio(self, pcm16: bytes) -> None:
        """Send int16 mono PCM at 48 kHz once the client may have more."""
        await self._wait_for_room()
        duration_s = len(pcm16) / 2 / VOICE_RATE_HZ
        place = self._dialogue.chunk_ready(self._number, duration_s, self._chat.now_s())
        if place is None:
            return
        if self._silent:
            self._silent = False
            self._chat.audio_begins()
        self._chat.send(messages.audio_output(*place, wav_file(pcm16, VOICE_RATE_HZ)))

    def call_tool(self, call: CallTool) -> None:
        """Ask for a tool."""
        self._chat.perform(self._dialogue.tool_called(self._number, call, self._chat.now_s()))

    def hang_up(self) -> None:
        """End the chat after the last words."""
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


def _fault(error: EvibridgeError) -> Fault | None:
    """What the client is told; EVI has a word for a failed model, and none for a failed voice."""
    if isinstance(error, VoiceFailed):
        return None
    late = isinstance(error, UpstreamFailed) and error.timed_out
    return MODEL_TIMED_OUT if late else MODEL_FAILED
