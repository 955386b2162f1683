"""What one chat tells its engine's webhooks."""

from evibridge.engine.chat.messages import ServerMessage
from evibridge.engine.webhooks import events
from evibridge.engine.webhooks.delivery import Deliveries
from evibridge.engine.webhooks.events import ChatIdentity


class ChatWebhooks:
    """Told the course of a chat, and tells it on.

    Args:
        deliveries: of the engine
        chat: which one
        began_s: Unix time of its start
    """

    def __init__(self, deliveries: Deliveries, chat: ChatIdentity, began_s: float) -> None:
        self._deliveries = deliveries
        self._chat = chat
        self._began_s = began_s

    def started(self, custom_session_id: str | None, *, resumed: bool) -> None:
        """The chat is open, and the settings of its handshake are known."""
        self._tell(
            events.chat_started(self._chat, custom_session_id, self._began_s, resumed=resumed)
        )

    def sent(self, message: ServerMessage, custom_session_id: str | None, now_s: float) -> None:
        """The client was sent a message: of interest are tool calls that can be answered."""
        if events.awaits_answer(message):
            self._tell(events.tool_call(self._chat, custom_session_id, now_s, message))

    def ended(self, why: str, custom_session_id: str | None, now_s: float) -> None:
        """The chat is over."""
        lasted_s = now_s - self._began_s
        self._tell(
            events.chat_ended(self._chat, custom_session_id, now_s, lasted_s=lasted_s, why=why)
        )

    def _tell(self, event: events.Event) -> None:
        self._deliveries.tell(self._chat.chat_id, event)
