"""The sound for a caller who waits: a file, or a sentence that is spoken in the background."""

import asyncio
from pathlib import Path
from typing import cast

import pytest
import structlog

from evibridge.audio.wav import parse_wav
from evibridge.engine.server import Engine
from evibridge.errors import SettingsError
from evibridge.filler import filler_sound
from tests.parties import wav

PATIENCE_S = 30.0
"""A voice is loaded in another process."""


async def test_no_filler_is_no_sound() -> None:
    async with filler_sound(None, None) as filler:
        assert filler.wav is None


async def test_a_file_is_played_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "hold.wav"
    path.write_bytes(wav(300))

    async with filler_sound(path, None) as filler:
        assert filler.wav == wav(300)


@pytest.mark.parametrize("content", [None, b"not a WAV file"])
async def test_a_file_that_cannot_be_played_is_told_of_at_the_start(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "hold.wav"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SettingsError, match=r"hold\.wav cannot be played: "):
        async with filler_sound(path, None):
            pass


async def test_a_sentence_is_spoken_by_another_process() -> None:
    async with asyncio.timeout(PATIENCE_S), filler_sound("One moment, please.", None) as filler:
        await filler.ready()
        assert filler.wav is not None
        spoken = parse_wav(filler.wav)

    assert spoken.rate_hz == 48_000
    assert 0.5 < len(spoken.data) / 2 / spoken.rate_hz < 4


async def test_a_service_that_ends_does_not_wait_for_its_filler() -> None:
    async with asyncio.timeout(PATIENCE_S):
        async with filler_sound("One moment, please.", None) as filler:
            await asyncio.sleep(0)  # it begins
            assert filler.wav is None
        await filler.ready()


async def test_a_sentence_is_spoken_by_the_engine_that_is_there() -> None:
    class Speaker:
        async def speak(self, text: str) -> bytes:
            return text.encode()

    async with filler_sound("Hello.", cast("Engine", Speaker())) as filler:
        await filler.ready()
        assert filler.wav == b"Hello."


@pytest.mark.parametrize("program", ["/bin/false", "/no/such/program"])
async def test_a_voice_that_fails_leaves_silence_and_a_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr("sys.executable", program)
    with structlog.testing.capture_logs() as logs:
        async with asyncio.timeout(PATIENCE_S), filler_sound("Hello.", None) as filler:
            await filler.ready()
            assert filler.wav is None

    assert [line["event"] for line in logs] == ["filler_not_spoken"]
