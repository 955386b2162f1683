"""A caller's microphone: a file that begins to play when the browser opens it."""

from pathlib import Path

import numpy as np

from evibridge.audio.wav import wav_file
from tests.speech import spoken

RATE_HZ = 48_000
VOICE = "en-gb-x-rp"
"""The recogniser takes this synthetic voice best."""
SILENT_FOR_S = 1.0
"""At the end of the file; there is only silence behind it."""


class MicrophoneFile:
    """What a caller says, and when.

    Args:
        path: where the file is to be
        utterances: when each begins, in seconds from the opening of the microphone, and its text
    """

    def __init__(self, path: Path, *utterances: tuple[float, str]) -> None:
        self.path = path
        self.ends_s: list[float] = []
        """When each utterance is over."""
        line = np.zeros(0, np.int16)
        for begins_s, text in utterances:
            speech = np.frombuffer(spoken(text, RATE_HZ, voice=VOICE), np.int16)
            silent = round(begins_s * RATE_HZ) - len(line)
            assert silent >= 0, f"{text!r} begins before the utterance ahead of it is over"
            line = np.concatenate([line, np.zeros(silent, np.int16), speech])
            self.ends_s.append(len(line) / RATE_HZ)
        silence = np.zeros(round(SILENT_FOR_S * RATE_HZ), np.int16)
        path.write_bytes(wav_file(np.concatenate([line, silence]).tobytes(), RATE_HZ))
