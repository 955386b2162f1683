from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.stage import Scene, Stage, staged
from tests.parties import wav

FILLER_MS = 120


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """A service for the whole module, which may name its agent in `AGENT` and have `SETTINGS`."""
    filler = tmp_path_factory.mktemp("sounds") / "filler.wav"
    filler.write_bytes(wav(FILLER_MS, 8000))
    agent = getattr(request.module, "AGENT", "agent")
    settings = getattr(request.module, "SETTINGS", {})
    async with staged(agent, FAULTS_FILLER=str(filler), **settings) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def scene(stage: Stage) -> AsyncIterator[Scene]:
    scene = Scene(stage)
    yield scene
    await scene.close()
