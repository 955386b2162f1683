"""The sound that tells a caller, while the EVI server is not there, that he is not forgotten."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from evibridge.audio.resample import Resampler
from evibridge.audio.wav import parse_wav
from evibridge.errors import BadAudio, EvibridgeError, SettingsError

if TYPE_CHECKING:
    from evibridge.engine.server import Engine

SYNTHESIS_TIMEOUT_S = 60.0
PHONE_RATE_HZ = 8000
"""A rate that cannot be converted to this is told of at the start, not in a call."""

log = structlog.get_logger(__name__)


class Filler:
    """The sound of a filler, a WAV file, as soon as there is one."""

    def __init__(self, wav: bytes | None) -> None:
        self.wav = wav
        self._speaking: asyncio.Task[None] | None = None

    @classmethod
    def spoken(cls, sentence: str, engine: "Engine | None") -> "Filler":
        """Have a sentence spoken in the background; `close` has to be called."""
        filler = cls(None)
        filler._speaking = asyncio.create_task(filler._speak(sentence, engine))
        return filler

    async def ready(self) -> None:
        """Return when nothing more is to be waited for."""
        if self._speaking is not None:
            await asyncio.wait((self._speaking,))

    async def close(self) -> None:
        """Give up what is being spoken."""
        if self._speaking is not None:
            self._speaking.cancel()
            await self.ready()

    async def _speak(self, sentence: str, engine: "Engine | None") -> None:
        try:
            async with asyncio.timeout(SYNTHESIS_TIMEOUT_S):
                if engine is not None:
                    self.wav = await engine.speak(sentence)
                else:
                    self.wav = await _speak_elsewhere(sentence)
        except (EvibridgeError, OSError, TimeoutError) as error:
            log.warning("filler_not_spoken", why=str(error) or type(error).__name__)


@asynccontextmanager
async def filler_sound(filler: str | Path | None, engine: "Engine | None") -> AsyncIterator[Filler]:
    """Make the sound of a filler.

    A sentence is spoken by the engine that is embedded, else by a process of its own, because the
    voice would fill 180 MB of this one for good.

    Args:
        filler: a sentence, or the path of a WAV file; None for no sound
        engine: the embedded engine, if there is one

    Raises:
        SettingsError: the WAV file cannot be used
    """
    if isinstance(filler, str):
        sound = Filler.spoken(filler, engine)
    else:
        sound = Filler(None if filler is None else _read(filler))
    try:
        yield sound
    finally:
        await sound.close()


def _read(path: Path) -> bytes:
    try:
        wav = path.read_bytes()
        Resampler(parse_wav(wav).rate_hz, PHONE_RATE_HZ)
    except (OSError, BadAudio) as error:
        cause = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"The filler {path} cannot be played: {cause}") from error
    return wav


async def _speak_elsewhere(sentence: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "evibridge.engine.voices.say",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        wav, complaint = await process.communicate(sentence.encode())
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise BadAudio(complaint.decode(errors="replace").strip().rpartition("\n")[2])
    return wav
