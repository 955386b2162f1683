"""The real service and the real engine, both of them in this process, for one call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from evibridge.agent.definition import Agent
from evibridge.engine.config import TURN_TAKING
from evibridge.engine.hearing.ears import Ears
from evibridge.engine.minds.mind import Mind
from evibridge.engine.parts import EngineParts
from evibridge.engine.server import start_engine
from evibridge.engine.voices.voice import Voice
from evibridge.service import Service, start_service
from evibridge.settings import Settings
from evibridge.testing.record import CallRecord


@asynccontextmanager
async def running_service(
    agent: Agent, mind: Mind, ears: Ears, voice: Voice, record: CallRecord
) -> AsyncIterator[Service]:
    """Serve the agent on free ports of this machine; nothing is left of it afterwards.

    Args:
        agent: who answers the call
        mind: of the engine, as are ears and voice; whoever gives them closes them
        ears: what it hears the caller with
        voice: what it speaks with
        record: is told the events of the call
    """
    parts = EngineParts(
        ears=ears,
        mind=mind,
        voice=voice,
        turn_taking=TURN_TAKING,
        filler_after_s=None,  # as with every scripted mind, which never thinks for long
    )
    # The filler is for a lost engine, and its sentence would be spoken by a process of its own.
    served = replace(agent, manners=replace(agent.manners, filler=None))
    engine = await start_engine(parts, host="127.0.0.1", port=0)
    with TemporaryDirectory(prefix="evibridge-") as folder:
        try:
            # Made without environment and `.env`: a test must not reach what a service is set to.
            settings = Settings.model_construct(
                port=0, evi_url=engine.origin, data_dir=Path(folder)
            )
            service = await start_service(served, settings, on_event=record.add)
            try:
                yield service
            finally:
                await service.close()
        finally:
            await engine.close()
