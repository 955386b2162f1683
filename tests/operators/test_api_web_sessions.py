"""Tokens for callers from web pages, as operators make them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from evibridge import web_sessions
from evibridge.operators import api
from evibridge.operators.command_rate import BURST, CommandRate
from evibridge.web_sessions import WebSession
from tests.operators.api_stage import BOB, Stage, open_stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as stage:
        yield stage


async def test_somebody_is_let_in_from_a_web_page(stage: Stage) -> None:
    answer = await stage.post(
        "/v1/web-sessions",
        {
            "name": "Ann",
            "parameters": {"order": "1042"},
            "variables": {"plan": "gold", "age": 30},
            "origin": "https://shop.example",
            "lifetime_s": 120,
        },
    )

    assert (answer.status, answer.json()["expires_in_s"]) == (201, 120)
    session = stage.web_sessions.redeem(answer.json()["token"], "https://shop.example", 119.0)
    assert session == WebSession(
        "Ann", {"order": "1042"}, {"plan": "gold", "age": 30}, "https://shop.example"
    )


async def test_a_web_page_needs_to_know_nothing_of_its_caller(stage: Stage) -> None:
    answer = await stage.post("/v1/web-sessions", None)

    assert stage.web_sessions.redeem(answer.json()["token"], None, 59.0) == WebSession()


async def test_only_so_many_are_let_in_at_a_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_sessions, "MAX_OPEN", 1)
    await stage.post("/v1/web-sessions", {})

    assert (await stage.post("/v1/web-sessions", {})).refusal == (503, "overloaded")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"name": ""}, ["body", "name"]),
        ({"origin": "null"}, ["body", "origin"]),
        ({"origin": "https://shop.example/page"}, ["body", "origin"]),
        ({"origin": "https://shop.example:99999"}, ["body", "origin"]),
        ({"lifetime_s": 4}, ["body", "lifetime_s"]),
        ({"lifetime_s": 3601}, ["body", "lifetime_s"]),
        ({"lifetime_s": 60.5}, ["body", "lifetime_s"]),
        ({"variables": dict.fromkeys("abcde", "a" * 3200)}, ["body"]),
    ],
)
async def test_nobody_is_let_in_by_mistake(stage: Stage, body: Any, place: list[str]) -> None:
    answer = await stage.post("/v1/web-sessions", body)

    assert [loc for loc, _ in answer.faults] == [place]


async def test_callers_from_web_pages_cost_no_commands(stage: Stage) -> None:
    for _ in range(BURST + 1):
        assert (await stage.post("/v1/web-sessions")).status == 201

    assert (await stage.post("/v1/calls/CA1/hangup")).status == 200


async def test_commands_cost_no_callers_from_web_pages(tmp_path: Path) -> None:
    async with open_stage(tmp_path, rate=CommandRate(per_s=1e-6, burst=1)) as stage:
        assert (await stage.post("/v1/calls/CA1/pause")).status == 200
        assert (await stage.post("/v1/calls/CA1/pause")).status == 429

        assert (await stage.post("/v1/web-sessions")).status == 201


async def test_callers_from_web_pages_are_let_in_at_a_rate_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "WEB_SESSIONS_PER_S", 1e-6)
    monkeypatch.setattr(api, "WEB_SESSIONS_BURST", 2)
    async with open_stage(tmp_path) as stage:
        answers = [await stage.post("/v1/web-sessions") for _ in range(3)]
        other = await stage.post("/v1/web-sessions", by=BOB)

    assert [answer.status for answer in answers] == [201, 201, 429]
    assert answers[2].refusal == (429, "too_many_commands")
    assert int(answers[2].headers["Retry-After"]) > 0
    assert other.status == 201


async def test_a_token_is_not_kept_to_be_given_again(stage: Stage) -> None:
    once = {"headers": {"Idempotency-Key": "k1"}}
    first = await stage.post("/v1/web-sessions", {"name": "Ann"}, **once)
    again = await stage.post("/v1/web-sessions", {"name": "Ann"}, **once)
    other = await stage.post("/v1/web-sessions", {"name": "Bob"}, **once)

    assert [each.status for each in (first, again, other)] == [201, 201, 201]
    assert len({each.json()["token"] for each in (first, again, other)}) == 3
    assert "Idempotency-Replayed" not in again.headers
