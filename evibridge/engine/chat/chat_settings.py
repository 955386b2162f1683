"""What a client has set for its chat, and how a new message changes it. Pure."""

import re
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from evibridge.engine.chat.faults import Fault, malformed
from evibridge.engine.chat.messages import Context, SessionSettings, ToolSettings
from evibridge.engine.chat.tool_calls import BUILT_IN, HANG_UP, WEB_SEARCH
from evibridge.engine.minds.mind import HistoryEntry, Prompt, ToolOffer

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""The rule of language models; EVI's own is not known (UNCONFIRMED U28)."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Interleaved int16 PCM as the client sends it."""

    rate_hz: int
    channels: int


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """Settings of one chat; nothing outlives it.

    Attributes:
        configured_prompt: stands in for a system prompt while the client has set none
        builtin_tools: the engine's own tools that the client allows, each with its fallback text
    """

    configured_prompt: str | None = None
    audio: AudioFormat | None = None
    system_prompt: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    context: Context | None = None
    tools: tuple[ToolOffer, ...] = ()
    builtin_tools: dict[str, str | None] = field(default_factory=dict)
    voice_id: str | None = None
    language_model_api_key: str | None = field(default=None, repr=False)
    custom_session_id: str | None = None

    def merged(self, change: SessionSettings) -> "ChatSettings | Fault":
        """Apply a `session_settings` message: only the members that it contains change.

        Null takes a member back to its default (documented for `context`; UNCONFIRMED U25 for
        the others), except for `audio`: a stream cannot lose its format. Maps and lists are
        replaced, not merged (UNCONFIRMED U26, U27).
        """
        members: dict[str, Any] = {}
        given = change.model_fields_set
        for name in (
            "system_prompt",
            "context",
            "voice_id",
            "language_model_api_key",
            "custom_session_id",
        ):
            if name in given:
                members[name] = getattr(change, name)
        if change.audio is not None:
            members["audio"] = AudioFormat(change.audio.sample_rate, change.audio.channels)
        if "variables" in given:
            variables = change.variables or {}
            members["variables"] = {name: _text(value) for name, value in variables.items()}
        if "builtin_tools" in given:
            allowed = change.builtin_tools or []
            members["builtin_tools"] = {tool.name: tool.fallback_content for tool in allowed}
        if "tools" in given:
            offers = _offers(change.tools or [])
            if isinstance(offers, Fault):
                return offers
            members["tools"] = offers
        return replace(self, **members)

    def after_answer(self, context: str | None) -> "ChatSettings":
        """The same settings after an answer has been given with a context.

        A temporary context is for one answer only; another one, set meanwhile, stays.
        """
        mine = self.context
        if mine is not None and mine.type == "temporary" and mine.text == context:
            return replace(self, context=None)
        return self

    def prompt(self, history: list[HistoryEntry], context: str | None, *, search: bool) -> Prompt:
        """What a mind is told under these settings.

        Args:
            history: what was said so far
            context: of the answer, None when there is none to give
            search: whether the engine has a web search
        """
        tools = list(self.tools)
        if self.allows(HANG_UP):
            tools.append(BUILT_IN[HANG_UP])
        if search and self.allows(WEB_SEARCH):
            tools.append(BUILT_IN[WEB_SEARCH])
        return Prompt(
            system_prompt=self.system_prompt or self.configured_prompt,
            variables=dict(self.variables),
            context=context,
            tools=tools,
            history=history,
            custom_session_id=self.custom_session_id,
            language_model_api_key=self.language_model_api_key,
        )

    def allows(self, builtin_tool: str) -> bool:
        """Whether the client allows a tool of the engine."""
        return builtin_tool in self.builtin_tools

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
            continue  # the engine's own tools have a member of their own
        if not _TOOL_NAME.fullmatch(tool.name):
            return malformed(
                "session_settings: the name of a tool must be 1 to 64 letters, digits, '_' or '-'."
            )
        try:
            schema = orjson.loads(tool.parameters)
        except orjson.JSONDecodeError:
            schema = None
        if not isinstance(schema, dict):
            return malformed("session_settings: 'parameters' of a tool must be a JSON Schema text.")
        offers[tool.name] = ToolOffer(tool.name, tool.description, schema, tool.fallback_content)
    return tuple(offers.values())
