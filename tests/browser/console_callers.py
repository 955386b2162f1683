"""Callers whom a test names, and what the service tells of them."""

from typing import Any

import aiohttp

from tests.browser.console_calls import WALL, ConsoleCall, ConsoleCalls, Phone


async def call_as(calls: ConsoleCalls, name: str) -> ConsoleCall:
    """Somebody calls whom his carrier knows by this name: a number, or `client:` and anything."""
    phone = Phone(calls.service.origin, name)
    chat = await calls.next_chat()
    call_id = next(each["call_id"] for each in await live(calls) if each["caller"] == name)
    return ConsoleCall(phone, chat, call_id)


async def live(calls: ConsoleCalls) -> list[dict[str, Any]]:
    """Summaries of the calls that go on."""
    headers = {"Authorization": f"Bearer {WALL}"}
    async with (
        aiohttp.ClientSession(calls.service.origin, headers=headers) as http,
        http.get("/v1/calls") as answer,
    ):
        listed: list[dict[str, Any]] = (await answer.json())["calls"]
        return listed
