"""`evibridge` as somebody types it, in this process: to start another one takes longer."""

import asyncio
import sys
from dataclasses import dataclass

import pytest

from evibridge.cli import main

PATIENCE_S = 10.0


@dataclass(frozen=True)
class Ended:
    """A command that has come to its end."""

    code: int
    out: str
    err: str

    @property
    def done(self) -> str:
        """What was printed by a command that did what it should."""
        assert (self.code, self.err) == (0, "")
        return self.out.removesuffix("\n")

    @property
    def complaint(self) -> str:
        """The one sentence of a command that did not."""
        assert (self.code in (1, 2), self.out) == (True, "")
        assert len(self.err.splitlines()) == 1
        assert self.err.startswith("evibridge: ")
        return self.err.removeprefix("evibridge: ").strip()


class Terminal:
    """Runs one command after the other, each in a thread with an event loop of its own."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], token: str
    ) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.token = token

    async def run(self, *arguments: str) -> Ended:
        """`evibridge ARGUMENTS...`."""
        self._monkeypatch.setattr(sys, "argv", ["evibridge", *arguments])
        self._monkeypatch.setenv("EVIBRIDGE_OPERATOR_TOKEN", self.token)
        async with asyncio.timeout(PATIENCE_S):
            code = await asyncio.to_thread(_exit_code)
        return Ended(code, *self._capsys.readouterr())


def _exit_code() -> int:
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code
