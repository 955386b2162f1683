from collections.abc import Callable
from pathlib import Path

import pytest

from evibridge.engine.config import (
    EngineConfig,
    OpenAIDefaults,
    OpenAIEarsConfig,
    OpenAIVoiceConfig,
    Service,
)
from evibridge.engine.config_file import read_config
from evibridge.engine.webhooks.events import EVENT_NAMES
from evibridge.engine.webhooks.webhook import MAX_WEBHOOKS, Webhook
from evibridge.engine_service import build_parts, engine_config
from evibridge.errors import EngineSetupError
from evibridge.settings import Settings, load_settings

URL = "https://bridge.example/hume"
VARIABLES = {"SHOP_KEY": " whk-shop ", "BLANK_KEY": " "}
NOBODY = Service("http://127.0.0.1:1/v1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "engine.yaml"


def webhooks(path: Path, text: str, key: str | None = "whk-hush") -> tuple[Webhook, ...]:
    path.write_text(text, encoding="utf-8")
    return read_config(path, openai=OpenAIDefaults(), variables=VARIABLES, signing_key=key).webhooks


def fault(path: Path, text: str, key: str | None = "whk-hush") -> str:
    with pytest.raises(EngineSetupError) as error:
        webhooks(path, text, key)
    sentence = str(error.value)
    assert "hush" not in sentence
    assert sentence.endswith(".")
    return sentence.removeprefix(f"{path}, ")


@pytest.mark.parametrize("text", ["limits: {}", "webhooks: ~"])
def test_without_the_key_nobody_is_told(path: Path, text: str) -> None:
    assert webhooks(path, text, key=None) == ()


def test_a_webhook_is_read_as_evis_own_configurations_write_it(path: Path) -> None:
    text = f'webhooks: [{{"url": "{URL}", "events": ["chat_started", "chat_ended", "tool_call"]}}]'

    assert webhooks(path, text) == (Webhook(URL, "whk-hush", frozenset(EVENT_NAMES)),)


@pytest.mark.parametrize("text", [f"webhooks: {{url: '{URL}'}}", f"webhooks: [{{url: '{URL}'}}]"])
def test_a_webhook_is_told_everything_unless_it_says_otherwise(path: Path, text: str) -> None:
    assert webhooks(path, text) == (Webhook(URL, "whk-hush"),)


def test_every_webhook_may_have_its_own_events_and_its_own_key(path: Path) -> None:
    text = f"""
webhooks:
  - url: {URL}?code=1
    events: tool_call
    signing_key_env: SHOP_KEY
  - {{url: "http://127.0.0.1:8080/hume", events: [chat_ended, chat_ended]}}
"""

    assert webhooks(path, text) == (
        Webhook(f"{URL}?code=1", "whk-shop", frozenset({"tool_call"})),
        Webhook("http://127.0.0.1:8080/hume", "whk-hush", frozenset({"chat_ended"})),
    )


def test_a_webhook_with_a_key_of_its_own_needs_no_other(path: Path) -> None:
    text = f"webhooks: {{url: '{URL}', signing_key_env: SHOP_KEY}}"

    assert webhooks(path, text, key=None) == (Webhook(URL, "whk-shop"),)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"webhooks: ['{URL}']", 'line 1, column 12: a webhook is expected here; write "key: va'),
        ("webhooks: [{}]", 'line 1, column 12: a webhook needs the key "url"; write it.'),
        ("webhooks: [~]", 'line 1, column 12: a webhook needs the key "url"; write it.'),
        ("webhooks: []", "line 1, column 11: the list is empty; write at least one item, or leav"),
        ("webhooks: {ulr: a}", 'line 1, column 12: "ulr" is no key of a webhook; write "url".'),
        (
            "webhooks: {url: bridge.example/hume}",
            "line 1, column 17: an address is expected here; write one that begins with https://.",
        ),
        ("webhooks: {url: 'wss://bridge.example'}", "begins with https://."),
        ("webhooks: {url: '127.0.0.1:8080/hume'}", "begins with http://."),
        (
            "webhooks: {url: 'https://u:hush@a.example'}",
            "an address has no user name here; receivers know the engine by its signature.",
        ),
        (
            f"webhooks: {{url: '{URL}', events: [chat_start]}}",
            'line 1, column 57: "chat_start" is no event; write "chat_started".',
        ),
        (
            f"webhooks: {{url: '{URL}', events: [everything]}}",
            '"everything" is no event; write one of chat_started, tool_call, chat_ended.',
        ),
        (f"webhooks: {{url: '{URL}', events: []}}", "the list is empty"),
        (
            f"webhooks: {{url: '{URL}', signing_key: whk-hush}}",
            'write the name of that variable as "signing_key_env".',
        ),
        (
            f"webhooks: {{url: '{URL}', signing_key_env: whk-hush}}",
            "in capitals such as HUME_WEBHOOK_SIGNING_KEY; the key itself belongs into that varia",
        ),
        (
            f"webhooks: {{url: '{URL}', signing_key_env: BLANK_KEY}}",
            "the environment variable BLANK_KEY is not set; set it to the key.",
        ),
        (
            "webhooks: [" + "{url: 'https://a.example'}, " * (MAX_WEBHOOKS + 1) + "]",
            "line 1, column 11: these are 9 webhooks; write 8 at most.",
        ),
    ],
)
def test_a_fault_is_told_with_its_place(path: Path, text: str, sentence: str) -> None:
    assert sentence in fault(path, text)


def test_a_missing_key_is_told_with_what_to_set(path: Path) -> None:
    told = fault(path, f"webhooks:\n  - url: {URL}\n", key=None)

    assert told == (
        "line 2, column 5: HUME_WEBHOOK_SIGNING_KEY is not set: set it to the key that the "
        "receiver of this webhook checks signatures with, or name another variable as "
        '"signing_key_env".'
    )


@pytest.fixture
def settings(path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Settings]:
    """Settings of an engine with a webhook, in an environment with this key."""
    path.write_text(f"webhooks: {{url: '{URL}'}}", encoding="utf-8")
    monkeypatch.chdir(path.parent)

    def load(key: str) -> Settings:
        monkeypatch.setenv("HUME_WEBHOOK_SIGNING_KEY", key)
        return load_settings(engine_config=path)

    return load


def test_the_key_comes_from_the_environment_and_is_not_shown(
    settings: Callable[[str], Settings],
) -> None:
    config = engine_config(settings("whk-hush"))

    assert config.webhooks == (Webhook(URL, "whk-hush"),)
    assert "hush" not in repr(config)


def test_a_blank_key_is_a_missing_one(settings: Callable[[str], Settings]) -> None:
    with pytest.raises(EngineSetupError, match="HUME_WEBHOOK_SIGNING_KEY is not set"):
        engine_config(settings(" "))


@pytest.mark.parametrize("told", [(), (Webhook(URL, "whk-hush"),)])
async def test_what_is_configured_is_what_the_engine_tells(told: tuple[Webhook, ...]) -> None:
    ears, voice = OpenAIEarsConfig(NOBODY, "e"), OpenAIVoiceConfig(NOBODY, "v", "alloy")
    async with build_parts(EngineConfig(ears=ears, voice=voice, webhooks=told)) as parts:
        assert (parts.webhooks is not None) is bool(told)
