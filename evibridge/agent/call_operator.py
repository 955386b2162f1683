"""An operator who speaks with the caller of one call, in the agent's voice or in his own."""

import asyncio
from collections.abc import Callable

import structlog

from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action
from evibridge.agent.call_plan import CallerLeg
from evibridge.agent.commands import (
    HandBack,
    HangUp,
    OperatorCommand,
    Say,
    Send,
    TakeOver,
    Transfer,
)
from evibridge.agent.evi_client import EviServer
from evibridge.agent.operator_line import RATE_HZ, OperatorLine
from evibridge.agent.operator_scribe import Spawn
from evibridge.agent.operator_voice import OperatorVoice
from evibridge.agent.session import CallSession
from evibridge.audio.level import is_sound
from evibridge.audio.wav import wav_file
from evibridge.errors import BadAudio

CUSHION_BYTES = RATE_HZ * 2 * 60 // 1000
"""Silence before a microphone's sound: its packets are not all equally quick."""

log = structlog.get_logger(__name__)


class CallOperator:
    """Between the call and the voices of operators: `OperatorHost`.

    Args:
        call_id: of the call
        session: decides
        leg: gives the caller's side as it is now
        perform: does what the session has decided
        side_chat_opened: is told the id of each chat that is not for the call's conversation
        server: of the call's chats
        audio: format of the caller's voice
        voice_id: of the agent, if it has one of its own
        spawn: begins a task of the call
    """

    def __init__(
        self,
        call_id: str,
        session: CallSession,
        leg: Callable[[], CallerLeg],
        perform: Callable[[list[Action]], None],
        side_chat_opened: Callable[[str], None],
        *,
        server: EviServer,
        audio: evi.AudioFormat,
        voice_id: str | None,
        spawn: Spawn,
    ) -> None:
        self.call_id = call_id
        self._session = session
        self._taking_over = session.taking_over
        self._leg = leg
        self._perform = perform
        self.side_chat_opened = side_chat_opened
        self._loop = asyncio.get_running_loop()
        self.hear: Callable[[bytes], None] | None = None
        """Takes the caller's voice as it comes, while an operator speaks by microphone."""
        self._turns = asyncio.Lock()
        """Who takes the call over waits until it is handed back."""
        self._is_finishing = False
        self._was_unreadable = False
        self._voice = OperatorVoice(self, server, audio, voice_id, spawn)

    # From the call

    async def operate(self, command: OperatorCommand, by: str) -> list[Action]:
        """Have the session decide about a command, once the call is ready for it.

        Raises:
            CommandRefused: the call cannot do it now
        """
        match command:
            case Say() | Send(evi.AssistantInput()) if self._session.is_taken_over:
                self._taking_over.check_writing()
                await self._voice.get_ready()
            case HangUp() | Transfer() if self._session.is_taken_over:
                if not self._is_finishing:  # asked again, he does not want to wait
                    await self._finish_speech()
            case HandBack():
                return await self._hand_back(by)
            case TakeOver():
                async with self._turns:
                    return self._session.operate(command, by, self._loop.time())
            case _:
                pass
        return self._session.operate(command, by, self._loop.time())

    async def _hand_back(self, by: str) -> list[Action]:
        """The operator is done: it is waited for what he said, and for what is said for him."""
        async with self._turns:
            self._taking_over.saw(by, self._loop.time())
            if self._session.is_taken_over:
                await self._voice.settle()
            return self._session.operate(HandBack(), by, self._loop.time())

    async def _finish_speech(self) -> None:
        self._is_finishing = True
        try:
            await self._voice.finish_speech()
        finally:
            self._is_finishing = False

    def perform(self, action: act.SpeakForOperator | act.StopOperator | act.LeaveOperator) -> None:
        """Do what the session has decided."""
        match action:
            case act.SpeakForOperator(text):
                self._voice.speak(text)
            case act.StopOperator():
                self._voice.forget_speech()
            case act.LeaveOperator():
                self.hear = None
                self._voice.leave()

    def check_line(self, by: str) -> None:
        """See `Call.check_operator_line`."""
        self._taking_over.check_microphone(by)

    def open_line(
        self, by: str, hear: Callable[[bytes], None], on_closed: Callable[[], None]
    ) -> OperatorLine:
        """See `Call.open_operator_line`."""
        self._taking_over.check_microphone(by)
        line = self._voice.open_line(by, on_closed)
        self.hear = hear
        self._perform(self._taking_over.switch_on(by, self._loop.time()))
        return line

    def close(self) -> None:
        """The call is over."""
        self._voice.close()

    # From the voices

    def play_for_operator(self, wav: bytes) -> None:
        """The caller hears the agent's voice with an operator's words, if he is to."""
        if not self._taking_over.writing_is_heard:
            return
        try:
            duration_ms = self._leg().play(wav)
        except BadAudio as error:
            if not self._was_unreadable:  # one line a call: there are many chunks
                self._was_unreadable = True
                log.warning("operator_speech_unreadable", call_id=self.call_id, error=str(error))
            return
        self._perform(self._taking_over.writing_sent(duration_ms, self._loop.time()))

    def play_microphone(self, pcm16: bytes) -> None:
        """The caller hears an operator's own voice: int16 mono PCM at `RATE_HZ`."""
        now_s = self._loop.time()
        if is_sound(pcm16):
            self._taking_over.microphone_sounded(now_s)
        if not self._taking_over.microphone_is_heard:
            return
        if self._taking_over.all_played_s <= now_s:
            pcm16 = bytes(CUSHION_BYTES) + pcm16
        duration_ms = self._leg().play(wav_file(pcm16, RATE_HZ))
        actions = self._taking_over.microphone_sent(duration_ms, now_s)
        if actions:
            self._perform(actions)

    def microphone_switched_off(self) -> None:
        """Nothing more comes of it."""
        self.hear = None
        self._taking_over.switch_off()
        self._perform([])

    def operator_transcribed(self, text: str, by: str, *, interim: bool) -> None:
        """These were an operator's words, for now or for good."""
        now_s = self._loop.time()
        self._perform(
            self._taking_over.operator_said(text, by, now_s, interim=interim, is_spoken=True)
        )
