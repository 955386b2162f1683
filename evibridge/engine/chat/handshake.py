"""The query string and headers with which a chat is opened. Pure."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

from evibridge.engine.chat.faults import Fault, malformed
from evibridge.engine.chat.messages import SessionSettings, read_settings
from evibridge.sockets import Upgrade

MAX_PARAMETERS = 256
DEFAULT_EVENT_LIMIT = 300
SETTINGS = "session_settings"
QUERY_MEMBERS = {
    "audio",
    "context",
    "custom_session_id",
    "language_model_api_key",
    "system_prompt",
    "variables",
    "voice_id",
}
"""Settings that a query may hold and that the engine reads; others are ignored."""
OBJECT_PATHS = {(), ("audio",), ("context",), ("variables",)}
"""Where one JSON text may stand in place of bracketed members."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NESTED = re.compile(rf"{SETTINGS}((?:\[[^\[\]]+\])*)")
_STEP = re.compile(r"\[([^\[\]]+)\]")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client says before the first message.

    `config_id` and `config_version` are accepted and change nothing: the engine's owner configures
    it.

    Attributes:
        api_keys: that of the header and that of the query; either may be right
        config_id: for webhooks to tell, None unless it is a UUID
        resumed_chat_group_id: the group whose conversation this chat goes on with
        verbose_transcription: whether interim transcripts are wanted
        allow_connection: whether mirrors of the chat are permitted
        event_limit: how many entries of earlier chats are remembered
        settings: initial settings, None when the query has none
        fault: what is wrong with the query. It is told when the chat is open, because clients
            learn nothing from a refused upgrade but its status
    """

    api_keys: tuple[str, ...] = field(default=(), repr=False)
    access_token: str | None = field(default=None, repr=False)
    config_id: str | None = None
    resumed_chat_group_id: str | None = None
    verbose_transcription: bool = False
    allow_connection: bool = False
    event_limit: int = DEFAULT_EVENT_LIMIT
    settings: SessionSettings | None = None
    fault: Fault | None = None


def read_handshake(upgrade: Upgrade) -> Handshake:
    """Read credentials, options and initial settings; unknown parameters are ignored."""
    query = upgrade.path.partition("?")[2]
    header = (upgrade.headers.get("X-Hume-Api-Key", ""),)
    try:
        parameters = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return Handshake(
            tuple(filter(None, header)), fault=malformed("The query has too many parameters.")
        )
    # SDKs write a parameter that is None as an empty value.
    plain = {name: value for name, value in parameters if value}
    nested, fault = _nested_settings(parameters)
    verbose, verbose_fault = _truth(plain, "verbose_transcription")
    allow_connection, allow_fault = _truth(plain, "allow_connection")
    limit, limit_fault = _event_limit(nested.pop("event_limit", plain.get("event_limit")))
    if "voice_id" in plain:
        nested.setdefault("voice_id", plain["voice_id"])
    known = {name: value for name, value in nested.items() if name in QUERY_MEMBERS}
    settings = read_settings(known) if known else None
    if isinstance(settings, Fault):
        settings, fault = None, fault or settings
    return Handshake(
        api_keys=tuple(filter(None, (*header, plain.get("api_key")))),
        access_token=plain.get("access_token"),
        config_id=plain.get("config_id") if _UUID.fullmatch(plain.get("config_id", "")) else None,
        resumed_chat_group_id=plain.get("resumed_chat_group_id"),
        verbose_transcription=verbose,
        allow_connection=allow_connection,
        event_limit=limit,
        settings=settings,
        fault=fault or verbose_fault or allow_fault or limit_fault,
    )


def _truth(parameters: dict[str, str], name: str) -> tuple[bool, Fault | None]:
    value = parameters.get(name, "false").lower()
    if value not in _TRUTH:
        return False, malformed(f"{name} must be true or false.")
    return _TRUTH[value], None


def _event_limit(value: object) -> tuple[int, Fault | None]:
    if value is None:
        return DEFAULT_EVENT_LIMIT, None
    text = str(value) if isinstance(value, str | int) else ""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        return DEFAULT_EVENT_LIMIT, malformed("event_limit must be a whole number from 0.")
    return int(text), None


def _nested_settings(parameters: list[tuple[str, str]]) -> tuple[dict[str, Any], Fault | None]:
    tree: dict[str, Any] = {}
    for name, value in parameters:
        nested = _NESTED.fullmatch(name)
        if nested is None or not value:
            continue
        path = tuple(_STEP.findall(nested[1]))
        if path in OBJECT_PATHS:
            try:
                parsed = orjson.loads(value)
            except orjson.JSONDecodeError:
                return {}, malformed(f"{name} must be bracketed members or one JSON object.")
            _put(tree, path, parsed)
        else:
            _put(tree, path, value)
    members = tree.get(SETTINGS, {})
    if not isinstance(members, dict):
        return {}, malformed(f"{SETTINGS} must be bracketed members or one JSON object.")
    return members, None


def _put(tree: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    *outer, last = (SETTINGS, *path)
    for step in outer:
        inner = tree.get(step)
        if not isinstance(inner, dict):
            inner = tree[step] = {}
        tree = inner
    tree[last] = value
