"""The composition root of the engine: builds it out of its configuration and runs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from evibridge.engine.access import Access, ApiKey, parse_keys
from evibridge.engine.config import (
    OPENAI_URL,
    CustomMindConfig,
    EarsConfig,
    EngineConfig,
    HibariVoiceConfig,
    MindConfig,
    OpenAIDefaults,
    OpenAIMindConfig,
    ScriptedMindConfig,
    VoiceConfig,
    WhisperEarsConfig,
)
from evibridge.errors import EngineSetupError, SettingsError
from evibridge.settings import Settings, load_environment

if TYPE_CHECKING:
    from evibridge.engine.hearing.ears import Ears
    from evibridge.engine.metrics import EngineMetrics
    from evibridge.engine.minds.mind import Mind
    from evibridge.engine.parts import EngineParts
    from evibridge.engine.server import Engine
    from evibridge.engine.voices.voice import Voice


def engine_config(
    settings: Settings, *, script: Path | None = None, agent_script: Path | None = None
) -> EngineConfig:
    """Decide what the engine is made of: options go before settings, and settings before the file.

    Args:
        settings: with the path of the file
        script: dialogue that the owner asks for on the command line
        agent_script: dialogue that an agent brings along, for want of another mind

    Raises:
        EngineSetupError: the file or a key is missing or wrong
    """
    openai = OpenAIDefaults(
        settings.openai_base_url or OPENAI_URL,
        settings.openai_api_key.get_secret_value() if settings.openai_api_key else None,
    )
    config = EngineConfig(mind=ScriptedMindConfig(agent_script))
    if settings.engine_config is not None:
        config = _read(settings.engine_config, settings, openai, agent_script)
    if settings.drain_seconds is not None:
        config = replace(config, drain_s=settings.drain_seconds)
    if script is not None:
        return replace(config, mind=ScriptedMindConfig(script))
    if settings.model is None:
        return config
    if isinstance(config.mind, OpenAIMindConfig):
        return replace(config, mind=replace(config.mind, model=settings.model))
    return replace(config, mind=OpenAIMindConfig(openai.service(), settings.model))


def _read(
    path: Path, settings: Settings, openai: OpenAIDefaults, script: Path | None
) -> EngineConfig:
    try:
        from evibridge.engine.config_file import read_config
    except ImportError as error:
        raise _not_installed(error) from error
    signing_key = settings.hume_webhook_signing_key
    return read_config(
        path,
        openai=openai,
        variables=load_environment(),
        signing_key=signing_key.get_secret_value() if signing_key else None,
        script=script,
    )


def engine_keys(settings: Settings) -> tuple[ApiKey, ...]:
    """Read the keys that clients must show.

    Raises:
        SettingsError: `EVIBRIDGE_ENGINE_KEYS` cannot be read
    """
    if settings.engine_keys is None:
        return ()
    try:
        return parse_keys(settings.engine_keys.get_secret_value())
    except SettingsError as error:
        raise SettingsError(f"EVIBRIDGE_ENGINE_KEYS: {error}") from None


@asynccontextmanager
async def running_engine(
    config: EngineConfig, *, host: str, port: int, keys: tuple[ApiKey, ...] = ()
) -> AsyncIterator["Engine"]:
    """The EVI-compatible engine, served while the context is open; loading takes some seconds.

    Args:
        config: what it is made of
        host: address to listen on
        port: 0 takes any free one
        keys: without any, only programs of this machine may connect

    Raises:
        EngineSetupError: a package or a file is missing or wrong
        SettingsError: the port is in use
    """
    async with build_parts(config, keys) as parts:
        from evibridge.engine.server import start_engine

        engine = await start_engine(parts, host=host, port=port)
        try:
            yield engine
        finally:
            await engine.close()


@asynccontextmanager
async def build_parts(
    config: EngineConfig, keys: tuple[ApiKey, ...] = ()
) -> AsyncIterator["EngineParts"]:
    """Make mind, ears and voice, and close them at the end.

    Raises:
        EngineSetupError: a package or a file is missing or wrong
    """
    async with AsyncExitStack() as stack:
        try:
            parts = await _parts(config, keys, stack)
        except ImportError as error:
            raise _not_installed(error) from error
        yield parts


async def _parts(
    config: EngineConfig, keys: tuple[ApiKey, ...], stack: AsyncExitStack
) -> "EngineParts":
    from evibridge.engine.metrics import EngineMetrics
    from evibridge.engine.parts import EngineParts
    from evibridge.engine.voices.phrases import Phrases
    from evibridge.engine.voices.standby import StandbyVoice
    from evibridge.engine.webhooks.delivery import Deliveries

    mind, filler, filler_after_s = config.mind, Phrases().filler, None
    if not isinstance(mind, ScriptedMindConfig):
        filler, filler_after_s = mind.filler, mind.filler_after_s
    phrases = Phrases(filler=filler)
    metrics = EngineMetrics()
    thinking = _mind(mind, stack)
    ears = await _ears(config.ears, metrics, stack)
    voice = StandbyVoice(await _voice(config.voice, metrics, stack), phrases.all())
    await voice.prepare()
    return EngineParts(
        ears=ears,
        mind=thinking,
        voice=voice,
        turn_taking=config.turn_taking,
        limits=config.limits,
        phrases=phrases,
        system_prompt=config.system_prompt,
        filler_after_s=filler_after_s,
        web_search=config.web_search,
        webhooks=Deliveries(config.webhooks, metrics.webhook_ended) if config.webhooks else None,
        metrics=metrics,
        access=Access(keys),
        max_chats=config.max_chats,
    )


def _mind(config: MindConfig, stack: AsyncExitStack) -> "Mind":
    if isinstance(config, ScriptedMindConfig):
        from evibridge.engine.minds.script import ScriptedMind

        return ScriptedMind.load(config.script)
    service = config.service
    if isinstance(config, CustomMindConfig) and config.is_socket:
        from evibridge.engine.minds.language_socket import LanguageSocketMind

        return LanguageSocketMind(service.url, service.api_key, config.first_token_timeout_s)
    from evibridge.engine.minds.completions import CompletionsMind

    if isinstance(config, CustomMindConfig):
        mind = CompletionsMind(
            base_url=service.url,
            api_key=service.api_key,
            model=None,
            first_token_timeout_s=config.first_token_timeout_s,
            sends_session_id=True,
        )
    else:
        mind = CompletionsMind(
            base_url=service.url,
            api_key=service.api_key,
            model=config.model,
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            first_token_timeout_s=config.first_token_timeout_s,
        )
    stack.push_async_callback(mind.close)
    return mind


async def _ears(config: EarsConfig, metrics: "EngineMetrics", stack: AsyncExitStack) -> "Ears":
    if isinstance(config, WhisperEarsConfig):
        from evibridge.engine.hearing.ears import WhisperEars

        load = partial(WhisperEars.load, config.model_folder, workers=config.workers)
        whisper = stack.enter_context(closing(await asyncio.to_thread(load)))
        metrics.watch("ears", whisper.workers)
        return whisper
    from evibridge.engine.hearing.openai_ears import OpenAIEars

    ears = OpenAIEars(
        base_url=config.service.url,
        api_key=config.service.api_key,
        model=config.model,
        language=config.language,
        timeout_s=config.timeout_s,
    )
    stack.push_async_callback(ears.close)
    return ears


async def _voice(config: VoiceConfig, metrics: "EngineMetrics", stack: AsyncExitStack) -> "Voice":
    if isinstance(config, HibariVoiceConfig):
        from evibridge.engine.voices.voice import HibariVoice

        load = partial(HibariVoice.load, workers=config.workers)
        hibari = stack.enter_context(closing(await asyncio.to_thread(load)))
        metrics.watch("voice", hibari.workers)
        return hibari
    from evibridge.engine.voices.openai_voice import OpenAIVoice

    voice = OpenAIVoice(
        base_url=config.service.url,
        api_key=config.service.api_key,
        model=config.model,
        voice=config.voice,
        voices=config.voices,
        rate_hz=config.rate_hz,
        timeout_s=config.timeout_s,
    )
    stack.push_async_callback(voice.close)
    return voice


def _not_installed(error: ImportError) -> EngineSetupError:
    return EngineSetupError(
        f"The engine needs a package that is not installed ({error.name}): install "
        "evibridge[engine], or set EVIBRIDGE_EVI_URL to an EVI server."
    )
