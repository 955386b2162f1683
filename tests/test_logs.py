import json
import logging

import pytest
import structlog

from evibridge.logs import configure_logs

pytestmark = pytest.mark.usefixtures("logging_is_undone")


def fail() -> None:
    card_number = "4111 1111 1111 1111"
    raise KeyError(len(card_number))


def fail_with(text: str) -> None:
    raise ValueError(text)


@pytest.mark.parametrize("style", ["console", "json"])
def test_a_traceback_shows_lines_and_no_values(
    style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("info", style)  # type: ignore[arg-type]
    try:
        fail()
    except KeyError:
        structlog.get_logger("ours").exception("tool_failed")
        logging.getLogger("theirs").exception("failed as well")

    written = capsys.readouterr().err
    assert written.count("in fail") == 2
    assert "4111" not in written


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")

    structlog.get_logger("ours").info("call_ended", reason="caller_hung_up")
    structlog.get_logger("ours").debug("not shown")

    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "call_ended"
    assert json.loads(line)["reason"] == "caller_hung_up"


HOSTILE = "CA\x1b[2J\x9b1m\u202e\u2028\n12:00:00 [info] call_ended\x00\udc80 Grüße 漢字"
ESCAPED = r"CA\x1b[2J\x9b1m\u202e\u2028\n12:00:00 [info] call_ended\x00\udc80 Grüße 漢字"


def test_a_terminal_finds_nothing_to_obey_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "console")

    structlog.get_logger("ours").info("call_began", call_id=HOSTILE, parts=[HOSTILE])
    logging.getLogger("theirs").warning("%s is unknown", HOSTILE)
    ours, theirs = capsys.readouterr().err.splitlines()

    for line in (ours, theirs):
        assert line.isprintable()
        assert ESCAPED in line


def test_a_traceback_keeps_its_lines_and_nothing_else_to_obey(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("info", "console")
    try:
        fail_with("\x1b[2J\x07")
    except ValueError:
        structlog.get_logger("ours").exception("tool_failed")
        logging.getLogger("theirs").exception("failed as well")

    lines = capsys.readouterr().err.splitlines()
    assert lines.count(r"ValueError: \x1b[2J\x07") == 2
    assert all(line.isprintable() for line in lines)
