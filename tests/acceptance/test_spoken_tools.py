"""Tools in spoken calls: a voice, Twilio's protocol, the bridge, the engine, a language model."""

import json
from pathlib import Path

from tests.engine.model_servers.running import running_model
from tests.processes import finish, run_service, start
from tests.speech import espeak_wav


async def test_a_model_mends_its_wrong_argument_by_what_it_is_told(tmp_path: Path) -> None:
    question = tmp_path / "question.wav"
    question.write_bytes(espeak_wav("Where is my order?"))
    with running_model() as model:
        base_url = f"{model.origin}/v1"
        async with run_service(
            EVIBRIDGE_MODEL="corrects-itself", OPENAI_BASE_URL=base_url
        ) as service:
            call = await start("call", str(question), "--url", service.origin)
            code, out, err = await finish(call)
            uses = service.logged("tool_started")
            outcomes = [line["outcome"] for line in service.logged("tool_finished")]

    assert code == 0, err
    assert [json.loads(use["parameters"]) for use in uses] == [
        {"order": "1042"},
        {"order_id": "1042"},
    ]
    assert outcomes == ["bad_arguments", "answered"]
    assert "Friday" in out
