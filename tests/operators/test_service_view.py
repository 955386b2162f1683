"""What operators are told of the service, and how they begin to speak."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from evibridge.dialling import TransferTarget
from evibridge.errors import CommandRefused
from evibridge.event_wire import utc_text
from evibridge.events import ToolStarted, TurnAnswered
from evibridge.operators.bodies import MAX_SDP
from evibridge.operators.moments import milliseconds
from evibridge.service import start_service
from tests.bridges.conftest import AGENT
from tests.bridges.conftest import settings as service_settings
from tests.operators.api_stage import (
    BOB,
    FACTS,
    NOON,
    NOON_S,
    WALL,
    PlayedCall,
    Stage,
    open_stage,
    snapshot,
)
from tests.parties import TinyEvi

OFFER = {"sdp": "v=0\r\n", "type": "offer"}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as stage:
        yield stage


async def service(stage: Stage, query: str = "", **how: Any) -> Any:
    answer = await stage.get(f"/v1/service{query}", **how)
    assert answer.status == 200
    return answer.json()


async def test_the_service_is_told_of_in_full(stage: Stage) -> None:
    told = await service(stage)

    at_s = datetime.fromisoformat(told.pop("at")).timestamp()
    assert abs(at_s - time.time()) < 60.0
    assert told == {
        "operator": {"name": "anna", "scope": "control"},
        "agent": "Paper Lantern",
        "lines": 3,
        "max_lines": 100,
        "is_draining": False,
        "stops_at": None,
        "response_p95_ms": None,
        "calls_since": None,
        "records_sound": True,
        "has_voice": True,
        "number": "+14155550100",
        "transfer_targets": [{"name": "Front desk", "to": "+442079460100"}],
        "ice_servers": [{"urls": ["turn:t.example"], "username": "9:x", "credential": "s3cret"}],
    }


async def test_a_token_that_reads_gets_no_credentials(stage: Stage) -> None:
    told = await service(stage, by=WALL)

    assert told["operator"] == {"name": "wall", "scope": "read"}
    assert told["ice_servers"] == []


async def test_a_service_that_ends_says_when(tmp_path: Path) -> None:
    ends = replace(FACTS, is_draining=lambda: True, stops_at_s=lambda: NOON_S)
    async with open_stage(tmp_path, facts=ends) as stage:
        told = await service(stage)

    assert (told["is_draining"], told["stops_at"]) == (True, NOON)


async def test_its_response_time_is_that_of_its_answers(stage: Stage) -> None:
    stage.latest.told(replace(stage.bus.publish("CA1", TurnAnswered(640)), at_s=time.time()))

    assert (await service(stage))["response_p95_ms"] == 640


# Calls since a moment


async def test_calls_are_counted_that_began_since_a_moment(stage: Stage) -> None:
    later = stage.calls.live["CA2"] = PlayedCall(snapshot("CA2", began_at_s=NOON_S + 0.002))
    await stage.keep_record(snapshot("CA0", began_at_s=NOON_S))
    await stage.keep_record(snapshot("CA9", began_at_s=NOON_S - 3600))
    stage.call.lines_were_read = later.lines_were_read = False

    counts = [
        (await service(stage, f"?since={moment}"))["calls_since"]
        for moment in (
            "2026-11-28T00:00:00Z",
            NOON,
            "2026-11-28T12:00:00.001Z",
            "2026-11-28T12:00:00.002999Z",
            "2026-11-28T12:00:00.003Z",
        )
    ]

    assert counts == [4, 3, 1, 1, 0]
    assert not stage.call.lines_were_read
    assert not later.lines_were_read


async def test_everything_else_is_told_while_records_cannot_be_looked_up(stage: Stage) -> None:
    await stage.records.close()
    told = await service(stage, f"?since={NOON}")

    assert (told["calls_since"], told["lines"]) == (None, 3)


@pytest.mark.parametrize(
    "moment",
    [
        "",
        "0",
        "2026-11-28",
        "2026-11-28T12:00:00",
        "2026-11-28T12:00:00+00:00",
        "2026-13-28T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-11-28T12:00:60Z",
        f"2026-11-28T12:00:00.{'1' * 30}Z",
    ],
)
async def test_what_is_no_moment_is_refused(stage: Stage, moment: str) -> None:
    answer = await stage.ask("GET", "/v1/service", params={"since": moment})

    ((place, _),) = answer.faults
    assert place == ["query", "since"]


async def test_a_parameter_that_is_not_known_is_refused(stage: Stage) -> None:
    assert (await stage.get("/v1/service?sinse=1")).faults == [
        (["query", "sinse"], "extra_forbidden")
    ]


@pytest.mark.parametrize("unix_s", [0.0, 0.001, NOON_S + 0.123])
def test_moments_are_read_as_they_are_told(unix_s: float) -> None:
    assert milliseconds(utc_text(unix_s)) == round(unix_s * 1000)


# Summaries


async def test_calls_tell_who_has_them_and_which_function_runs(stage: Stage) -> None:
    stage.call.now = snapshot(taken_over_by="sam")
    stage.bus.publish("CA1", ToolStarted("t1", "refund", "{}"))

    (listed,) = (await stage.get("/v1/calls")).json()["calls"]
    shown = (await stage.get("/v1/calls/CA1")).json()

    for call in (listed, shown):
        assert call["agent"] == "Paper Lantern"
        assert call["taken_over_by"] == "sam"
        assert call["tool"] == {"name": "refund", "since": NOON}
        assert call["ended"] is None


# Speaking


async def test_an_operator_begins_to_speak(stage: Stage) -> None:
    answer = await stage.post("/v1/calls/CA1/voice", OFFER, by=BOB)

    assert (answer.status, answer.json()) == (201, {"sdp": "answer to v=0\r\n", "type": "answer"})
    assert stage.voices == [("CA1", "v=0\r\n", "bob")]


async def test_an_offer_that_is_sent_again_is_another_one(stage: Stage) -> None:
    for _ in range(2):
        answer = await stage.post("/v1/calls/CA1/voice", OFFER, headers={"Idempotency-Key": "k"})
        assert answer.status == 201
        assert "Idempotency-Replayed" not in answer.headers

    assert len(stage.voices) == 2


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("call_is_not_taken_over", 409),
        ("operator_speaks_already", 409),
        ("voice_unavailable", 409),
        ("bad_offer", 409),
        ("too_many_voices", 503),
    ],
)
async def test_nobody_speaks_who_may_not(stage: Stage, code: str, status: int) -> None:
    stage.fault = CommandRefused(code, "Not now.")

    assert (await stage.post("/v1/calls/CA1/voice", OFFER)).refusal == (status, code)


async def test_nobody_speaks_in_a_call_that_is_over_or_not_known(stage: Stage) -> None:
    unknown = await stage.post("/v1/calls/CA7/voice", OFFER)
    stage.end_call()
    over = await stage.post("/v1/calls/CA1/voice", OFFER)

    assert unknown.refusal == (404, "call_not_found")
    assert over.refusal == (409, "call_is_over")
    assert stage.voices == []


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, ["body", "sdp"]),
        ({"sdp": "", "type": "offer"}, ["body", "sdp"]),
        ({"sdp": "x" * (MAX_SDP + 1), "type": "offer"}, ["body", "sdp"]),
        ({"sdp": "v=0", "type": "answer"}, ["body", "type"]),
        ({"sdp": "v=0", "type": "offer", "more": 1}, ["body", "more"]),
    ],
)
async def test_an_offer_that_is_none_is_refused(
    stage: Stage, body: dict[str, Any], place: list[str]
) -> None:
    assert (await stage.post("/v1/calls/CA1/voice", body)).faults[0][0] == place
    assert stage.voices == []


# A running service


async def test_a_running_service_tells_of_itself_and_of_its_end(
    evi: TinyEvi, tmp_path: Path
) -> None:
    known = service_settings(
        evi,
        data_dir=tmp_path,
        max_calls=7,
        record=True,
        outbound_number="+14155550199",
        transfer_targets=(TransferTarget("Front desk", "+442079460100"),),
        ice_servers=("stun:s.example", "turn:t.example"),
        turn_secret="s3cret",
    )
    running = await start_service(AGENT, known)
    try:
        async with open_stage(tmp_path / "other") as asking:
            asking.origin = running.origin
            before = await service(asking, f"?since={NOON}", by={})
            await running.drain(0.0)
            after = await service(asking, by={})
    finally:
        await running.close()

    assert (before["agent"], before["operator"]["name"]) == (AGENT.name, "local")
    assert (before["lines"], before["max_lines"], before["calls_since"]) == (0, 7, 0)
    assert (before["is_draining"], before["stops_at"]) == (False, None)
    assert (before["records_sound"], before["number"]) == (True, "+14155550199")
    assert before["transfer_targets"] == [{"name": "Front desk", "to": "+442079460100"}]
    assert before["has_voice"] is True
    stun, turn = before["ice_servers"]
    assert stun == {"urls": ["stun:s.example"]}
    assert turn.keys() == {"urls", "username", "credential"}
    assert after["is_draining"] is True
    assert abs(datetime.fromisoformat(after["stops_at"]).timestamp() - time.time()) < 60.0
