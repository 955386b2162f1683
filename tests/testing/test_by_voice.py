from pathlib import Path

import pytest

from evibridge import Agent
from evibridge.errors import EngineSetupError
from evibridge.events import EndReason
from evibridge.testing import call_by_voice
from tests.testing.workshop import AGENT

SCRIPT = """
greeting: Hello!
turns:
  - {name: goodbye, heard: [goodbye], say: "Goodbye, and thank you.", hang_up: true}
"""


async def test_what_is_said_by_voice_is_heard_and_recognised(tmp_path: Path) -> None:
    script = tmp_path / "brief.yaml"
    script.write_text(SCRIPT)

    call = await call_by_voice(Agent(system_prompt="Be brief.", script=script), says=["Goodbye."])

    assert call.said == ["Hello!", "Goodbye, and thank you."]
    assert "thank you" in call.heard[-1].lower()
    assert call.called == []
    assert call.ended is EndReason.AGENT_HUNG_UP


async def test_a_caller_says_a_list_of_sentences_and_not_one_text() -> None:
    with pytest.raises(TypeError, match=r"says=\['Goodbye\.'\]"):
        await call_by_voice(AGENT, says="Goodbye.")


async def test_an_agent_without_a_script_is_not_called() -> None:
    with pytest.raises(EngineSetupError, match="no script"):
        await call_by_voice(Agent(system_prompt="Be brief."), says=["Goodbye."])
