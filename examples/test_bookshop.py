"""How an agent is tested: a tool by itself, a conversation by text, and a call by voice."""

import bookshop
import pytest

from evibridge.testing import CallByText, CallByVoice, fake_call

pytest_plugins = ["evibridge.testing.fixtures"]  # in a project with several test files: conftest.py
pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def nothing_is_reserved() -> None:
    bookshop.reserved.clear()


async def test_a_book_is_put_aside_for_whoever_calls() -> None:
    call = fake_call(caller="+14155550123")

    answer = await bookshop.reserve_book(call.context, title="the hobit", name="Ada")

    assert answer.startswith("The Hobbit waits for you at the counter")
    assert bookshop.reserved == [("The Hobbit", "Ada", "+14155550123")]


async def test_callers_learn_where_their_order_is(text_call: CallByText) -> None:
    async with text_call(bookshop.agent) as call:
        assert "Paper Lantern" in call.greeting
        assert "arrives on Friday" in await call.says("Where is order 1042?")

    assert [(use.name, use.arguments) for use in call.called] == [
        ("order_status", {"order_id": "1042"})
    ]


async def test_a_wrong_number_is_asked_for_again(text_call: CallByText) -> None:
    async with text_call(bookshop.agent) as call:
        await call.says("Where is order 1142?")
        (refused,) = call.called
        assert refused.outcome == "tool_error"
        assert refused.answer is not None
        assert "no order with the number 1 1 4 2" in refused.answer

        assert "arrives on Friday" in await call.says("It is 1042.")


async def test_a_name_is_asked_for_before_a_book_is_reserved(text_call: CallByText) -> None:
    async with text_call(bookshop.agent, caller="+14155550123") as call:
        assert "what name" in await call.says("Please keep Moby Dick for me.")
        assert not call.called
        assert "under the name of Ada" in await call.says("My name is Ada.")

    assert bookshop.reserved == [("Moby Dick", "Ada", "+14155550123")]


async def test_a_spoken_question_is_answered_in_spoken_words(voice_call: CallByVoice) -> None:
    call = await voice_call(bookshop.agent, says=["Where is order 1042?"])

    assert [use.arguments for use in call.called] == [{"order_id": "1042"}]
    assert "Friday" in call.heard[-1]
