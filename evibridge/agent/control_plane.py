"""EVI's control plane, from the client's side: messages to a chat that anybody may have opened."""

import asyncio
from contextlib import suppress
from urllib.parse import quote, urlsplit

import aiohttp

from evibridge.agent import evi_messages as evi
from evibridge.agent.evi_client import CHAT_PATH
from evibridge.agent.evi_codec import encode
from evibridge.errors import LinkError, LinkRefused, LinkUnreachable

CONNECT_TIMEOUT_S = 1.0
"""For one of the connections and, if it is new, for name resolution, TCP and TLS."""
ANSWER_TIMEOUT_S = 2.0
"""For all of a request, more than `CONNECT_TIMEOUT_S`; a server that lives takes milliseconds."""
NOT_ASKED_FOR_S = 10.0
"""A server that did not answer is left alone for so long: no operator waits for it again."""
MAX_CONNECTIONS = 16
"""EVI: 100 requests a second at most. More of ours at a time wait for a connection."""
MAX_ANSWER_BYTES = 4096
"""EVI: the answer is empty, or `{}`; the connection of a longer one is not used again."""

_GATEWAY_TIMEOUT = 504


class DeliveryUnknown(LinkError):
    """The message was sent, and no answer tells whether it has arrived: it may take effect yet."""


class ControlPlane:
    """`POST /v0/evi/chat/{chat_id}/send`, for all calls of a service.

    Args:
        origin: of the EVI server, such as `https://evi.example.com`
        api_key: goes into a header; None sends none
    """

    def __init__(self, origin: str, api_key: str | None) -> None:
        parts = urlsplit(origin)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["X-Hume-Api-Key"] = api_key
        self._session: aiohttp.ClientSession | None = None  # can be made in a running loop only
        self._is_closed = False
        self._not_asked_until_s = 0.0

    async def send(
        self, chat_id: str, message: evi.ClientMessage, *, is_only_way: bool = False
    ) -> None:
        """Send one message to a chat, as if the chat's own client had sent it.

        Args:
            chat_id: of a chat that goes on
            message: anything but audio
            is_only_way: ask also a server that did not answer a moment ago, as there is no socket
                that the message could go by instead

        Raises:
            LinkRefused: it was not delivered; the server answered with this status
            LinkUnreachable: it was not delivered; the server cannot be reached, or could not be
                reached a moment ago
            DeliveryUnknown: it may have been delivered, and must not be sent again if a second one
                would do harm
        """
        if self._is_closed:
            raise LinkUnreachable("The service is about to end, and sends nothing any more.")
        if not is_only_way and asyncio.get_running_loop().time() < self._not_asked_until_s:
            raise LinkUnreachable(f"{self._origin} did not answer a moment ago.")
        url = f"{self._origin}{CHAT_PATH}/{quote(chat_id, safe='')}/send"
        status = await self._post(url, encode(message))
        if status == _GATEWAY_TIMEOUT:
            raise DeliveryUnknown(f"{url} passed the message on to a server that gave no answer.")
        if not 200 <= status < 300:
            raise LinkRefused(url, status)

    async def close(self) -> None:
        """Close the connections for good; what is being sent is given up."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    async def _post(self, url: str, body: bytes) -> int:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            )
        try:
            # A redirect would carry the key to another host.
            async with self._session.post(
                url, data=body, headers=self._headers, allow_redirects=False
            ) as response:
                self._not_asked_until_s = 0.0
                with suppress(aiohttp.ClientError, TimeoutError):  # the status has told it all
                    await response.content.read(MAX_ANSWER_BYTES)
                return response.status
        except ValueError as error:
            raise LinkUnreachable(f"{url} cannot be asked with this key: {error}") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            self._leave_alone()
            raise LinkUnreachable(f"{url} cannot be reached: {error}.") from error
        except TimeoutError as error:
            self._leave_alone()
            raise DeliveryUnknown(f"{url} gave no answer in time.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise DeliveryUnknown(f"{url} gave no answer: {error}.") from error

    def _leave_alone(self) -> None:
        self._not_asked_until_s = asyncio.get_running_loop().time() + NOT_ASKED_FOR_S
