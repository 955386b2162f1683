"""What is between a console and its service: streams that tell what a test adds or alters."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from playwright.async_api import Page, WebSocketRoute

Told = Mapping[str, Any]
_STREAMS = re.compile(r"/v1/(calls/[^/]+/)?events")
_OF_ALL_CALLS = re.compile(r"/v1/events")


class Wire:
    """Event streams of one page, on their way through the hands of a test.

    Attributes:
        alter: what becomes of a message of the service
    """

    def __init__(self) -> None:
        self.alter: Callable[[Told], Told] = lambda told: told
        self._streams: list[WebSocketRoute] = []

    async def lay(self, page: Page) -> None:
        """Carry the streams that the page opens from now on."""
        await page.route_web_socket(_STREAMS, self._carry)

    def tell_list(self, told: Told) -> None:
        """Tell it by the stream of all calls."""
        self._tell(told, is_list=True)

    def tell_call(self, told: Told) -> None:
        """Tell it by the streams of calls that are open."""
        self._tell(told, is_list=False)

    def _carry(self, page_side: WebSocketRoute) -> None:
        server_side = page_side.connect_to_server()
        server_side.on_message(
            lambda text: page_side.send(json.dumps(self.alter(json.loads(text))))
        )
        self._streams.append(page_side)

    def _tell(self, told: Told, *, is_list: bool) -> None:
        for stream in self._streams:
            if bool(_OF_ALL_CALLS.search(stream.url)) is is_list:
                stream.send(json.dumps(told))
