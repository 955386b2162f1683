"""What callers ask an engine, spoken beforehand: no synthesis disturbs a measurement."""

import numpy as np

from benchmarks import caller_voices
from benchmarks.sound import without_silent_end

QUESTIONS = (
    "Are you open on Sunday?",
    "What are your opening hours?",
    "Where is your shop?",
    "Do you sell gift vouchers?",
    "What is your favourite book?",
    "How is the weather?",
    "Can I return a book?",
    "Are you a robot?",
    "What are your prices?",
    "Tell me a joke.",
    "I would like to know whether you have anything by Agatha Christie.",
    "Can I return a book that my sister gave me for my birthday?",
)
VOICE = "hibari"
"""It is there wherever an engine runs, and Whisper understands it."""


def spoken(question: str) -> bytes:
    """Say a question up to its last audible sound: int16 mono PCM at 8 kHz."""
    sound = 32768 * caller_voices.spoken(question, VOICE)
    return without_silent_end(sound.clip(-32768, 32767).astype(np.int16).tobytes())
