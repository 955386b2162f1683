"""The stand-in speech service as a process of its own, for tests."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.engine.model_servers.running import RunningModel
from tests.processes import ROOT


@contextmanager
def running_speech() -> Iterator[RunningModel]:
    """Start `python -m tests.engine.speech_servers` on a free port."""
    command = [sys.executable, "-m", "tests.engine.speech_servers"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            origin = process.stdout.readline().strip()
            assert origin, "the stand-in speech service ended before it served"
            yield RunningModel(origin)
        finally:
            process.kill()
