"""The stand-in model as a process of its own, for tests."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

from tests.processes import ROOT

TIMEOUT_S = 10.0


class RunningModel:
    """What a test asks the stand-in about itself.

    Attributes:
        origin: of the custom language model; the OpenAI-compatible address adds `/v1`
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def requests(self) -> list[dict[str, Any]]:
        """What was asked, oldest first: path, query, authorization, body."""
        asked: list[dict[str, Any]] = self._fetch("/requests")
        return asked

    async def asked(self) -> None:
        """Return once something has been asked."""
        await asyncio.to_thread(self._fetch, "/requests/arrival")

    async def last_end(self) -> str:
        """`answered` or `client_left`, once one of them is true of the last request."""
        end: str = await asyncio.to_thread(self._fetch, "/requests/last/end")
        return end

    def forget(self) -> None:
        """Begin anew, as if nothing had been asked."""
        with urlopen(Request(f"{self.origin}/requests", method="DELETE"), timeout=TIMEOUT_S):
            pass

    def _fetch(self, path: str) -> Any:
        with urlopen(f"{self.origin}{path}", timeout=TIMEOUT_S) as response:
            return json.load(response)


@contextmanager
def running_model(*arguments: str) -> Iterator[RunningModel]:
    """Start `python -m tests.engine.model_servers ARGUMENTS...` on a free port."""
    command = [sys.executable, "-m", "tests.engine.model_servers", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            origin = process.stdout.readline().strip()
            assert origin, "the stand-in model ended before it served"
            yield RunningModel(origin)
        finally:
            process.kill()
