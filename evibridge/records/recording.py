"""The recording of a call, on its way from the event loop to the disk."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from evibridge.records.disk_thread import DiskThread
from evibridge.records.numbered import numbered
from evibridge.records.wav_on_disk import FRAME_BYTES, WavOnDisk

BATCH_S = 0.9
"""Of sound at least goes to the disk together, and is what a killed process loses. Somewhat less
than a second, so that a tap that is listened to every second fills one each time."""
MAX_UNWRITTEN_S = 10.0
"""Of sound that may wait for the disk: one that is so late is too slow, or hangs."""
MAX_WAITING = 2000
"""Pieces of all recordings that may wait for the disk when another one begins: some 60 MB."""
CLOSE_TIMEOUT_S = 5.0


class Recording:
    """Writes int16 stereo PCM into a WAV file that can be played at any moment.

    The event loop never waits for the disk, and whatever is wrong with it, the call goes on. Made
    and used in the event loop.

    Args:
        path: of the file; if it is taken, a number is added. Its folders are made.
        rate_hz: of each side
        disk: writes it
        on_failed: told once, in a sentence for the owner, that the recording ends before the call
    """

    def __init__(
        self, path: Path, rate_hz: int, disk: DiskThread, on_failed: Callable[[str], None]
    ) -> None:
        self._path = path
        self._rate_hz = rate_hz
        self._disk = disk
        self._on_failed = on_failed
        self._loop = asyncio.get_running_loop()
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._handed_bytes = 0
        self._is_closed = False
        self._failure: str | None = None
        # The disk's thread writes these; the loop's reads all but the first.
        self._wav: WavOnDisk | None = None
        self._file: str | None = None
        self._lasts_s: float | None = None
        self._done_bytes = 0
        self._has_begun = disk.waiting < MAX_WAITING
        if self._has_begun:
            disk.run(self._begin)
        else:
            self._fail("The call is not recorded: its disk hangs.")

    @property
    def file(self) -> str | None:
        """Name of the file; None if there is none."""
        return self._file

    @property
    def lasts_s(self) -> float | None:
        """How much of it can be played; None if there is no file."""
        return self._lasts_s

    @property
    def failure(self) -> str | None:
        """Why it ends before the call, as it was told; None if it does not."""
        return self._failure

    def write(self, stereo16: bytes) -> None:
        """The next piece of whole frames; a recording that has ended takes no more."""
        if self._is_closed or self._failure:
            return
        self._batch.append(stereo16)
        self._batch_bytes += len(stereo16)
        if self._batch_bytes < self._bytes(BATCH_S):
            return
        if self._handed_bytes - self._done_bytes > self._bytes(MAX_UNWRITTEN_S):
            late_s = f"{MAX_UNWRITTEN_S:.0f} s"
            self._fail(f"The recording ends here: its disk is more than {late_s} late.")
            self._disk.run(self._finish)
            return
        self._hand_over()

    async def close(self) -> None:
        """The call is over; returns when the file is complete, or the disk takes too long."""
        if self._is_closed or not self._has_begun:
            return
        self._is_closed = True
        self._hand_over()
        finished = self._loop.create_future()
        self._disk.run(self._finish)
        self._disk.run(partial(self._in_loop, partial(_settle, finished)))
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await finished
        except TimeoutError:
            late_s = f"{CLOSE_TIMEOUT_S:.0f} s"
            self._fail(f"The recording may lack its end: its disk did not take it in {late_s}.")

    def _hand_over(self) -> None:
        self._handed_bytes += self._batch_bytes
        self._disk.run(partial(self._append, b"".join(self._batch)))
        self._forget_batch()

    def _forget_batch(self) -> None:
        self._batch.clear()
        self._batch_bytes = 0

    def _fail(self, why: str) -> None:
        if self._failure is None:
            self._failure = why
            self._forget_batch()
            self._on_failed(why)

    def _bytes(self, duration_s: float) -> float:
        return duration_s * self._rate_hz * FRAME_BYTES

    # In the disk's thread

    def _begin(self) -> None:
        try:
            self._wav, self._file = self._made()
            self._lasts_s = 0.0
        except OSError as error:
            self._report(f"The call is not recorded: its file cannot be made ({_said(error)}).")

    def _made(self) -> tuple[WavOnDisk, str]:
        """Make the file under a name that is not taken."""
        *paths, last = numbered(self._path)
        for path in paths:
            with suppress(FileExistsError):
                return WavOnDisk(path, self._rate_hz), path.name
        return WavOnDisk(last, self._rate_hz), last.name

    def _append(self, stereo16: bytes) -> None:
        wav = self._wav
        if wav is not None:
            try:
                wav.append(stereo16)
            except OSError as error:
                why = f"The recording ends here: its file cannot be written ({_said(error)})."
                self._report(why)
                self._finish()
            self._lasts_s = wav.lasts_s
        self._done_bytes += len(stereo16)

    def _finish(self) -> None:
        wav, self._wav = self._wav, None
        if wav is not None:
            try:
                wav.close()
            except OSError as error:
                self._report(
                    f"The recording may lack its end: its file cannot be closed ({_said(error)})."
                )

    def _report(self, why: str) -> None:
        self._in_loop(partial(self._fail, why))

    def _in_loop(self, act: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the event loop is closed: nobody waits for news
            self._loop.call_soon_threadsafe(act)


def _said(error: OSError) -> str:
    """What the operating system says, without the path: who called may be told in it."""
    return error.strerror or type(error).__name__


def _settle(finished: asyncio.Future[None]) -> None:
    if not finished.done():
        finished.set_result(None)
