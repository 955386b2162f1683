"""The webhooks of the engine's file; docs/engine.md describes them."""

import difflib
from collections.abc import Mapping

from evibridge.engine.config_section import Section, address, secret
from evibridge.engine.webhooks.events import EVENT_NAMES, EventName
from evibridge.engine.webhooks.webhook import MAX_WEBHOOKS, Webhook
from evibridge.engine.yaml_file import Value

WEBHOOK_KEYS = ("url", "events", "signing_key_env")
SIGNING_KEY = "HUME_WEBHOOK_SIGNING_KEY"
"""The variable with the key of every webhook that names no other; receivers know it as this."""


def read_webhooks(
    value: Value | None, signing_key: str | None, variables: Mapping[str, str]
) -> tuple[Webhook, ...]:
    """Read who is told of the chats.

    Args:
        value: one webhook or a list of them, None for nobody
        signing_key: of those that name none, the value of `SIGNING_KEY`
        variables: the environment, where `signing_key_env` finds keys

    Raises:
        EngineSetupError: what is wrong, with its place
    """
    if value is None:
        return ()
    items = value.items()
    if len(items) > MAX_WEBHOOKS:
        raise value.fault(f"these are {len(items)} webhooks; write {MAX_WEBHOOKS} at most")
    return tuple(_webhook(item, signing_key, variables) for item in items)


def _webhook(value: Value, signing_key: str | None, variables: Mapping[str, str]) -> Webhook:
    keys = Section(value, "a webhook", WEBHOOK_KEYS)
    url = address(
        keys.needs("url"), ("http", "https"), "receivers know the engine by its signature"
    )
    own_key = keys.get("signing_key_env")
    if own_key is not None:
        signing_key = secret(own_key, variables, SIGNING_KEY)
    if signing_key is None:
        raise value.fault(
            f"{SIGNING_KEY} is not set: set it to the key that the receiver of this webhook checks "
            'signatures with, or name another variable as "signing_key_env"'
        )
    return Webhook(url, signing_key, _events(keys.get("events")))


def _events(value: Value | None) -> frozenset[EventName]:
    items = [] if value is None else value.items()
    return frozenset(map(_event, items)) or frozenset(EVENT_NAMES)


def _event(value: Value) -> EventName:
    text = value.text()
    for name in EVENT_NAMES:
        if text == name:
            return name
    close = difflib.get_close_matches(text, EVENT_NAMES, n=1)
    hint = f'"{close[0]}"' if close else f"one of {', '.join(EVENT_NAMES)}"
    raise value.fault(f'"{text}" is no event; write {hint}')
