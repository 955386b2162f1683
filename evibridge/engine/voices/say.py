"""Speak one text into a WAV file, in a process of its own: `python -m evibridge.engine.voices.say`.

The text comes by standard input, the file goes to standard output.
"""

import asyncio
import sys

from evibridge.audio.wav import wav_file
from evibridge.engine.voices.sentences import sentences
from evibridge.engine.voices.voice import RATE_HZ, HibariVoice, Voice
from evibridge.errors import EvibridgeError


async def spoken(text: str, voice: Voice) -> bytes:
    """A text as a WAV file at 48 kHz.

    Raises:
        UpstreamFailed: the service that speaks gave no usable answer
        Overloaded: too much waits already to be spoken
    """
    chunks = [chunk for piece in sentences(text) async for chunk in voice.speak(piece)]
    return wav_file(b"".join(chunks), RATE_HZ)


async def _main() -> int:
    try:
        voice = HibariVoice.load()
        try:
            wav = await spoken(sys.stdin.buffer.read().decode(), voice)
        finally:
            voice.close()
    except EvibridgeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(wav)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
