"""People talk with the example agent: Chromium, the page, the bridge, the engine."""

import json

import pytest

from evibridge.engine.hearing.ears import WhisperEars
from tests.browser.conftest import Microphones, Visit
from tests.browser.visitor import Transport
from tests.processes import Running

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.timeout(150),
    pytest.mark.parametrize("transport", ["webrtc", "websocket"]),
]

GREETED_S = 6.0
"""After the opening of the microphone the agent has said good day by then."""
INTERRUPTED_S = 14.0
"""The story is being told by then; it takes half a minute."""
UNMUTED_S = 10.0
STOPS_WITHIN_MS = 2000
SHORTEST_SILENCE_S = 0.3


async def test_a_question_is_answered_at_the_callers_ear_and_on_the_page(
    transport: Transport,
    service: Running,
    ears: WhisperEars,
    visit: Visit,
    microphones: Microphones,
) -> None:
    caller = await visit(transport, microphone=microphones((GREETED_S, "Where is order 1042?")))
    await caller.opens()

    await caller.presses("Start talking")
    call_id = await caller.call_id(transport)
    await caller.sees_said("You", "1042")
    asked = await caller.told("transcript", by="caller", interim=False)
    await caller.sees_said("The Paper Lantern", "Friday")
    await caller.sees_state("listening")

    answer = await (await caller.heard()).since(asked.at_ms).words(ears)
    assert "1042" in answer
    assert "Friday" in answer
    tool = await service.told("tool_started", call_id=call_id)
    assert (tool["name"], json.loads(tool["parameters"])) == ("order_status", {"order_id": "1042"})
    await caller.presses("End call")
    await caller.sees_title("Call ended")
    await service.told("call_ended", call_id=call_id, reason="caller_hung_up")


async def test_an_agent_who_is_interrupted_falls_silent_and_listens(
    transport: Transport,
    service: Running,
    ears: WhisperEars,
    visit: Visit,
    microphones: Microphones,
    capsys: pytest.CaptureFixture[str],
) -> None:
    story = "Tell me a long story."
    microphone = microphones((GREETED_S, story), (INTERRUPTED_S, "Thank you very much."))
    caller = await visit(transport, microphone=microphone)
    await caller.opens()

    await caller.presses("Start talking")
    call_id = await caller.call_id(transport)
    await caller.sees_said("You", "story")
    asked = await caller.told("transcript", by="caller", interim=False)
    interrupted = await caller.told("interrupted", after_ms=asked.at_ms)
    await caller.sees_said("The Paper Lantern", "—")
    await caller.sees_said("The Paper Lantern", "You are very welcome.")
    await caller.sees_state("listening")

    heard = await caller.heard()
    spoke_ms = await caller.microphone_at(INTERRUPTED_S)
    stopped_ms = heard.since(spoke_ms).stops_ms(SHORTEST_SILENCE_S)
    with capsys.disabled():
        print(  # noqa: T201 - a measurement, not a test
            f"\n{transport}: silent {stopped_ms - interrupted.at_ms:.0f} ms after 'interrupted', "
            f"{stopped_ms - spoke_ms:.0f} ms after the caller had begun to speak"
        )
    assert stopped_ms - interrupted.at_ms < STOPS_WITHIN_MS
    afterwards = await heard.since(stopped_ms + 1).words(ears)
    assert "welcome" in afterwards
    assert "lantern" not in afterwards.lower()
    cut = await service.told("agent_cut_short", call_id=call_id)
    assert cut["heard_ms"] < cut["sent_ms"]


async def test_what_is_said_while_the_microphone_is_muted_is_not_heard(
    transport: Transport, service: Running, visit: Visit, microphones: Microphones
) -> None:
    microphone = microphones(
        (GREETED_S, "Where is order 1042?"), (UNMUTED_S, "Just a moment, please.")
    )
    caller = await visit(transport, microphone=microphone)
    await caller.opens()

    await caller.presses("Start talking")
    call_id = await caller.call_id(transport)
    await caller.presses("Mute")
    await caller.sees_title("You are muted")
    await service.told("caller_muted", call_id=call_id, is_muted=True)
    await caller.microphone_at(microphone.ends_s[0])
    await caller.presses("Mute")
    await service.told("caller_muted", call_id=call_id, is_muted=False)
    await caller.sees_said("You", "moment")

    said = [line["text"] for line in service.logged("caller_said", call_id=call_id)]
    assert len(said) == 1
    assert "moment" in said[0]
