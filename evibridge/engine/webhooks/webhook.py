"""One receiver of webhooks, as the owner of the engine names it."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from evibridge.engine.webhooks.events import EVENT_NAMES, EventName

MAX_WEBHOOKS = 8
"""Each receiver costs a request for every event of every chat."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where events go.

    Attributes:
        url: http:// or https://; its query may be secret
        signing_key: what the receiver checks signatures with
        events: those that it wants to be told
    """

    url: str = field(repr=False)
    signing_key: str = field(repr=False)
    events: frozenset[EventName] = frozenset(EVENT_NAMES)

    @property
    def host(self) -> str:
        """The part of the address that may be shown."""
        return urlsplit(self.url).hostname or ""
