"""Tools of a real MCP server in calls: while it lives, while it is down, and when it is back."""

import json

import aiohttp

from evibridge import Agent, Manners, Tools
from evibridge.service import start_service
from tests.bridges.conftest import Scene, settings
from tests.parties import TinyChat, TinyEvi, TinyTwilio
from tests.tools_registry.mcp.stage import http_shop, logged, plain_server

FALLBACK = "The shop's computer does not answer just now."


async def use(chat: TinyChat, tool_call_id: str) -> None:
    await chat.call_tool(tool_call_id, "shop_order_status", json.dumps({"order_id": "7"}))


async def test_a_server_that_goes_and_comes_back_holds_up_no_call(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    with http_shop() as shop, logged() as log:
        tools = Tools()
        tools.add(shop.server(prefix="shop_", fallback=FALLBACK))
        agent = Agent(system_prompt="Be brief.", tools=tools, manners=Manners(filler=None))
        service = await start_service(agent, settings(evi))
        scene = Scene(evi, service, http)
        try:
            _, chat = await scene.talk()
            await use(chat, "call_1")
            alive = await chat.expect("tool_response")
            shop.kill()
            await use(chat, "call_2")
            down = await chat.expect("tool_error")
            _, another = await scene.talk()
            await use(another, "call_3")
            down_in_another_call = await another.expect("tool_error")
            shop.start()
            await log.told("mcp_connected", times=2)
            await use(chat, "call_4")
            back = await chat.expect("tool_response")
        finally:
            for twilio in scene.calls:
                await twilio.close()
            await service.close()

    assert alive["content"] == back["content"] == "Order 7 is on its way, 1 times."
    for told in (down, down_in_another_call):
        assert (told["code"], told["content"]) == ("unavailable", FALLBACK)


async def test_the_evi_server_is_told_of_the_tools_under_their_prefix(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    tools = Tools()
    tools.add(plain_server(prefix="plain_", allow=["echo", "pid"]))
    agent = Agent(system_prompt="Be brief.", tools=tools, manners=Manners(filler=None))
    service = await start_service(agent, settings(evi))
    twilio = TinyTwilio(service.origin, http)
    try:
        token = await twilio.ring()
        await twilio.connect()
        await twilio.start(token)
        chat = await evi.next_chat()
        await chat.open()
        told = await chat.expect("session_settings")
    finally:
        await twilio.close()
        await service.close()

    assert [tool["name"] for tool in told["tools"]] == ["plain_echo", "plain_pid"]
