"""Operators speak with the caller in the agent's place, from the console."""

import asyncio
import re

import pytest
from playwright.async_api import expect

from evibridge.emulators.call_report import CallEventKind
from evibridge.engine.hearing.ears import WhisperEars
from tests.browser.conftest import Desk, Microphones
from tests.browser.console_calls import ADA, RATE_HZ, SAM, ConsoleCalls, Phone
from tests.browser.console_operator import CONFLICT, NOT_YET_WRITTEN, Operator
from tests.browser.microphone import VOICE
from tests.browser.visitor import PATIENCE_MS
from tests.processes import Running
from tests.speech import spoken

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(150)]

SPEAKS_AT_S = (2.5, 8.0, 14.0)
"""From the opening of the microphone: a machine that is busy connects later than others."""


async def test_the_one_who_is_quicker_has_the_call_and_the_other_reads_who_it_is(
    calls: ConsoleCalls, desk: Desk
) -> None:
    ada, sam = [await desk(each, may_complain=CONFLICT) for each in (ADA, SAM)]
    call = await calls.call()
    await asyncio.gather(ada.opens_call(call), sam.opens_call(call))
    await ada.sees_line("Call answered")
    await sam.sees_line("Call answered")

    await asyncio.gather(ada.key("o"), sam.key("o"))
    await expect(ada.state).to_have_text(re.compile("With "), timeout=PATIENCE_MS)
    mine = await ada.state.inner_text() == "With you"
    taker, other = (ada, sam) if mine else (sam, ada)
    name = "ada" if mine else "sam"
    await taker.sees_call_state("With you")
    await other.sees_call_state(f"With {name}")
    await taker.sees_line("You took over.", "The agent is paused.")
    await other.sees_line(f"{name} took over.", "The agent is paused.")
    await other.sees_line(f"{name} speaks with the caller")
    await expect(taker.control("Hand back")).to_have_attribute("aria-pressed", "true")
    await expect(taker.control("Pause")).to_be_hidden()
    await expect(other.page.locator("form.compose input")).to_have_attribute(
        "placeholder", f"The call is with {name}. Hand it back to say something."
    )
    await other.sees_in_row(call, f"With {name}")

    await other.presses_control("Hand back")
    await other.sees_line("You handed back.", "The agent goes on.")
    await taker.sees_call_state("Listening")


async def test_an_agent_that_gets_the_call_back_is_told_what_was_said_meanwhile(
    calls: ConsoleCalls, desk: Desk
) -> None:
    ada = await desk(ADA)
    call = await calls.call()
    await ada.opens_call(call)
    await ada.presses_control("Take over")
    await calls.evi_is_told(call, "pause_assistant_message")
    await ada.sees_call_state("With you")

    so_far = call.phone.now
    speaking = asyncio.create_task(ada.says("This is Ada. I send you another copy."))
    voice = await calls.next_chat()
    asked = await voice.expect("assistant_input", within_s=20)
    assert asked["text"] == "This is Ada. I send you another copy."
    await voice.say("hers", asked["text"], 800)
    await speaking
    await call.phone.notices(CallEventKind.AGENT_STARTED, after=so_far)
    await call.phone.notices(CallEventKind.AGENT_STOPPED, after=so_far)
    await ada.sees_line("You", "This is Ada. I send you another copy.")
    await call.caller_says("That is very kind.")
    await ada.sees_line("Caller", "That is very kind.")

    await ada.key("Escape", "o")
    told = await calls.context_of(call, "I send you another copy.")
    assert "ada: This is Ada." in told
    assert "Caller: That is very kind." in told
    await calls.evi_is_told(call, "resume_assistant_message")
    await ada.sees_line("You handed back.", "The agent goes on.")
    await ada.sees_call_state("Listening")
    await ada.is_told_aloud("Handed back to the agent")
    so_far = call.phone.now
    await call.agent_says("As my colleague said, another copy is on its way.")
    await call.phone.notices(CallEventKind.AGENT_STARTED, after=so_far)


async def test_a_caller_hears_typed_words_in_the_agents_voice_and_spoken_ones_by_microphone(
    service: Running, ears: WhisperEars, desk: Desk, microphones: Microphones
) -> None:
    microphone = microphones(*((at_s, "It comes on Monday.") for at_s in SPEAKS_AT_S))
    operator = await desk(
        microphone=microphone, origin=service.origin, may_complain=NOT_YET_WRITTEN
    )
    await operator.opens("/console")
    await operator.sees("No calls right now")
    phone = Phone(service.origin, "+447700900777")
    try:
        await operator.opens_call(phone)
        await operator.presses_control("Take over")
        await operator.sees_call_state("With you")

        await operator.says("I have your parcel.")
        await phone.hears("parcel", ears=ears)
        await operator.sees_line("You", "I have your parcel.")

        answered = len(phone.heard)
        await speaks_by_microphone(operator)
        began_ms = await operator.page_time()
        await phone.hears("monday", ears=ears, since=answered)
        await operator.sees_line("You", "Monday")
        phone.speaks(spoken("Thank you for your help.", RATE_HZ, voice=VOICE))
        await operator.sees_line("Caller", "your help")
        heard = await operator.heard_since(began_ms)
        # On a busy machine the page's own playout may lose a word.
        assert "your" in (await heard.words(ears)).lower()

        await operator.presses("Stop speaking")
        await operator.sees("Your microphone is off")
        spoken_so_far = len(phone.heard)
        await operator.presses_control("Hand back")
        await operator.sees_line("You handed back.", "The agent goes on.")
        await phone.hears("welcome", ears=ears, since=spoken_so_far)
        await operator.sees_line("Agent", "welcome")
    finally:
        await phone.hangs_up()


async def speaks_by_microphone(operator: Operator) -> None:
    """Choose it, and wait until the caller hears it."""
    await operator.page.get_by_role("radio", name="Speak", exact=True).click()
    await operator.presses("Start speaking")
    await operator.sees("The caller hears you")
    await expect(operator.control("Listen")).to_have_attribute("aria-disabled", "true")
