import json
import logging

import pytest
import structlog

from evibridge.logs import configure_logs

pytestmark = pytest.mark.usefixtures("logging_is_undone")


def fail() -> None:
    card_number = "4111 1111 1111 1111"
    raise KeyError(len(card_number))


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
