"""How an operator who has taken a call over is heard: in the agent's voice, and in his own."""

import asyncio
from collections.abc import Callable

from evibridge.agent import evi_messages as evi
from evibridge.agent.evi_client import EviServer
from evibridge.agent.operator_host import OperatorHost
from evibridge.agent.operator_line import OperatorLine
from evibridge.agent.operator_scribe import OperatorScribe, Spawn
from evibridge.agent.operator_speech import OperatorSpeech

SPOKEN_WITHIN_S = 3.0
"""How long the agent waits, before it goes on, for the rest of what its voice says for another."""


class OperatorVoice:
    """One call's; it has no chats before an operator speaks.

    Args:
        host: the call
        server: of its chats
        audio: format of the caller's voice
        voice_id: of the agent, if it has one of its own
        spawn: begins a task of the call
    """

    def __init__(
        self,
        host: OperatorHost,
        server: EviServer,
        audio: evi.AudioFormat,
        voice_id: str | None,
        spawn: Spawn,
    ) -> None:
        self._host = host
        self._server = server
        self._spawn = spawn
        self._speech = OperatorSpeech(host, server, audio, voice_id)
        self._line: OperatorLine | None = None
        self._scribe: OperatorScribe | None = None
        self._writing: dict[asyncio.Task[None], OperatorScribe] = {}
        """The last words of microphones that are off."""

    async def get_ready(self) -> None:
        """Have what `speak` needs; see `OperatorSpeech.get_ready`."""
        await self._speech.get_ready()

    def speak(self, text: str) -> None:
        """The agent's voice says a text."""
        self._speech.speak(text)

    async def finish_speech(self) -> None:
        """Wait until the agent's voice has said what operators wrote, or soon anyhow."""
        await self._speech.finish(SPOKEN_WITHIN_S)

    def forget_speech(self) -> None:
        """The agent's voice says nothing more of what operators wrote."""
        self._speech.forget()

    def open_line(self, by: str, on_closed: Callable[[], None]) -> OperatorLine:
        """An operator's microphone is on; one that he had on before is closed."""
        self.cut_line()
        self._scribe = OperatorScribe(self._host, self._server, by, self._spawn)
        self._line = OperatorLine(by, self._hear, self._switched_off, on_closed)
        return self._line

    def cut_line(self) -> None:
        """No microphone goes to the caller any more; its last words are still written down."""
        if self._line is not None:
            line, self._line = self._line, None
            line.cut()
            self._finish_writing()

    async def settle(self) -> None:
        """The operator is done: wait until it is known what he said, and said it was."""
        if self._line is not None:
            self.cut_line()
            self._host.microphone_switched_off()
        if self._writing:
            await asyncio.wait(self._writing)
        await self._speech.finish(SPOKEN_WITHIN_S)
        self._speech.close()

    def leave(self) -> None:
        """The call is handed back: no operator is heard in it any more."""
        self.cut_line()
        self._speech.close()

    def close(self) -> None:
        """The call is over."""
        if self._line is not None:
            line, self._line = self._line, None
            line.cut()
        if self._scribe is not None:
            self._scribe.close()
        for writing, scribe in self._writing.items():
            writing.cancel()
            scribe.close()  # one that is cancelled before it has begun does nothing at all
        self._speech.close()

    def _hear(self, pcm16: bytes) -> None:
        self._host.play_microphone(pcm16)
        if self._scribe is not None:
            self._scribe.hear(pcm16)

    def _switched_off(self) -> None:
        self._line = None
        self._host.microphone_switched_off()
        self._finish_writing()

    def _finish_writing(self) -> None:
        scribe, self._scribe = self._scribe, None
        if scribe is not None:
            writing = self._spawn(scribe.finish())
            self._writing[writing] = scribe
            writing.add_done_callback(self._writing.pop)
