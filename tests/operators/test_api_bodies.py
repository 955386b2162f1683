import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import structlog

from evibridge.operators import request_body
from evibridge.operators.bodies import MAX_CONTEXT, MAX_SPOKEN
from evibridge.operators.errors import FAULTS
from evibridge.operators.request_body import MAX_BODY_BYTES
from tests.operators.api_stage import ANNA, PATIENCE_S, Stage, open_stage

JSON = {"Content-Type": "application/json"}
SAY = "/v1/calls/CA1/say"
PARAMETERS = ["body", "parameters"]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as stage:
        yield stage


@asynccontextmanager
async def half_a_request(stage: Stage) -> AsyncIterator[asyncio.StreamReader]:
    """A request whose body is on its way, and does not come."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.server.port)
        writer.write(
            f"POST {SAY} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: {ANNA['Authorization']}\r\nContent-Type: application/json\r\n"
            'Content-Length: 20\r\nExpect: 100-continue\r\n\r\n{"text"'.encode()
        )
        try:
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            yield reader
        finally:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()


# What a body is


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {},
        {**JSON, "Content-Encoding": "gzip"},
    ],
)
async def test_a_body_is_json(stage: Stage, headers: dict[str, str]) -> None:
    answer = await stage.ask("POST", SAY, headers=headers, data=b'{"text":"Hello."}')

    assert answer.refusal == (415, "not_json")
    assert not stage.call.asked


async def test_json_may_name_its_encoding(stage: Stage) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    answer = await stage.ask("POST", SAY, headers=headers, data=b'{"text":"Hello."}')

    assert answer.status == 200


async def test_a_body_has_64_kib_at_most(stage: Stage) -> None:
    too_long = b" " * (MAX_BODY_BYTES + 1)

    async def in_pieces() -> AsyncIterator[bytes]:
        yield too_long

    just_right = await stage.ask(
        "POST", SAY, headers=JSON, data=b'{"text":"Hello."}'.ljust(MAX_BODY_BYTES)
    )
    announced = await stage.ask("POST", SAY, headers=JSON, data=too_long)
    not_announced = await stage.ask("POST", SAY, headers=JSON, data=in_pieces())

    assert just_right.status == 200
    assert announced.refusal == (413, "body_too_large")
    assert not_announced.refusal == (413, "body_too_large")


async def test_a_body_that_does_not_come_is_not_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "BODY_TIMEOUT_S", 0.01)

    async with half_a_request(stage) as reader:
        answer = await reader.readuntil(b"}")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"body_too_slow"' in answer


async def test_a_body_that_is_broken_off_is_none(stage: Stage) -> None:
    with structlog.testing.capture_logs() as lines:
        async with half_a_request(stage):
            pass
        await stage.server.close()  # when everything is answered

    assert [line["status"] for line in lines] == [FAULTS["body_broken"].status]
    assert not stage.call.asked


# What is wrong with it


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"text":"Hello."',
        b"\xff",
        b'{"text":"\xff"}',
        b'{"text":"\\ud800"}',
        b'{"text":NaN}',
        b"[" * 60_000,
        b" ",
    ],
)
async def test_what_is_no_json_is_told(stage: Stage, body: bytes) -> None:
    answer = await stage.ask("POST", SAY, headers=JSON, data=body)

    assert answer.faults == [(["body"], "json_invalid")]


@pytest.mark.parametrize(
    ("path", "body", "faults"),
    [
        ("say", {}, [(["body", "text"], "missing")]),
        ("say", {"text": None}, [(["body", "text"], "string_type")]),
        ("say", {"text": 3}, [(["body", "text"], "string_type")]),
        ("say", {"text": ""}, [(["body", "text"], "string_too_short")]),
        ("say", {"text": " \n"}, [(["body", "text"], "string_pattern_mismatch")]),
        ("say", {"text": "a" * (MAX_SPOKEN + 1)}, [(["body", "text"], "string_too_long")]),
        ("say", {"text": "a", "volume": 11}, [(["body", "volume"], "extra_forbidden")]),
        ("say", [], [(["body"], "model_type")]),
        ("say", "text", [(["body"], "model_type")]),
        ("inject", {"text": ""}, [(["body", "text"], "string_too_short")]),
        ("context", {}, [(["body", "text"], "missing")]),
        ("context", {"text": "a" * (MAX_CONTEXT + 1)}, [(["body", "text"], "string_too_long")]),
        ("variables", {"variables": {}}, [(["body", "variables"], "too_short")]),
        (
            "variables",
            {"variables": {str(number): 0 for number in range(65)}},
            [(["body", "variables"], "too_long")],
        ),
        (
            "variables",
            {"variables": {"": "a"}},
            [(["body", "variables", "", "[key]"], "string_too_short")],
        ),
        ("pause", {"now": True}, [(["body", "now"], "extra_forbidden")]),
        ("pause", [1], [(["body"], "model_type")]),
        ("transfer", {"to": "030 123"}, [(["body", "to"], "value_error")]),
        ("transfer", {"to": "+4930123", "say_first": ""}, None),
        ("send", {"type": "audio_input", "data": ""}, [(["body", "type"], "literal_error")]),
        ("send", {}, [(["body", "type"], "missing")]),
        ("send", {"type": "user_input"}, [(["body", "text"], "missing")]),
        ("tools/c1/approve", {"reason": "a"}, [(["body", "reason"], "extra_forbidden")]),
        ("tools/c1/decline", {"reason": "a" * 501}, None),
    ],
)
async def test_a_body_that_cannot_be_used_is_refused_with_the_place(
    stage: Stage, path: str, body: Any, faults: list[tuple[list[str], str]] | None
) -> None:
    answer = await stage.post(f"/v1/calls/CA1/{path}", body)

    assert answer.status == 422
    assert answer.faults == faults or faults is None
    assert not stage.call.asked


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, ["body", "to"]),
        ({"to": "anna"}, ["body", "to"]),
        ({"to": "+4930999", "from": "anna"}, ["body", "from"]),
        ({"to": "+4930999", "from_": "+4930123"}, ["body", "from_"]),
        ({"to": "+4930999", "parameters": {"order": 1042}}, ["body", "parameters", "order"]),
        ({"to": "+4930999", "parameters": {"order": "1" * 1001}}, ["body", "parameters", "order"]),
        ({"to": "+4930999", "parameters": dict.fromkeys(map(str, range(33)), "")}, PARAMETERS),
        ({"to": "+4930999", "chat_id": "c"}, ["body", "to"]),
        ({"chat_id": ""}, ["body", "chat_id"]),
        ({"chat_id": "a b"}, ["body", "chat_id"]),
        ([], ["body"]),
    ],
)
async def test_nobody_is_called_by_mistake(stage: Stage, body: Any, place: list[str]) -> None:
    answer = await stage.post("/v1/calls", body)

    assert [loc for loc, _ in answer.faults] == [place]
    assert not stage.dialled + stage.attached


async def test_a_refusal_does_not_repeat_what_was_sent(stage: Stage) -> None:
    answers = [
        await stage.post(SAY, {"text": ["personal"]}),
        await stage.post("/v1/calls", {"to": "personal"}),
        await stage.ask("POST", SAY, headers=JSON, data=b'{"text":"personal'),
    ]

    assert [answer.status for answer in answers] == [422, 422, 422]
    assert not any(b"personal" in answer.body for answer in answers)


async def test_not_every_one_of_many_faults_is_told(stage: Stage) -> None:
    answer = await stage.post(SAY, {"text": "a", **{str(number): 0 for number in range(1000)}})

    assert len(answer.faults) == 20
