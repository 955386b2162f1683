import socket
from pathlib import Path

import pytest

from tests.processes import finish, run_service, running, start


async def complaint(*arguments: str, **variables: str) -> str:
    """What a command that cannot work says."""
    code, out, err = await finish(await start(*arguments, **variables))
    assert code == 2, (code, out, err)
    assert out == ""
    assert "Traceback" not in err
    return err.strip()


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
async def test_a_faulty_agent_file_is_one_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    place = tmp_path / "faulty.py"
    place.write_text(text)

    said = await complaint("run", str(place))

    assert said.startswith("evibridge: ")
    assert sentence in said
    assert len(said.splitlines()) == 1


async def test_a_missing_agent_file_is_one_sentence() -> None:
    assert "nowhere.py does not exist" in await complaint("run", "nowhere.py")


async def test_a_port_in_use_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        said = await complaint(
            "run", "examples/bookshop.py", "--port", port, "--evi-url", "http://127.0.0.1:1"
        )

    assert f"Port {port} of 127.0.0.1 is in use" in said


async def test_a_plain_web_server_is_told_from_a_service() -> None:
    async with running("engine", "--port", "0", announced_by="The engine listens") as engine:
        said = await complaint("call", "--url", engine.origin)

    assert "is no evibridge service (404)" in said


async def test_a_phone_without_the_token_is_told_what_it_needs() -> None:
    port = str(free_port())
    public = f"http://127.0.0.1:{port}"
    nobody = f"http://127.0.0.1:{free_port()}"
    async with running(
        "run", "examples/bookshop.py", "--port", port, "--evi-url", nobody,
        announced_by="phone webhook", TWILIO_AUTH_TOKEN="t0ken", EVIBRIDGE_PUBLIC_URL=public,
    ) as service:  # fmt: skip
        said = await complaint("call", "--url", service.origin)
        code, out, _ = await finish(
            await start("call", "--url", service.origin, TWILIO_AUTH_TOKEN="t0ken")
        )

    assert "set TWILIO_AUTH_TOKEN" in said
    assert code == 1  # admitted; nobody is behind the EVI URL
    assert "We are sorry" in out


async def test_a_wrong_setting_is_one_sentence() -> None:
    said = await complaint("run", "examples/bookshop.py", EVIBRIDGE_MAX_CALLS="none")

    assert said.startswith("evibridge: EVIBRIDGE_MAX_CALLS: ")


async def test_a_token_without_a_public_url_is_one_sentence() -> None:
    said = await complaint("run", "examples/bookshop.py", TWILIO_AUTH_TOKEN="t0ken")

    assert "set EVIBRIDGE_PUBLIC_URL" in said
    assert "t0ken" not in said


async def test_a_faulty_script_is_one_sentence(tmp_path: Path) -> None:
    script = tmp_path / "faulty.yaml"
    script.write_text("greeting: [\n")

    assert "faulty.yaml" in await complaint("engine", "--script", str(script), "--port", "0")


async def test_a_call_to_nobody_is_one_sentence() -> None:
    said = await complaint("call", "--url", f"http://127.0.0.1:{free_port()}")

    assert "cannot be reached" in said


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"no sound", "cannot be spoken"), (None, "No such file")],
    ids=["not a WAV", "not there"],
)
async def test_a_recording_that_cannot_be_spoken_is_one_sentence(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    recording = tmp_path / "question.wav"
    if content is not None:
        recording.write_bytes(content)

    assert sentence in await complaint("call", str(recording))


@pytest.mark.parametrize("place", ["no/such/folder/call.wav", "tests"])
async def test_a_recording_into_nowhere_is_refused_before_the_call(place: str) -> None:
    assert "cannot be written" in await complaint("call", "--record", place)


async def test_an_agent_that_is_not_heard_is_a_failed_call(tmp_path: Path) -> None:
    agent = tmp_path / "mute.py"
    agent.write_text("from evibridge import Agent\nagent = Agent(system_prompt='Be silent.')\n")
    nobody = f"http://127.0.0.1:{free_port()}"
    async with running(
        "run", str(agent), "--port", "0", "--evi-url", nobody, announced_by="phone webhook"
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
    assert all(command in out for command in ("run", "engine", "call"))
