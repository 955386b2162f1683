"""An engine in a process of its own, and the language model that it asks in another."""

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

from benchmarks.processes import ROOT, Server, serving

SCRIPT = ROOT / "examples" / "bookshop.yaml"
MODEL = "normal"
"""How the language model answers, a variant of the stand-in: it repeats what it was asked."""
ENGINE_CORES = 2
"""What a small machine has; callers and model share them only where there are no others."""
FIRST_TOKEN_MS = 150
WORD_MS = 20
"""Between two words of the model: some 65 tokens a second."""

Mind = Literal["script", "model"]
MINDS: tuple[Mind, ...] = get_args(Mind)


@asynccontextmanager
async def engine(
    mind: Mind, *, first_token_ms: float = FIRST_TOKEN_MS, **parts: Mapping[str, Any]
) -> AsyncIterator[Server]:
    """Run an engine while the context is open.

    Args:
        mind: the script of the example shop, or a language model behind an OpenAI-compatible
            address: a stand-in
        first_token_ms: how long the model takes to begin
        parts: other sections of engine.yaml, as `voice={"kind": "hibari", "workers": 2}`
    """
    if mind == "script":
        config = {"kind": "script", "script": str(SCRIPT)}
        async with _engine({"mind": config, **parts}) as server:
            yield server
        return
    cores = sorted(os.sched_getaffinity(0))
    pace = ["--first-token-ms", str(first_token_ms), "--token-ms", str(WORD_MS)]
    command = ["-m", "tests.engine.model_servers", *pace]
    async with serving(command, frozenset(cores[ENGINE_CORES:] or cores)) as model:
        config = {"kind": "openai", "base_url": f"{model.origin}/v1", "model": MODEL}
        async with _engine({"mind": config, **parts}) as server:
            yield server


@asynccontextmanager
async def _engine(config: Mapping[str, Mapping[str, Any]]) -> AsyncIterator[Server]:
    cores = sorted(os.sched_getaffinity(0))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "engine.yaml"
        file.write_text(json.dumps(config))  # which is YAML as well
        command = ["-m", "evibridge", "engine", "--config", str(file)]
        async with serving(command, frozenset(cores[:ENGINE_CORES])) as server:
            yield server
