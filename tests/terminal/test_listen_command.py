import asyncio
import errno
import json
import os
import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from numpy.typing import NDArray

from evibridge.errors import (
    BadMessage,
    CommandRefused,
    EvibridgeError,
    LinkUnreachable,
    SettingsError,
)
from evibridge.records.wav_on_disk import WavOnDisk
from evibridge.terminal.listen_command import listen
from evibridge.terminal.operator_client import OperatorClient
from tests.operators.test_whole_service import HUM, Watched, watched_service
from tests.parties import TinyEvi
from tests.terminal.stage import Terminal

pytestmark = pytest.mark.usefixtures("logging_is_undone")

PATIENCE_S = 10.0
HELLO = json.dumps({"type": "audio", "rate_hz": 8000, "channels": 2, "encoding": "linear16"})
PIECE = np.array([[1, -1]] * 400, np.int16).tobytes()
"""50 ms."""


@asynccontextmanager
async def sounding(*messages: str | bytes | int) -> AsyncIterator[str]:
    """A service whose only call sounds like this: texts, pieces of sound, or a code that closes."""

    async def stream(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for message in messages:
            if isinstance(message, int):
                await socket.close(code=message)
            elif isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_str(message)
        await socket.receive()
        return socket

    app = web.Application()
    app.router.add_get("/v1/calls/CA1/audio", stream)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


async def heard(origin: str, path: Path) -> Sequence[str]:
    """What is printed by somebody who listens to the end."""
    printed: list[str] = []
    async with asyncio.timeout(PATIENCE_S), OperatorClient(origin, None) as client:
        await listen(client, printed.append, "CA1", path)
    return printed


def samples(path: Path) -> NDArray[np.int16]:
    """Left and right of a file."""
    with wave.open(str(path)) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getsampwidth()) == (2, 8000, 2)
        return np.frombuffer(sound.readframes(sound.getnframes()), np.int16).reshape(-1, 2)


@pytest.fixture
async def watched(evi: TinyEvi, tmp_path: Path) -> AsyncIterator[Watched]:
    async with watched_service(evi, tmp_path) as service:
        yield service


async def test_the_sound_of_a_call_is_written_until_it_ends(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    twilio, _ = await watched.talk()
    path = watched.folder / "call.wav"
    terminal = Terminal(monkeypatch, capsys, "glance")
    pieces = await watched.open(f"/calls/{twilio.call_sid}/audio")
    await pieces.receive_str()
    listening = asyncio.create_task(
        terminal.run(
            "calls", "listen", twilio.call_sid[:12], str(path), "--url", watched.service.origin
        )
    )
    async with asyncio.timeout(PATIENCE_S):
        while not (path.exists() and path.stat().st_size > 5000):
            await twilio.speak(HUM)
            await pieces.receive_bytes()
    await twilio.hang_up()
    ended = await listening

    left, right = samples(path).T
    assert ended.code == 0
    assert ended.out.endswith(
        f"{len(left) / 8000:.1f} s of call {twilio.call_sid} are in {path}.\n"
    )
    assert np.abs(left).max() > 1000
    assert not right.any()


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


def has_two_pieces(path: Path) -> bool:
    return path.exists() and path.stat().st_size == 44 + 2 * len(PIECE)


async def test_who_stops_listening_has_what_was_said_until_then(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    printed: list[str] = []
    async with (
        asyncio.timeout(PATIENCE_S),
        sounding(HELLO, PIECE, PIECE) as origin,
        OperatorClient(origin, None) as client,
    ):
        task = asyncio.create_task(listen(client, printed.append, "CA1", path))
        while not await asyncio.to_thread(has_two_pieces, path):
            pass
        task.cancel()
        await asyncio.wait([task])

    assert task.cancelled()
    assert printed == [f"0.1 s of call CA1 are in {path}."]
    assert samples(path).tolist() == [[1, -1]] * 800


@pytest.mark.parametrize("end", [1001, "text"])
async def test_a_call_that_is_lost_leaves_what_was_heard(tmp_path: Path, end: int | str) -> None:
    path = tmp_path / "call.wav"
    async with sounding(HELLO, PIECE, end) as origin:
        with pytest.raises(LinkUnreachable, match="was lost before the call was over"):
            await heard(origin, path)

    assert len(samples(path)) == 400


@pytest.mark.parametrize(
    ("messages", "error", "sentence"),
    [
        ([1001], LinkUnreachable, r"lost before anything was heard\.$"),
        (["{"], BadMessage, "of the service's version"),
        (["[]"], BadMessage, "of the service's version"),
        ([HELLO.replace("2", "1")], BadMessage, "of the service's version"),
        ([HELLO.replace("8000", "0")], BadMessage, "of the service's version"),
        ([HELLO.replace("8000", "null")], BadMessage, "of the service's version"),
    ],
)
async def test_what_cannot_be_heard_is_one_sentence_and_no_file(
    tmp_path: Path, messages: list[str | int], error: type[EvibridgeError], sentence: str
) -> None:
    path = tmp_path / "call.wav"
    async with sounding(*messages) as origin:
        with pytest.raises(error, match=sentence):
            await heard(origin, path)

    assert not path.exists()


async def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_text("dear")
    async with sounding(HELLO, PIECE) as origin:
        with pytest.raises(SettingsError, match=r"exists: name another file\.$"):
            await heard(origin, path)

    assert path.read_text() == "dear"


@pytest.mark.parametrize("folder", ["new folder", "file"])
async def test_no_folder_is_made_for_the_file(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    async with sounding(HELLO, PIECE) as origin:
        with pytest.raises(SettingsError, match=f"{folder} is no folder: make it, or name a file"):
            await heard(origin, tmp_path / folder / "call.wav")

    assert names_in(tmp_path) == ["file"]


async def test_a_name_that_no_file_can_have_is_one_sentence(tmp_path: Path) -> None:
    async with sounding(HELLO, PIECE) as origin:
        with pytest.raises(SettingsError, match=r"cannot be written \(File name too long\)\.$"):
            await heard(origin, tmp_path / ("x" * 300))


async def test_a_disk_that_is_full_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(_: WavOnDisk, stereo16: bytes) -> None:
        del stereo16
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(WavOnDisk, "append", is_full)
    async with sounding(HELLO, PIECE) as origin:
        with pytest.raises(SettingsError, match=r"cannot be written \(No space left on device\)"):
            await heard(origin, tmp_path / "call.wav")


async def test_a_call_that_is_over_cannot_be_heard(watched: Watched) -> None:
    async with OperatorClient(watched.service.origin, "glance") as client:
        with pytest.raises(CommandRefused, match=r"^No call that goes on has this id"):
            await listen(client, print, "CA1", watched.folder / "call.wav")
