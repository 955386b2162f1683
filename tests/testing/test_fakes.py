import subprocess
import sys

import pytest

from evibridge.testing import fake_call
from tests.testing.workshop import close_shop, dial_extension, pin, tell_holiday


def test_a_fake_call_has_numbers_and_ids() -> None:
    call = fake_call().context

    assert all((call.call_id, call.chat_id, call.tool_call_id, call.caller, call.called))
    assert (call.parameters, call.state, call.digits) == ({}, {}, "")


def test_every_field_of_a_fake_call_may_be_given() -> None:
    basket = {"basket": ["a bell"]}

    call = fake_call(
        call_id="c7",
        chat_id="e7",
        tool_call_id="t7",
        caller=None,
        called="+14155550111",
        parameters={"campaign": "spring"},
        state=basket,
        digits="12#",
    ).context

    assert (call.call_id, call.chat_id, call.tool_call_id) == ("c7", "e7", "t7")
    assert (call.caller, call.called, call.digits) == (None, "+14155550111", "12#")
    assert call.parameters == {"campaign": "spring"}
    assert call.state is basket


def test_a_field_that_calls_do_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        fake_call(colour="red")  # type: ignore[call-arg]  # that is the point of the test


async def test_what_a_tool_asks_of_the_call_is_noted() -> None:
    call = fake_call(digits="42#")

    assert await pin(call.context) == "Your keys were 42#."
    await tell_holiday(call.context)
    dial_extension(call.context)
    call.context.set_context("A friend.")
    call.context.set_context(None)

    assert call.said == ["On Monday we are closed."]
    assert call.digits_sent == ["12w#"]
    assert call.contexts == ["A friend.", None]
    assert not call.hung_up


async def test_how_a_tool_ends_the_call_is_noted() -> None:
    said, hung_up, put_through = fake_call(), fake_call(), fake_call()

    await close_shop(said.context)
    hung_up.context.hang_up()
    put_through.context.transfer("+14155550177")

    assert (said.ended_with, said.hung_up) == ("We are closed. Goodbye.", False)
    assert hung_up.hung_up
    assert put_through.transferred_to == "+14155550177"


def test_a_fake_call_refuses_what_a_real_one_refuses() -> None:
    call = fake_call()

    with pytest.raises(ValueError, match="number such as"):
        call.context.transfer("the boss")

    assert call.transferred_to is None


def test_the_state_of_one_fake_call_is_not_that_of_another() -> None:
    fake_call().context.state["basket"] = ["a bell"]

    assert fake_call().context.state == {}


def test_a_fake_call_needs_neither_service_nor_engine() -> None:
    program = (
        "import sys; from evibridge.testing import fake_call; fake_call()\n"
        "heavy = {'aiohttp', 'ctranslate2', 'evibridge.service', 'hibari', 'numpy', 'pytest'}\n"
        "print(*heavy & sys.modules.keys())"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=20
    )

    assert done.stdout.split() == []
