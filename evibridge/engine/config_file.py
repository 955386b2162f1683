"""Reading an engine's configuration from its YAML file; docs/engine.md describes the format."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evibridge.engine.chat.timeouts import MAX_CHAT_S, ChatLimits, EventMessage
from evibridge.engine.config import (
    FILLER,
    FILLER_AFTER_S,
    TURN_TAKING,
    CustomMindConfig,
    EarsConfig,
    EngineConfig,
    HibariVoiceConfig,
    MindConfig,
    OpenAIDefaults,
    OpenAIEarsConfig,
    OpenAIMindConfig,
    OpenAIVoiceConfig,
    ScriptedMindConfig,
    Service,
    VoiceConfig,
    WhisperEarsConfig,
)
from evibridge.engine.config_section import Section, address, secret
from evibridge.engine.hearing.turns import TurnTaking
from evibridge.engine.web_search import WebSearch, load_search
from evibridge.engine.webhooks.configuration import read_webhooks
from evibridge.engine.yaml_file import Value, read_yaml, required
from evibridge.errors import EngineSetupError

CONFIG_KEYS = (
    "mind",
    "ears",
    "voice",
    "turn_detection",
    "interruption",
    "nudges",
    "event_messages",
    "timeouts",
    "prompt",
    "web_search",
    "webhooks",
    "limits",
)
_SERVICE_KEYS = ("base_url", "api_key_env", "model")
_WAITING_KEYS = ("first_token_timeout_s", "filler", "filler_after_ms")
MIND_KEYS = {
    "script": ("script",),
    "openai": (*_SERVICE_KEYS, "temperature", "max_tokens", *_WAITING_KEYS),
    "custom": ("url", "api_key_env", *_WAITING_KEYS),
}
EARS_KEYS = {
    "whisper": ("model_folder", "workers"),
    "openai": (*_SERVICE_KEYS, "language", "timeout_s"),
}
VOICE_KEYS = {
    "hibari": ("workers",),
    "openai": (*_SERVICE_KEYS, "voice", "voices", "rate_hz", "timeout_s"),
}
_PART_EXAMPLES = {
    "mind": "{kind: openai, model: ...}",
    "ears": "{kind: whisper}",
    "voice": "{kind: hibari}",
}
TURN_DETECTION_KEYS = (
    "end_of_turn_silence_ms",
    "speech_detection_threshold",
    "prefix_padding_ms",
)
INTERRUPTION_KEYS = ("min_interruption_ms",)
NUDGE_KEYS = ("enabled", "interval_secs")
OCCASIONS = ("on_new_chat", "on_inactivity_timeout", "on_max_duration_timeout")
EVENT_MESSAGE_KEYS = ("enabled", "text")
TIMEOUT_KEYS = ("inactivity", "max_duration", "tool_secs")
DURATION_KEYS = ("enabled", "duration_secs")
PROMPT_KEYS = ("text",)
LIMIT_KEYS = ("max_chats", "drain_secs")

SHORTEST_TIMEOUT_S = 30
"""EVI's bound for inactivity and for the longest chat; the upper one of both is `MAX_CHAT_S`."""
NUDGE_INTERVAL_S = 15.0
LONGEST_STEP_S = 25.0
"""For the next word or sound of a service: then the chat gives it up by itself."""
LONGEST_RECOGNITION_S = 10.0
"""For the text of an utterance: then the chat gives it up by itself."""


def read_config(
    path: Path,
    *,
    openai: OpenAIDefaults,
    variables: Mapping[str, str],
    signing_key: str | None = None,
    script: Path | None = None,
) -> EngineConfig:
    """Read and check a configuration; its `web_search` is imported, nothing else is loaded.

    Paths in the file are relative to its folder.

    Args:
        path: the file
        openai: address and key of parts that name none
        variables: the environment, where `api_key_env` and the like find keys
        signing_key: of webhooks that name none
        script: dialogue of the scripted mind, if the file names no other

    Raises:
        EngineSetupError: the file cannot be read, or is no configuration; the sentence names the
            file, the line and the column, and says what to write
    """
    return _Reader(path.parent, openai, variables, signing_key, script).config(read_yaml(path))


class _Reader:
    """Reads the values of one file."""

    def __init__(
        self,
        folder: Path,
        openai: OpenAIDefaults,
        variables: Mapping[str, str],
        signing_key: str | None,
        script: Path | None,
    ) -> None:
        self._folder = folder
        self._openai = openai
        self._variables = variables
        self._signing_key = signing_key
        self._script = script

    def config(self, value: Value) -> EngineConfig:
        file = Section(value, "the configuration", CONFIG_KEYS)
        limits = file.section("limits", LIMIT_KEYS)
        usual = EngineConfig()
        return EngineConfig(
            mind=self._mind(file.get("mind")),
            ears=self._ears(file.get("ears")),
            voice=self._voice(file.get("voice")),
            turn_taking=_turn_taking(file),
            limits=_chat_limits(file),
            system_prompt=file.section("prompt", PROMPT_KEYS).text("text", None),
            web_search=self._web_search(file.get("web_search")),
            webhooks=read_webhooks(file.get("webhooks"), self._signing_key, self._variables),
            max_chats=limits.whole("max_chats", 1, 10_000, usual.max_chats),
            drain_s=limits.number("drain_secs", 0, 3600, usual.drain_s),
        )

    def _mind(self, value: Value | None) -> MindConfig:
        if value is None:
            return ScriptedMindConfig(self._script)
        kind, keys = _part(value, "mind", MIND_KEYS)
        if kind == "script":
            return ScriptedMindConfig(self._path(keys, "script") or self._script)
        filler_after_ms = keys.number("filler_after_ms", 0, 120_000, FILLER_AFTER_S * 1000)
        waiting: dict[str, Any] = {
            "first_token_timeout_s": keys.number(
                "first_token_timeout_s", 0.1, LONGEST_STEP_S, 10.0
            ),
            "filler": keys.text("filler", FILLER),
            "filler_after_s": filler_after_ms / 1000,
        }
        if kind == "custom":
            url = address(keys.needs("url"), ("http", "https", "ws", "wss"))
            return CustomMindConfig(Service(url, self._key(keys)), **waiting)
        return OpenAIMindConfig(
            model=keys.needs("model").text(),
            service=self._service(keys),
            temperature=keys.number("temperature", 0, 2, None),
            max_tokens=keys.whole("max_tokens", 1, 1_000_000, None),
            **waiting,
        )

    def _ears(self, value: Value | None) -> EarsConfig:
        if value is None:
            return WhisperEarsConfig()
        kind, keys = _part(value, "ears", EARS_KEYS)
        if kind == "whisper":
            return WhisperEarsConfig(
                self._path(keys, "model_folder"), workers=keys.whole("workers", 1, 64, 1)
            )
        return OpenAIEarsConfig(
            model=keys.needs("model").text(),
            service=self._service(keys),
            language=keys.text("language", None),
            timeout_s=keys.number("timeout_s", 0.1, LONGEST_RECOGNITION_S, 10.0),
        )

    def _voice(self, value: Value | None) -> VoiceConfig:
        if value is None:
            return HibariVoiceConfig()
        kind, keys = _part(value, "voice", VOICE_KEYS)
        if kind == "hibari":
            return HibariVoiceConfig(workers=keys.whole("workers", 1, 64, 1))
        voices = keys.get("voices")
        names = {} if voices is None else voices.mapping('"voices"')
        return OpenAIVoiceConfig(
            model=keys.needs("model").text(),
            voice=keys.needs("voice").text(),
            service=self._service(keys),
            voices={voice_id: name.text() for voice_id, name in names.items()},
            rate_hz=keys.whole("rate_hz", 8000, 48_000, 24_000),
            timeout_s=keys.number("timeout_s", 0.1, LONGEST_STEP_S, 10.0),
        )

    def _web_search(self, value: Value | None) -> WebSearch | None:
        if value is None:
            return None
        try:
            return load_search(value.text(), self._folder)
        except EngineSetupError as error:
            raise value.fault(str(error)) from error

    def _service(self, keys: Section) -> Service:
        base_url = keys.get("base_url")
        url = None if base_url is None else address(base_url, ("http", "https"))
        api_key = self._key(keys)
        try:
            return self._openai.service(url, api_key)
        except EngineSetupError as error:
            assert keys.value is not None
            raise keys.value.fault(str(error).removesuffix(".")) from None

    def _key(self, keys: Section) -> str | None:
        value = keys.get("api_key_env")
        return None if value is None else secret(value, self._variables, "GROQ_API_KEY")

    def _path(self, keys: Section, key: str) -> Path | None:
        value = keys.get(key)
        if value is None:
            return None
        path = self._folder / Path(value.text()).expanduser()
        if not path.exists():
            raise value.fault(f"{path} does not exist; write a path that begins at this file")
        return path


def _part(value: Value, name: str, kinds: Mapping[str, tuple[str, ...]]) -> tuple[str, Section]:
    """Tell ears, mind or voice from others of their sort, because their keys depend on it."""
    if not value.is_mapping():
        raise value.fault(f'"{name}" has keys of its own; write it as {_PART_EXAMPLES[name]}')
    kind = required(value.mapping(f'"{name}"'), "kind", value, f'"{name}"')
    text = kind.text()
    if text not in kinds:
        close = difflib.get_close_matches(text, kinds, n=1)
        hint = f'"{close[0]}"' if close else f"one of {', '.join(kinds)}"
        raise kind.fault(f'"{text}" is no kind of {name}; write {hint}')
    return text, Section(value, f'"{name}" of kind {text}', ("kind", *kinds[text]))


def _turn_taking(file: Section) -> TurnTaking:
    detection = file.section("turn_detection", TURN_DETECTION_KEYS)
    interruption = file.section("interruption", INTERRUPTION_KEYS)
    usual = TURN_TAKING
    return TurnTaking(
        end_of_turn_silence_ms=detection.whole(
            "end_of_turn_silence_ms", 500, 3000, usual.end_of_turn_silence_ms
        ),
        speech_detection_threshold=detection.number(
            "speech_detection_threshold", 0.0, 1.0, usual.speech_detection_threshold
        ),
        prefix_padding_ms=detection.whole("prefix_padding_ms", 0, 1000, usual.prefix_padding_ms),
        min_interruption_ms=interruption.whole(
            "min_interruption_ms", 50, 2000, usual.min_interruption_ms
        ),
    )


def _chat_limits(file: Section) -> ChatLimits:
    timeouts = file.section("timeouts", TIMEOUT_KEYS)
    nudges = file.section("nudges", NUDGE_KEYS)
    messages = file.section("event_messages", OCCASIONS)
    interval_s = nudges.number("interval_secs", 1, MAX_CHAT_S, NUDGE_INTERVAL_S)
    usual = ChatLimits()
    return ChatLimits(
        inactivity_s=_duration(timeouts, "inactivity", usual.inactivity_s),
        max_duration_s=_duration(timeouts, "max_duration", usual.max_duration_s),
        tool_timeout_s=timeouts.number("tool_secs", 0.1, 600, usual.tool_timeout_s),
        nudge_interval_s=interval_s if nudges.flag("enabled", otherwise=False) else None,
        on_new_chat=_message(messages, "on_new_chat"),
        on_inactivity=_message(messages, "on_inactivity_timeout"),
        on_max_duration=_message(messages, "on_max_duration_timeout"),
    )


def _duration(timeouts: Section, key: str, otherwise: float | None) -> float | None:
    keys = timeouts.section(key, DURATION_KEYS)
    duration_s = keys.number("duration_secs", SHORTEST_TIMEOUT_S, MAX_CHAT_S, otherwise)
    return duration_s if keys.flag("enabled", otherwise=True) else None


def _message(messages: Section, key: str) -> EventMessage:
    keys = messages.section(key, EVENT_MESSAGE_KEYS)
    return EventMessage(keys.flag("enabled", otherwise=True), keys.text("text", None))
