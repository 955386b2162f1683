"""What is said in calls whose path is measured: 20 seconds in which both sides talk all the time.

A call-second has 50 frames of the caller and 5 chunks of the agent. The agent begins a sentence
every two seconds and ends a turn every ten; the caller is transcribed every five, once while he
speaks and once to the end; he interrupts once in twenty.
"""

from dataclasses import dataclass
from enum import StrEnum

import orjson
import pybase64

from benchmarks.sound import sound
from evibridge.agent import evi_messages as evi
from evibridge.agent.evi_codec import encode
from evibridge.audio.g711 import pcm16_to_mulaw
from evibridge.audio.wav import wav_file

TALK_S = 20
FRAME_MS = 20
CHUNK_MS = 200
CALLER_RATE_HZ = 8_000
AGENT_RATE_HZ = 48_000
"""EVI: audio output is WAV at 48 kHz."""
SENTENCES_AT_MS = (0, 2000, 4000, 6000, 8000, 10_000, 12_000, 14_000, 15_400, 18_000)
INTERRUPTION_AT_MS = 15_300
"""When a chunk is not marked yet; the next sentence begins before another one, so that none is
refused."""
TURNS_END_AT_MS = (9_900, 19_900)
INTERIM_WORDS_AT_MS = (2_400, 7_400, 12_400, 17_400)
FINAL_WORDS_AT_MS = (3_400, 8_400, 13_400, 18_400)
AGENT_WORDS = "And there is something more to say about the book that you have asked for."
CALLER_WORDS = "Could you tell me where my order is?"
STREAM_SID = f"MZ{0:032}"
UTTERANCES = len(SENTENCES_AT_MS)
"""Of the agent, in a talk."""


class Kind(StrEnum):
    """What a call is handed."""

    FRAME = "caller's frame"
    CHUNK = "agent's chunk"
    ECHO = "mark's echo"
    MESSAGE = "other message"
    """Of the EVI server."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens, to every call alike."""

    kind: Kind
    at_ms: int
    """Since the talk began."""
    text: bytes
    """A message of Twilio or of the EVI server, as it comes."""
    message: evi.Message | None = None
    """That of the server, read; None if it is Twilio's."""


def talk(first_utterance: int) -> list[Step]:
    """All of it, in order.

    Args:
        first_utterance: number of the agent's first sentence; a call may hear no number twice
    """
    frame = _caller_frame()
    messages = _messages(first_utterance)
    steps: list[Step] = []
    audio, chunk = None, b""
    for at_ms in range(0, TALK_S * 1000, FRAME_MS):
        for message in messages.get(at_ms, ()):
            steps.append(Step(Kind.MESSAGE, at_ms, encode(message), message))
            if isinstance(message, evi.AssistantMessage):
                audio = _audio(message.id or "")
                chunk = encode(audio)
        if at_ms % CHUNK_MS == 0:
            steps.append(Step(Kind.CHUNK, at_ms, chunk, audio))
        steps.append(Step(Kind.FRAME, at_ms, frame))
    return steps


def _messages(first_utterance: int) -> dict[int, list[evi.Message]]:
    """What the server says beside audio, by the time in ms."""
    due: dict[int, list[evi.Message]] = {}

    def say(at_ms: int, message: evi.Message) -> None:
        due.setdefault(at_ms, []).append(message)

    for at_ms in TURNS_END_AT_MS:
        say(at_ms, evi.AssistantEnd())
    say(INTERRUPTION_AT_MS, evi.UserInterruption(time=INTERRUPTION_AT_MS))
    for at_ms in INTERIM_WORDS_AT_MS:
        say(at_ms, _caller_said(CALLER_WORDS[: len(CALLER_WORDS) // 2], at_ms, interim=True))
    for at_ms in FINAL_WORDS_AT_MS:
        say(at_ms, _caller_said(CALLER_WORDS, at_ms, interim=False))
    for number, at_ms in enumerate(SENTENCES_AT_MS, first_utterance):
        say(at_ms, _agent_says(f"{number:032x}"))
    return due


def _agent_says(utterance_id: str) -> evi.AssistantMessage:
    return evi.AssistantMessage(utterance_id, AGENT_WORDS, from_text=False, is_quick_response=False)


def _caller_said(words: str, at_ms: int, *, interim: bool) -> evi.UserMessage:
    return evi.UserMessage(words, interim, from_text=False, begin_ms=at_ms - 1000, end_ms=at_ms)


def _audio(utterance_id: str) -> evi.AudioOutput:
    wav = wav_file(sound(CHUNK_MS, AGENT_RATE_HZ, loud=True), AGENT_RATE_HZ)
    return evi.AudioOutput(utterance_id, 0, wav)


def _caller_frame() -> bytes:
    mulaw = pcm16_to_mulaw(sound(FRAME_MS, CALLER_RATE_HZ, loud=True))
    payload = pybase64.b64encode(mulaw).decode()
    media = {"track": "inbound", "chunk": "100", "timestamp": "2081", "payload": payload}
    return orjson.dumps(
        {"event": "media", "sequenceNumber": "101", "media": media, "streamSid": STREAM_SID}
    )
