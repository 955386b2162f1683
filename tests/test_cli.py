import asyncio
import json
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from evibridge.cli import main
from tests.engine.model_servers.running import running_model
from tests.parties import TinyEvi
from tests.processes import QUIET, ROOT, Running, finish, run_service, running, start

pytestmark = pytest.mark.usefixtures("logging_is_undone")

Complain = Callable[..., str]

PATIENCE_S = 20.0
NOBODY = "{kind: openai, base_url: 'http://127.0.0.1:1/v1', model: m"
LIGHT_ENGINE = f"ears: {NOBODY}}}\nvoice: {NOBODY}, voice: v}}\n"
"""Ears and voice that load nothing, for chats in which nobody speaks."""


async def complaint_of_a_process(*arguments: str, **variables: str) -> str:
    """What a command that cannot work says."""
    return _complaint(*await finish(await start(*arguments, **variables)))


def _complaint(code: int | str | None, out: str, err: str) -> str:
    assert code == 2, (code, out, err)
    assert out == ""
    assert "Traceback" not in err
    return err.strip()


@pytest.fixture
def complaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complain:
    """What a command that cannot work says; to start a process takes longer than the command."""
    monkeypatch.setattr(sys, "path", list(sys.path))  # the folder of an agent is added to it
    monkeypatch.chdir(ROOT)

    def complain(*arguments: str, **variables: str) -> str:
        monkeypatch.setattr(sys, "argv", ["evibridge", *arguments])
        for name, value in {**QUIET, **variables}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
        return _complaint(ended.value.code, *capsys.readouterr())

    return complain


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def broken(:\n", "line 1: invalid syntax"),
        ("agent = None\n", "no Agent named 'agent'"),
    ],
)
def test_a_faulty_agent_file_is_one_sentence(
    complaint: Complain, tmp_path: Path, text: str, sentence: str
) -> None:
    place = tmp_path / "faulty.py"
    place.write_text(text)

    said = complaint("run", str(place))

    assert said.startswith("evibridge: ")
    assert sentence in said
    assert len(said.splitlines()) == 1


async def test_a_missing_agent_file_is_one_sentence() -> None:
    assert "nowhere.py does not exist" in await complaint_of_a_process("run", "nowhere.py")


async def test_a_port_in_use_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        said = await complaint_of_a_process(
            "run", "examples/bookshop.py", "--port", port, "--evi-url", "http://127.0.0.1:1"
        )

    assert f"Port {port} of 127.0.0.1 is in use" in said


async def test_a_plain_web_server_is_told_from_a_service(tmp_path: Path) -> None:
    path = tmp_path / "engine.yaml"
    path.write_text(LIGHT_ENGINE)
    async with running(
        "engine", "--port", "0", "--config", str(path), announced_by="The engine listens"
    ) as engine:
        said = await complaint_of_a_process("call", "--url", engine.origin)

    assert "is no evibridge service (404)" in said


async def test_a_phone_without_the_token_is_told_what_it_needs(evi: TinyEvi) -> None:
    evi.refuse_with = 401
    port = str(free_port())
    public = f"http://127.0.0.1:{port}"
    async with running(
        "run", "examples/bookshop.py", "--port", port, "--evi-url", evi.origin,
        announced_by="phone webhook", TWILIO_AUTH_TOKEN="t0ken", EVIBRIDGE_PUBLIC_URL=public,
    ) as service:  # fmt: skip
        with_token = await start("call", "--url", service.origin, TWILIO_AUTH_TOKEN="t0ken")
        said = await complaint_of_a_process("call", "--url", service.origin)
        code, out, _ = await finish(with_token)

    assert "set TWILIO_AUTH_TOKEN" in said
    assert code == 1  # admitted, as the bridge at the EVI server is not
    assert "We are sorry" in out


def test_a_wrong_setting_is_one_sentence(complaint: Complain) -> None:
    said = complaint("run", "examples/bookshop.py", EVIBRIDGE_MAX_CALLS="none")

    assert said.startswith("evibridge: EVIBRIDGE_MAX_CALLS: ")


def test_a_token_without_a_public_url_is_one_sentence(complaint: Complain) -> None:
    said = complaint("run", "examples/bookshop.py", TWILIO_AUTH_TOKEN="t0ken")

    assert "set EVIBRIDGE_PUBLIC_URL" in said
    assert "t0ken" not in said


async def test_a_faulty_script_is_one_sentence(tmp_path: Path) -> None:
    script = tmp_path / "faulty.yaml"
    script.write_text("greeting: [\n")

    said = await complaint_of_a_process("engine", "--script", str(script), "--port", "0")

    assert "faulty.yaml" in said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("mind: {kind: opanai}", 'line 1, column 14: "opanai" is no kind of mind; write "openai".'),
        ("mind: {kind: openai, model: m}", "line 1, column 7: OPENAI_API_KEY is not set"),
        (None, "cannot be read (No such file or directory); check the path."),
    ],
)
def test_a_faulty_configuration_is_one_sentence(
    complaint: Complain, tmp_path: Path, text: str | None, sentence: str
) -> None:
    path = tmp_path / "engine.yaml"
    if text is not None:
        path.write_text(text)

    by_option = complaint("engine", "--config", str(path))
    by_setting = complaint(
        "run", "examples/bookshop.py", "--port", "0", EVIBRIDGE_ENGINE_CONFIG=str(path)
    )

    assert by_option == by_setting
    assert by_option.startswith(f"evibridge: {path}")
    assert sentence in by_option


def test_a_model_without_a_key_is_one_sentence(complaint: Complain) -> None:
    said = complaint("engine", EVIBRIDGE_MODEL="gpt-4o-mini")

    assert said.startswith("evibridge: OPENAI_API_KEY is not set")


def test_keys_of_clients_that_cannot_be_read_are_one_sentence(
    complaint: Complain,
) -> None:
    said = complaint("engine", EVIBRIDGE_ENGINE_KEYS="good,no good")

    assert said.startswith("evibridge: EVIBRIDGE_ENGINE_KEYS: ")
    assert "no good" not in said


@asynccontextmanager
async def open_chat(origin: str, **headers: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{origin}/v0/evi/chat", headers=headers) as chat,
        asyncio.timeout(PATIENCE_S),
    ):
        assert (await chat.receive_json())["type"] == "chat_metadata"
        yield chat


async def next_of(chat: aiohttp.ClientWebSocketResponse, kind: str) -> str:
    """The words of the next message of a kind."""
    while (message := await chat.receive_json())["type"] != kind:
        pass
    return str(message["message"]["content"])


async def is_ready(origin: str) -> bool:
    async with aiohttp.ClientSession() as http, http.get(f"{origin}/readyz") as answer:
        return answer.status == 200


@asynccontextmanager
async def draining(engine: Running) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A chat of an engine that has been asked to end."""
    async with open_chat(engine.origin) as chat:
        engine.process.send_signal(signal.SIGTERM)
        while await is_ready(engine.origin):
            pass
        yield chat


async def test_an_engine_with_a_model_says_what_it_uses_and_whom_it_serves(tmp_path: Path) -> None:
    path = tmp_path / "engine.yaml"
    path.write_text(f"event_messages: {{on_new_chat: {{enabled: false}}}}\nears: {NOBODY}}}")
    with running_model() as model:
        async with running(
            "engine", "--port", "0", "--config", str(path),
            announced_by="The engine listens", EVIBRIDGE_MODEL="normal",
            OPENAI_BASE_URL=f"{model.origin}/v1", EVIBRIDGE_ENGINE_KEYS="k3y:s3cret,0ther",
        ) as engine:  # fmt: skip
            with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
                async with open_chat(engine.origin):
                    pass
            async with open_chat(engine.origin, **{"X-Hume-Api-Key": "0ther"}) as chat:
                await chat.send_str(json.dumps({"type": "user_input", "text": "Is it open?"}))
                answer = await next_of(chat, "assistant_message")
        asked = model.requests()

    assert "stand-in" in answer
    assert asked[0]["body"]["model"] == "normal"
    said = "".join(engine.log)
    assert f"  mind     normal at {model.origin}/v1\n" in said
    assert "  ears     m at http://127.0.0.1:1/v1\n" in said
    assert "  voice    hibari on this machine\n" in said
    assert "  clients  whoever shows one of 2 API keys" in said
    assert "0ther" not in said
    assert "s3cret" not in said


async def test_an_engine_that_is_told_to_end_lets_chats_go_on(tmp_path: Path) -> None:
    path = tmp_path / "engine.yaml"
    path.write_text(LIGHT_ENGINE)
    async with running(
        "engine", "--port", "0", "--config", str(path), announced_by="The engine listens"
    ) as engine:
        async with draining(engine) as chat:
            with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
                async with open_chat(engine.origin):
                    pass
            await chat.send_str(json.dumps({"type": "user_input", "text": "Hello?"}))
            assert await next_of(chat, "user_message") == "Hello?"
        async with asyncio.timeout(PATIENCE_S):
            assert await engine.process.wait() == 0

    said = "".join(engine.log)
    assert "programs of this machine only: EVIBRIDGE_ENGINE_KEYS is not set" in said
    assert "may go on for 30 s" in said


async def test_an_engine_without_chats_ends_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "engine.yaml"
    path.write_text(f"{LIGHT_ENGINE}limits: {{drain_secs: 3600}}")
    async with running(
        "engine", "--port", "0", "--config", str(path), announced_by="The engine listens"
    ) as engine:
        assert await engine.stop() == 0

    assert "may go on" not in "".join(engine.log)


async def test_a_second_signal_ends_an_engine_at_once(tmp_path: Path) -> None:
    path = tmp_path / "engine.yaml"
    path.write_text(f"{LIGHT_ENGINE}limits: {{drain_secs: 3600}}")
    async with running(
        "engine", "--port", "0", "--config", str(path), announced_by="The engine listens"
    ) as engine:
        async with draining(engine) as chat:
            engine.process.send_signal(signal.SIGTERM)
            while not chat.closed:
                await chat.receive()
            assert chat.close_code == 1001
        async with asyncio.timeout(PATIENCE_S):
            assert await engine.process.wait() == 0

    assert "may go on for 3600 s" in "".join(engine.log)


async def test_chats_of_an_engine_end_when_its_time_is_up(tmp_path: Path) -> None:
    path = tmp_path / "engine.yaml"
    path.write_text(f"{LIGHT_ENGINE}limits: {{drain_secs: 3600}}")
    async with running(
        "engine", "--port", "0", "--config", str(path), announced_by="The engine listens",
        EVIBRIDGE_DRAIN_SECONDS="0.1",
    ) as engine:  # fmt: skip
        async with open_chat(engine.origin) as chat:
            engine.process.send_signal(signal.SIGTERM)
            while not chat.closed:
                await chat.receive()
            assert chat.close_code == 1001
        async with asyncio.timeout(PATIENCE_S):
            assert await engine.process.wait() == 0


async def test_ctrl_c_ends_an_engine_at_once(tmp_path: Path) -> None:
    path = tmp_path / "engine.yaml"
    path.write_text(f"{LIGHT_ENGINE}limits: {{drain_secs: 3600}}")
    async with running(
        "engine", "--port", "0", "--config", str(path), announced_by="The engine listens"
    ) as engine:
        async with open_chat(engine.origin) as chat:
            engine.process.send_signal(signal.SIGINT)
            while not chat.closed:
                await chat.receive()
        async with asyncio.timeout(PATIENCE_S):
            assert await engine.process.wait() == 0

    assert "may go on" not in "".join(engine.log)


async def what_a_bookshop_says(**variables: str) -> str:
    """What the service of the example says at its start."""
    process = await start("run", "examples/bookshop.py", "--port", "0", **variables)
    assert process.stderr is not None
    said = ""
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for line in process.stderr:
                said += line.decode()
                if line.startswith(b"  call it"):
                    process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0, said
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return said


async def test_a_service_says_what_its_engine_uses(tmp_path: Path) -> None:
    path = tmp_path / "engine.yaml"
    path.write_text(LIGHT_ENGINE)

    said = await what_a_bookshop_says(EVIBRIDGE_ENGINE_CONFIG=str(path))

    assert "  mind           the script " in said
    assert "  ears           m at http://127.0.0.1:1/v1\n" in said
    assert "  voice          m (v) at http://127.0.0.1:1/v1\n" in said
    assert "is not used" not in said


@pytest.mark.parametrize(
    ("mind", "model", "decides"),
    [(f"mind: {NOBODY}}}\n", "", "engine.yaml"), ("", "m", "EVIBRIDGE_MODEL")],
)
async def test_the_script_of_an_agent_is_told_to_be_of_no_use_beside_a_mind(
    tmp_path: Path, mind: str, model: str, decides: str
) -> None:
    path = tmp_path / "engine.yaml"
    path.write_text(f"{LIGHT_ENGINE}{mind}")

    said = await what_a_bookshop_says(
        EVIBRIDGE_ENGINE_CONFIG=str(path),
        EVIBRIDGE_MODEL=model,
        OPENAI_BASE_URL="http://127.0.0.1:1/v1",
    )

    assert "  mind           m at http://127.0.0.1:1/v1\n" in said
    assert re.search(rf"bookshop\.yaml is not used: .*{decides} names the mind\.", said)


async def test_files_of_the_engine_are_told_to_be_of_no_use_to_another_server() -> None:
    said = await what_a_bookshop_says(
        EVIBRIDGE_EVI_URL="http://127.0.0.1:1", EVIBRIDGE_ENGINE_CONFIG="engine.yaml"
    )

    assert "  EVI server     http://127.0.0.1:1\n" in said
    assert "bookshop.yaml is not used: the EVI server decides.\n" in said
    assert "engine.yaml is not used: the EVI server decides.\n" in said


async def test_a_call_to_nobody_is_one_sentence() -> None:
    said = await complaint_of_a_process("call", "--url", f"http://127.0.0.1:{free_port()}")

    assert "cannot be reached" in said


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"no sound", "cannot be spoken"), (None, "No such file")],
    ids=["not a WAV", "not there"],
)
def test_a_recording_that_cannot_be_spoken_is_one_sentence(
    complaint: Complain, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    recording = tmp_path / "question.wav"
    if content is not None:
        recording.write_bytes(content)

    assert sentence in complaint("call", str(recording))


@pytest.mark.parametrize("place", ["no/such/folder/call.wav", "tests"])
def test_a_recording_into_nowhere_is_refused_before_the_call(
    complaint: Complain, place: str
) -> None:
    assert "cannot be written" in complaint("call", "--record", place)


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "inf", "601"])
def test_a_time_after_which_nobody_can_interrupt_is_one_sentence(
    complaint: Complain, seconds: str
) -> None:
    said = complaint("call", "--say", "Hello.", "--interrupt-after", seconds)

    assert said.startswith(f"evibridge: --interrupt-after '{seconds}' is no time to wait: ")
    assert len(said.splitlines()) == 1


def test_who_says_nothing_has_no_answer_to_interrupt(complaint: Complain) -> None:
    said = complaint("call", "--interrupt-after", "2")

    assert said.startswith("evibridge: --interrupt-after needs an answer to cut in on: ")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (
            "call --say Hello",
            "--say needs the engine's voice (hibari is not installed): {}, or give WAV files.",
        ),
        (
            "call --say Hello --interrupt-after 2",
            "--interrupt-after needs the engine's voice (hibari is not installed): {}.",
        ),
    ],
)
async def test_without_the_engines_voice_the_caller_is_told_what_needs_it(
    tmp_path: Path, command: str, sentence: str
) -> None:
    missing = "raise ModuleNotFoundError('No module named hibari', name='hibari')"
    (tmp_path / "hibari.py").write_text(missing)

    said = await complaint_of_a_process(*command.split(), PYTHONPATH=str(tmp_path))

    assert said == f"evibridge: {sentence.format('install evibridge[engine]')}"


async def test_an_agent_that_is_not_heard_is_a_failed_call(tmp_path: Path, evi: TinyEvi) -> None:
    evi.refuse_with = 401
    agent = tmp_path / "mute.py"
    agent.write_text("from evibridge import Agent\nagent = Agent(system_prompt='Be silent.')\n")
    async with running(
        "run", str(agent), "--port", "0", "--evi-url", evi.origin, announced_by="phone webhook"
    ) as service:
        code, out, err = await finish(await start("call", "--url", service.origin))

    assert (code, err) == (1, "")
    assert "(carrier says) We are sorry" in out
    assert "The agent was not heard" in out


async def test_the_service_ends_when_it_is_told_to() -> None:
    async with run_service() as service:
        assert await service.stop() == 0


async def test_help_names_every_command() -> None:
    code, out, _ = await finish(await start("--help"))

    assert code == 0
    assert all(command in out for command in ("run", "engine", "call ", "calls", "tools"))


async def test_help_of_the_engine_shows_where_it_listens() -> None:
    code, out, _ = await finish(await start("engine", "--help"))

    assert code == 0
    assert "127.0.0.1" in out
    assert "8765" in out
