import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from evibridge.engine.chat.timeouts import ChatLimits
from evibridge.engine.config import (
    OPENAI_URL,
    CustomMindConfig,
    EngineConfig,
    OpenAIEarsConfig,
    OpenAIMindConfig,
    OpenAIVoiceConfig,
    ScriptedMindConfig,
    Service,
)
from evibridge.engine.hearing.ears import WhisperEars
from evibridge.engine.hearing.openai_ears import OpenAIEars
from evibridge.engine.minds.completions import CompletionsMind
from evibridge.engine.minds.language_socket import LanguageSocketMind
from evibridge.engine.minds.script import ScriptedMind
from evibridge.engine_service import build_parts, engine_config, engine_keys
from evibridge.errors import EngineSetupError, SettingsError
from evibridge.settings import Settings

NOBODY = Service("http://127.0.0.1:1/v1")
REMOTE = EngineConfig(
    ears=OpenAIEarsConfig(NOBODY, "e"), voice=OpenAIVoiceConfig(NOBODY, "v", "alloy")
)
"""Ears and voice that load nothing."""


def settings(**given: object) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[call-arg, arg-type]


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("EVIBRIDGE_MODEL", "EVIBRIDGE_ENGINE_CONFIG", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def write(text: str) -> Path:
    path = Path("engine.yaml")
    path.write_text(text)
    return path


def test_without_any_setting_the_engine_is_at_its_defaults() -> None:
    assert engine_config(settings()) == EngineConfig()


def test_a_model_is_all_that_a_mind_needs() -> None:
    config = engine_config(settings(model="m", openai_api_key="hush"))

    assert config == EngineConfig(mind=OpenAIMindConfig(Service(OPENAI_URL, "hush"), "m"))


def test_a_model_of_ones_own_needs_no_key() -> None:
    config = engine_config(settings(model="m", openai_base_url="http://127.0.0.1:8000/v1"))

    assert config.mind == OpenAIMindConfig(Service("http://127.0.0.1:8000/v1"), "m")


def test_a_missing_key_is_told() -> None:
    with pytest.raises(EngineSetupError, match=r"^OPENAI_API_KEY is not set: .* service\.$"):
        engine_config(settings(model="m"))


def test_the_script_of_an_agent_is_used_when_nothing_else_is_named() -> None:
    assert engine_config(settings(), agent_script=Path("a.yaml")).mind == ScriptedMindConfig(
        Path("a.yaml")
    )


def test_the_file_goes_before_the_script_of_an_agent() -> None:
    path = write("mind: {kind: custom, url: 'wss://llm.example'}")

    config = engine_config(settings(engine_config=path), agent_script=Path("a.yaml"))

    assert config.mind == CustomMindConfig(Service("wss://llm.example"))


def test_the_environment_goes_before_the_file() -> None:
    path = write(
        "mind: {kind: openai, base_url: 'http://127.0.0.1:1', model: m, temperature: 1}\n"
        "limits: {drain_secs: 5}"
    )

    config = engine_config(settings(engine_config=path, model="other", drain_seconds=7))

    service = Service("http://127.0.0.1:1")
    assert config == EngineConfig(OpenAIMindConfig(service, "other", temperature=1), drain_s=7)


def test_a_model_of_the_environment_replaces_a_mind_of_another_kind() -> None:
    path = write("mind: {kind: script}")

    config = engine_config(settings(engine_config=path, model="m", openai_api_key="hush"))

    assert isinstance(config.mind, OpenAIMindConfig)


def test_the_command_line_goes_before_everything() -> None:
    path = write("mind: {kind: custom, url: 'wss://llm.example'}\nlimits: {max_chats: 3}")

    config = engine_config(settings(engine_config=path, model="m"), script=Path("s.yaml"))

    assert config == EngineConfig(mind=ScriptedMindConfig(Path("s.yaml")), max_chats=3)


def test_keys_that_the_file_names_are_found_beside_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write("mind: {kind: custom, url: 'wss://a', api_key_env: A_KEY}")
    monkeypatch.setenv("A_KEY", "hush")

    assert engine_config(settings(engine_config=path)).mind == CustomMindConfig(
        Service("wss://a", "hush")
    )


def test_the_keys_of_clients_are_read() -> None:
    assert engine_keys(settings()) == ()
    assert [key.key for key in engine_keys(settings(engine_keys=SecretStr("a,b:c")))] == ["a", "b"]


def test_keys_that_cannot_be_read_name_the_setting() -> None:
    with pytest.raises(SettingsError, match=r"^EVIBRIDGE_ENGINE_KEYS: .* 2 ") as error:
        engine_keys(settings(engine_keys=SecretStr("a,h ush")))
    assert "h ush" not in str(error.value)


@pytest.mark.parametrize(
    ("mind", "kind"),
    [
        (ScriptedMindConfig(), ScriptedMind),
        (OpenAIMindConfig(NOBODY, "m"), CompletionsMind),
        (CustomMindConfig(NOBODY), CompletionsMind),
        (CustomMindConfig(Service("ws://127.0.0.1:1")), LanguageSocketMind),
    ],
)
async def test_every_kind_of_mind_is_built(
    mind: ScriptedMindConfig | OpenAIMindConfig | CustomMindConfig, kind: type
) -> None:
    async with build_parts(EngineConfig(mind, REMOTE.ears, REMOTE.voice)) as parts:
        assert isinstance(parts.mind, kind)
        assert isinstance(parts.ears, OpenAIEars)


async def test_the_parts_of_this_machine_are_built_and_closed() -> None:
    async with build_parts(EngineConfig()) as parts:
        assert isinstance(parts.ears, WhisperEars)
        spoken = [chunk async for chunk in parts.voice.speak("Good day.")]
    assert sum(map(len, spoken)) > 48_000

    with pytest.raises(RuntimeError, match="closed"):
        await parts.ears.transcribe(b"\1\1" * 1600)


async def test_what_the_configuration_says_of_chats_reaches_the_engine() -> None:
    mind = OpenAIMindConfig(NOBODY, "m", filler="Let me see.", filler_after_s=0.7)
    limits = ChatLimits(inactivity_s=None)
    config = EngineConfig(mind, REMOTE.ears, REMOTE.voice, limits=limits, max_chats=3)

    async with build_parts(config) as parts:
        assert (parts.limits, parts.max_chats) == (limits, 3)
        assert (parts.phrases.filler, parts.filler_after_s) == ("Let me see.", 0.7)
        assert parts.turn_taking.min_interruption_ms == 240


async def test_a_script_is_always_quick_enough_to_need_no_filler() -> None:
    async with build_parts(REMOTE) as parts:
        assert parts.filler_after_s is None


async def test_a_script_with_a_fault_is_told_with_its_own_place() -> None:
    path = write("turns: []")

    with pytest.raises(EngineSetupError, match=r"^engine.yaml, line 1, column 8: the list is empt"):
        async with build_parts(EngineConfig(mind=ScriptedMindConfig(path))):
            pass


@pytest.mark.parametrize(
    ("package", "module"),
    [("yaml", "evibridge.engine.yaml_file"), ("openai", "evibridge.engine.model_service")],
)
async def test_a_package_that_is_not_installed_is_told(
    monkeypatch: pytest.MonkeyPatch, package: str, module: str
) -> None:
    path = write("mind: {kind: custom, url: 'https://llm.example'}")
    for name in ("config_file", "minds.completions", "minds.scripted.script_file"):
        monkeypatch.delitem(sys.modules, f"evibridge.engine.{name}", raising=False)
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(EngineSetupError, match=rf"not installed \({package}\): install evibridge"):
        async with build_parts(engine_config(settings(engine_config=path))):
            pass
