"""The query string and headers with which a chat is opened. Pure."""

import hmac
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson

from evibridge.engine.messages import Fault, SessionSettings, malformed, read_settings
from evibridge.loopback import is_local_request
from evibridge.sockets import Upgrade

MAX_PARAMETERS = 256
SETTINGS = "session_settings"
QUERY_MEMBERS = {"audio", "context", "custom_session_id", "system_prompt", "variables"}
"""Settings that a query may hold and that the engine reads; others are ignored."""
OBJECT_PATHS = {(), ("audio",), ("context",), ("variables",)}
"""Where one JSON text may stand in place of bracketed members."""

_NESTED = re.compile(rf"{SETTINGS}((?:\[[^\[\]]+\])*)")
_STEP = re.compile(r"\[([^\[\]]+)\]")


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client says before the first message."""

    api_key: str | None
    settings: SessionSettings | Fault | None
    """None when the query has no settings; a fault is told after the chat is open, because
    clients learn nothing from a refused upgrade but its status."""


def read_handshake(upgrade: Upgrade) -> Handshake:
    """Read credentials and initial settings; unknown parameters are ignored."""
    query = upgrade.path.partition("?")[2]
    header = upgrade.headers.get("X-Hume-Api-Key")
    try:
        parameters = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return Handshake(header, malformed("The query has too many parameters."))
    in_query = next((value for name, value in parameters if name == "api_key"), None)
    return Handshake(header or in_query, _settings(parameters))


def is_authorised(upgrade: Upgrade, api_key: str | None, api_keys: frozenset[str]) -> bool:
    """Tell whether a client may open a chat: by key, or by being local where there are no keys."""
    if not api_keys:
        return is_local_request(upgrade.headers, upgrade.peer)
    if not api_key:
        return False
    offered = api_key.encode(errors="backslashreplace")  # a header may hold bytes that are no text
    return any(hmac.compare_digest(offered, key.encode()) for key in api_keys)


def _settings(parameters: list[tuple[str, str]]) -> SessionSettings | Fault | None:
    tree: dict[str, Any] = {}
    for name, value in parameters:
        nested = _NESTED.fullmatch(name)
        # SDKs write a member that is None as an empty value.
        if nested is None or not value:
            continue
        path = tuple(_STEP.findall(nested[1]))
        if path in OBJECT_PATHS:
            try:
                parsed = orjson.loads(value)
            except orjson.JSONDecodeError:
                return malformed(f"{name} must be bracketed members or one JSON object.")
            _put(tree, path, parsed)
        else:
            _put(tree, path, value)
    members = tree.get(SETTINGS, {})
    if not isinstance(members, dict):
        return malformed(f"{SETTINGS} must be bracketed members or one JSON object.")
    known = {name: value for name, value in members.items() if name in QUERY_MEMBERS}
    return read_settings(known) if known else None


def _put(tree: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    *outer, last = (SETTINGS, *path)
    for step in outer:
        inner = tree.get(step)
        if not isinstance(inner, dict):
            inner = tree[step] = {}
        tree = inner
    tree[last] = value
