import os
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import structlog

from evibridge.agent.conversation import Line
from evibridge.agent.snapshot import CallState, PendingApproval
from evibridge.events import (
    AgentSaid,
    CallerSaid,
    CommandGiven,
    EndReason,
    TurnAnswered,
)
from evibridge.records import records
from evibridge.records.disk_work import Patience
from evibridge.records.document import Recording
from tests.operators.api_stage import NOON, PATIENCE_S, WALL, Stage, open_stage, snapshot
from tests.parties import wav

HELD = snapshot(
    "CA1",
    state=CallState.NEEDS_APPROVAL,
    is_held=True,
    held_by="anna",
    digits="12#",
    open_tools=("refund",),
    approvals=(PendingApproval("c1", "refund", '{"order":"1042"}', 28.1234),),
    lines=(
        Line("caller", 1.5, "Hello.", "Hello."),
        Line("agent", 2.25, "Good morning, Ada.", "Good", "u1", 900.04, 200.0, is_over=False),
    ),
)
SUMMARY: dict[str, Any] = {
    "call_id": "CA1",
    "kind": "phone",
    "direction": "inbound",
    "state": "needs_approval",
    "began_at": NOON,
    "lasts_s": 60.0,
    "agent": "Paper Lantern",
    "caller": "+4930123456",
    "called": "+14155550100",
    "chat_id": "chat-CA1",
    "chat_group_id": "group-CA1",
    "paused_by": None,
    "held_by": "anna",
    "taken_over_by": None,
    "approvals": [{"tool_call_id": "c1", "name": "refund", "expires_in_s": 28.123}],
    "last_line": {"who": "agent", "text": "Good morning, Ada."},
    "expression": None,
    "response_ms": None,
    "end_reason": None,
    "tool": None,
    "ended": None,
}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as stage:
        yield stage


def wait(event: Event) -> None:
    event.wait(PATIENCE_S)


# One call


async def test_a_call_is_shown_in_full(stage: Stage) -> None:
    stage.call.now = HELD

    answer = await stage.get("/v1/calls/CA1", by=WALL)

    assert answer.status == 200
    assert answer.json() == {
        **SUMMARY,
        "approvals": [{**SUMMARY["approvals"][0], "parameters": '{"order":"1042"}'}],
        "seq": 0,
        "digits": "12#",
        "open_tools": ["refund"],
        "caller_is_away": False,
        "chat_is_ready": True,
        "lines": [
            {
                "who": "caller",
                "by": None,
                "at_s": 1.5,
                "text": "Hello.",
                "text_heard": "Hello.",
                "utterance_id": None,
                "sent_ms": 0.0,
                "heard_ms": 0.0,
                "is_over": True,
            },
            {
                "who": "agent",
                "by": None,
                "at_s": 2.25,
                "text": "Good morning, Ada.",
                "text_heard": "Good",
                "utterance_id": "u1",
                "sent_ms": 900.0,
                "heard_ms": 200.0,
                "is_over": False,
            },
        ],
    }


async def test_what_events_have_told_is_shown_with_it(stage: Stage) -> None:
    stage.bus.publish("CA1", CallerSaid("Hi.", interim=False, typed=False, scores={"Joy": 0.5}))
    stage.bus.publish("CA1", AgentSaid("u1", "Good morning."))
    last = stage.bus.publish("CA1", TurnAnswered(640))

    call = (await stage.get("/v1/calls/CA1")).json()

    assert call["seq"] == last.seq
    assert call["last_line"] == {"who": "agent", "text": "Good morning."}
    assert call["expression"] == {"name": "Joy", "score": 0.5}
    assert call["response_ms"] == 640


async def test_a_call_in_which_nothing_was_said_has_no_last_line(stage: Stage) -> None:
    stage.call.now = snapshot(lines=())

    assert (await stage.get("/v1/calls/CA1")).json()["last_line"] is None


async def test_a_call_that_has_ended_is_shown_as_it_was(stage: Stage) -> None:
    stage.end_call()

    call = (await stage.get("/v1/calls/CA1")).json()

    assert (call["state"], call["end_reason"]) == ("ended", "caller_hung_up")


async def test_how_a_call_has_ended_is_told_once_its_record_is_there(stage: Stage) -> None:
    stage.bus.publish("CA1", CommandGiven("hangup", "anna"))
    assert (await stage.get("/v1/calls/CA1")).json()["ended"] is None
    stage.end_call(EndReason.OPERATOR_HUNG_UP)
    assert (await stage.get("/v1/calls/CA1")).json()["ended"] is None

    await stage.keep_record(stage.calls.ended["CA1"])

    ended = (await stage.get("/v1/calls/CA1")).json()["ended"]
    assert ended == {
        "at": "2026-11-28T12:01:00.000Z",
        "by": "anna",
        "transferred_to": None,
        "turns": 1,
        "interruptions": 0,
        "tools": 0,
        "response_p50_ms": None,
        "response_p95_ms": None,
        "is_recorded": False,
        "voices": {"caller": [[1.1, 1.5]], "agent": []},
    }
    (listed,) = (await stage.get("/v1/calls?state=ended")).json()["calls"]
    assert listed["ended"] == ended
    assert listed["agent"] == "Paper Lantern"


async def test_a_call_does_not_end_as_an_earlier_one_of_its_id(stage: Stage) -> None:
    stage.end_call()
    await stage.keep_record(replace(stage.calls.ended["CA1"], began_at_s=1.0))

    assert (await stage.get("/v1/calls/CA1")).json()["ended"] is None


async def test_a_call_that_has_just_ended_is_shown_although_records_are_closed(
    stage: Stage,
) -> None:
    stage.end_call()
    await stage.keep_record(stage.calls.ended["CA1"])
    await stage.records.close()

    call = (await stage.get("/v1/calls/CA1")).json()

    assert (call["state"], call["ended"]) == ("ended", None)


async def test_a_call_that_only_its_record_knows_is_shown_like_others(stage: Stage) -> None:
    stage.bus.publish("CA1", AgentSaid("u1", "Good morning."))
    last = stage.bus.publish("CA1", TurnAnswered(640))
    ended = snapshot(ended=EndReason.CALLER_HUNG_UP, state=CallState.ENDED, chat_is_ready=False)
    await stage.keep_record(ended)
    stage.calls.live["CA1"].now = ended
    before = (await stage.get("/v1/calls/CA1")).json()
    del stage.calls.live["CA1"]

    call = (await stage.get("/v1/calls/CA1")).json()

    assert call["seq"] == last.seq
    assert call == {**before, "last_line": {"who": "caller", "text": "Hello."}}


async def test_a_call_that_only_its_record_knows_may_have_no_events(stage: Stage) -> None:
    await stage.keep_record(snapshot("CA8", ended=EndReason.CALLER_HUNG_UP))

    assert (await stage.get("/v1/calls/CA8")).json()["seq"] == 0


@pytest.mark.parametrize("path", ["", "/record", "/recording"])
@pytest.mark.parametrize("call_id", ["CA9", "..%2F..%2Fetc", "%00", "%FF", "a" * 3000])
async def test_of_a_call_that_nobody_knows_nothing_is_shown(
    stage: Stage, call_id: str, path: str
) -> None:
    assert (await stage.get(f"/v1/calls/{call_id}{path}")).refusal == (404, "call_not_found")


async def test_half_a_character_does_not_hide_a_call(stage: Stage) -> None:
    stage.call.now = snapshot(caller="\ud83d")

    assert (await stage.get("/v1/calls/CA1")).json()["caller"] == "?"


async def test_a_defect_is_told_in_the_log_alone(stage: Stage) -> None:
    stage.call.now = None  # type: ignore[assignment]

    with structlog.testing.capture_logs() as lines:
        answer = await stage.get("/v1/calls")

    assert answer.refusal == (500, "fault")
    assert [line["event"] for line in lines] == ["operator_request_failed"]


# Records and recordings


async def test_the_record_of_a_call_is_given_as_it_is(stage: Stage) -> None:
    stage.end_call()
    await stage.keep_record(stage.calls.ended["CA1"])

    answer = await stage.get("/v1/calls/CA1/record")

    assert answer.body == await stage.records.load("CA1")
    assert answer.json()["call_id"] == "CA1"


async def test_a_call_that_goes_on_has_no_record(stage: Stage) -> None:
    assert (await stage.get("/v1/calls/CA1/record")).refusal == (404, "record_not_found")


async def test_a_recording_is_given_whole_or_in_parts(stage: Stage) -> None:
    sound = wav(200)
    stage.records.recording_path("CA1").write_bytes(sound)

    whole = await stage.get("/v1/calls/CA1/recording")
    part = await stage.get("/v1/calls/CA1/recording", headers={"Range": "bytes=100-199"})
    beyond = await stage.get("/v1/calls/CA1/recording", headers={"Range": "bytes=99999-"})
    head = await stage.ask("HEAD", "/v1/calls/CA1/recording")

    assert (whole.status, whole.body) == (200, sound)
    assert (part.status, part.body) == (206, sound[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(sound)}"
    assert beyond.status == 416
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(sound)))
    for answer in (whole, part, head):
        assert answer.headers["Content-Type"] == "audio/wav"
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_of_several_recordings_the_one_of_the_record_is_given(stage: Stage) -> None:
    first = stage.records.recording_path("CA1")
    for path, sound in ((first, b"before the crash"), (first.with_name("CA1.2.wav"), b"after")):
        path.write_bytes(sound)
    for path, written_s in ((first, 2.0), (first.with_name("CA1.2.wav"), 1.0)):
        os.utime(path, (written_s, written_s))
    ended = snapshot(ended=EndReason.CALLER_HUNG_UP)
    facts = Recording(file="CA1.2.wav", seconds=1.0, rate_hz=8000, failure=None)
    assert await stage.records.keep(ended, (), facts)

    assert (await stage.get("/v1/calls/CA1/recording")).body == b"before the crash"
    stage.end_call()
    assert (await stage.get("/v1/calls/CA1/recording")).body == b"after"


async def test_a_call_may_have_no_recording(stage: Stage) -> None:
    assert (await stage.get("/v1/calls/CA1/recording")).refusal == (404, "recording_not_found")
    await stage.keep_record(snapshot("CA8", ended=EndReason.CALLER_HUNG_UP))
    assert (await stage.get("/v1/calls/CA8/recording")).refusal == (404, "recording_not_found")


async def test_when_records_are_closed_nothing_can_be_looked_up(stage: Stage) -> None:
    await stage.records.close()

    assert (await stage.get("/v1/calls/CA9")).refusal == (503, "overloaded")
    assert (await stage.get("/v1/calls?state=ended")).refusal == (503, "overloaded")
    assert (await stage.post("/v1/calls/CA9/pause")).refusal == (503, "overloaded")
    assert (await stage.get("/v1/calls/CA1")).status == 200


async def test_whoever_asks_while_the_disk_hangs_is_not_kept_waiting(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "LOOKING_UP", Patience(timeout_s=0.01, max_ahead=100))
    goes_on = Event()
    stage.records._disk.begin(partial(wait, goes_on))

    for path in ("CA9", "CA1/record", "CA1/recording"):
        assert (await stage.get(f"/v1/calls/{path}")).refusal == (503, "overloaded")
    assert (await stage.post("/v1/calls/CA9/pause")).refusal == (503, "overloaded")
    assert (await stage.get("/v1/calls/CA1")).status == 200
    goes_on.set()
