"""A chat on which comes what should not, and many that are lost at once."""

import asyncio
from contextlib import suppress

import pytest

from tests.faults.stage import Scene, Talk, is_first

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 16 * 1024 * 1024
GARBAGE = [
    "",
    "{",
    "null",
    "[]",
    "5",
    '"x"',
    "[" * 20_000,
    '{"type":null}',
    '{"type":"audio_output"}',
    '{"type":"audio_output","id":"a","index":0,"data":"!!"}',
    '{"type":"audio_output","id":"a","index":0,"data":"AAAA"}',
    '{"type":"audio_output","id":7,"index":"x","data":5}',
    '{"type":"user_message"}',
    '{"type":"user_message","message":null}',
    '{"type":"assistant_message","message":{}}',
    '{"type":"tool_call"}',
    '{"type":"tool_call","name":5,"tool_call_id":null}',
    '{"type":"chat_metadata"}',
    '{"type":"chat_metadata","chat_id":5,"chat_group_id":[]}',
    '{"type":"error"}',
    '{"type":"error","code":5}',
    '{"type":"a type of next year","x":[1]}',
]


async def send_garbage(talk: Talk) -> None:
    """Everything that can be wrong with a message that is not too long."""
    for text in GARBAGE:
        await talk.chat.socket.send_str(text)
    await talk.chat.socket.send_bytes(b"\x00\xff" * 100)
    await talk.chat.socket.ping(b"?")


async def unbegun(scene: Scene) -> Talk:
    """A call whose chat is open and has not begun."""
    twilio = await scene.ring()
    chat = await scene.stage.evi.next_chat(is_first)
    scene.talks.append(Talk(scene.stage, twilio, chat))
    return scene.talks[-1]


async def test_garbage_in_a_conversation_is_passed_over(scene: Scene) -> None:
    other = await scene.talk()
    talk = await scene.talk()

    await send_garbage(talk)

    await talk.goes_on()
    await other.goes_on()


async def test_garbage_before_a_chat_begins_is_passed_over(scene: Scene) -> None:
    talk = await unbegun(scene)

    await send_garbage(talk)
    await talk.chat.open()

    await talk.chat.expect("session_settings")
    await talk.goes_on()


async def test_nothing_that_comes_before_a_chat_begins_is_heard_or_done(scene: Scene) -> None:
    talk = await unbegun(scene)

    await talk.chat.say("early", "Too early.", 400)
    await talk.chat.call_tool("early", "order_book", '{"title": "Emma"}')
    await talk.chat.open()

    await talk.chat.expect("session_settings")
    await talk.goes_on()
    assert scene.stage.gate.runs(talk.call_sid) == 0


async def test_a_huge_message_costs_the_chat_which_is_resumed(scene: Scene) -> None:
    other = await scene.talk()
    talk = await scene.talk()

    with suppress(ConnectionError):  # nobody reads it to its end
        await talk.chat.socket.send_str("x" * (LIMIT + 1))

    await talk.resumed()
    await talk.goes_on()
    await other.goes_on()


async def test_bytes_that_are_no_frame_cost_the_chat_which_is_resumed(scene: Scene) -> None:
    talk = await scene.talk()
    wire = talk.line_to_evi.client.transport
    assert wire is not None

    wire.write(b"\xff" * 4000)

    await talk.resumed()
    await talk.goes_on()


async def test_a_server_that_names_no_group_is_told_everything_anew(scene: Scene) -> None:
    talk = await unbegun(scene)
    await talk.chat.socket.send_str('{"type":"chat_metadata","chat_id":"","chat_group_id":""}')
    await talk.chat.expect("session_settings")
    await talk.goes_on()

    talk.line_to_evi.reset()

    await talk.fresh_chat()
    await talk.chat.open()
    await talk.chat.expect("session_settings")
    await talk.goes_on()


async def test_many_calls_that_lose_their_server_at_once_all_go_on(scene: Scene) -> None:
    talks = [await scene.talk() for _ in range(30)]

    for talk in talks:
        talk.line_to_evi.reset()

    await asyncio.gather(*(talk.resumed() for talk in talks))
    await asyncio.gather(*(talk.goes_on() for talk in talks))


async def test_callers_who_break_off_as_soon_as_they_begin_leave_no_call_behind(
    scene: Scene,
) -> None:
    for _ in range(20):
        twilio = await scene.ring()
        port: int = twilio.socket.get_extra_info("sockname")[1]
        scene.stage.to_service.line_from(port).reset()

    await (await scene.talk()).goes_on()
    await scene.close()
    began = scene.stage.service.logged("call_began")
    assert len(scene.stage.service.logged("call_ended")) == len(began)
