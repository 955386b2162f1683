"""What a client has set for its chat, and how a new message changes it. Pure."""

from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from evibridge.engine.messages import Context, Fault, SessionSettings, ToolSettings, malformed
from evibridge.engine.mind import ToolOffer


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Interleaved int16 PCM as the client sends it."""

    rate_hz: int
    channels: int


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """Settings of one chat; nothing outlives it."""

    audio: AudioFormat | None = None
    system_prompt: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    context: Context | None = None
    tools: tuple[ToolOffer, ...] = ()
    custom_session_id: str | None = None

    def merged(self, change: SessionSettings) -> "ChatSettings | Fault":
        """Apply a `session_settings` message: only the members that it contains change.

        Null takes a member back to its default (documented for `context`; UNCONFIRMED U25 for
        the others), except for `audio`: a stream cannot lose its format. Maps and lists are
        replaced, not merged (UNCONFIRMED U26, U27).
        """
        members: dict[str, Any] = {}
        given = change.model_fields_set
        for name in ("system_prompt", "context", "custom_session_id"):
            if name in given:
                members[name] = getattr(change, name)
        if change.audio is not None:
            members["audio"] = AudioFormat(change.audio.sample_rate, change.audio.channels)
        if "variables" in given:
            variables = change.variables or {}
            members["variables"] = {name: _text(value) for name, value in variables.items()}
        if "tools" in given:
            offers = _offers(change.tools or [])
            if isinstance(offers, Fault):
                return offers
            members["tools"] = offers
        return replace(self, **members)

    def without_context(self) -> "ChatSettings":
        """The same settings after a temporary context has had its effect."""
        return replace(self, context=None)

    def offer(self, tool: str) -> ToolOffer | None:
        """The tool of that name, if the client offers it."""
        return next((offer for offer in self.tools if offer.name == tool), None)


def _text(value: str | float) -> str:
    """EVI keeps variables as text: `true`, `30.0`."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _offers(tools: list[ToolSettings]) -> tuple[ToolOffer, ...] | Fault:
    offers: dict[str, ToolOffer] = {}
    for tool in tools:
        if tool.type != "function":
            continue  # built-in tools are the engine's own
        try:
            schema = orjson.loads(tool.parameters)
        except orjson.JSONDecodeError:
            schema = None
        if not isinstance(schema, dict):
            return malformed("session_settings: 'parameters' of a tool must be a JSON Schema text.")
        offers[tool.name] = ToolOffer(tool.name, tool.description, schema, tool.fallback_content)
    return tuple(offers.values())
