"""The EVI server closes a chat: which codes end a call, and which it survives."""

import pytest

from tests.faults.stage import APOLOGY, HANG_UP, Scene, Talk, verbs

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def close(talk: Talk, errors: str, code: int | None) -> None:
    """End a chat as the server: the errors it reports first, and its close code."""
    for error in errors.split():
        await talk.chat.fail(error)
        await talk.stage.service.told("evi_reported_error", call_id=talk.call_sid, code=error)
    if code == 1006:
        talk.line_to_evi.reset()
    else:
        await talk.chat.close(code)


@pytest.mark.parametrize(
    ("errors", "code", "reason", "document"),
    [
        ("", 1000, "agent_hung_up", HANG_UP),
        ("W0105", 1000, "agent_hung_up", HANG_UP),
        ("E0714", 1000, "inactivity", HANG_UP),
        ("E0300", 1000, "evi_refused", APOLOGY),
        ("E0999", 1000, "evi_refused", APOLOGY),
        ("I0116 E0300", 1000, "evi_refused", APOLOGY),
        ("", 1008, "evi_refused", APOLOGY),
        ("E0300", 1006, "evi_refused", APOLOGY),
    ],
)
async def test_a_close_that_is_final_ends_the_call_for_its_own_reason(
    scene: Scene, errors: str, code: int, reason: str, document: list[tuple[str, str]]
) -> None:
    other = await scene.talk()
    talk = await scene.talk()

    await close(talk, errors, code)

    assert await talk.twilio.closed() == 1000
    assert await talk.reason() == reason
    assert verbs(await talk.asks_what_comes_next()) == document
    await other.goes_on()


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ("E0715", 1000),
        ("I0100", 1000),
        ("I0116", 1000),
        ("I0118", 1011),
        ("", 1001),
        ("", None),
        ("", 1006),
        ("", 1009),
        ("", 1011),
        ("E0712", 1006),
        ("E0999", 1011),
    ],
)
async def test_a_close_that_is_not_final_is_followed_by_a_chat_of_the_same_group(
    scene: Scene, errors: str, code: int | None
) -> None:
    other = await scene.talk()
    talk = await scene.talk()
    await talk.goes_on()

    await close(talk, errors, code)

    told = await talk.resumed()
    assert told["audio"] == {"encoding": "linear16", "sample_rate": 8000, "channels": 1}
    assert told["system_prompt"] == "You answer for {{shop}}."
    assert told["variables"] == {"shop": "Lantern"}
    assert {tool["name"] for tool in told["tools"]} == {"order_status", "order_book", "say_goodbye"}
    assert talk.chat.query["session_settings[audio][sample_rate]"] == "8000"
    await talk.goes_on()
    await other.goes_on()
    await talk.twilio.hang_up()
    assert await talk.reason() == "caller_hung_up"
    (ended,) = scene.stage.service.logged("call_ended", call_id=talk.call_sid)
    assert (ended["chats"], ended["chats_lost"]) == (2, 1)
