from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest

from evibridge.operator_access import OperatorAccess, Scope
from evibridge.operators.admission import socket_refusal
from evibridge.operators.routes import ROUTES, Route
from evibridge.sockets import Upgrade
from tests.operators.api_stage import ANNA, TOKENS, WALL, Stage, open_stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as stage:
        yield stage


def path_of(route: Route) -> str:
    return route.path.format(call_id="CA1", tool_call_id="call_1")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
async def test_no_route_answers_who_shows_no_token(stage: Stage, route: Route) -> None:
    answer = await stage.ask(route.method, path_of(route), by={})

    assert answer.refusal == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert not stage.call.asked


@pytest.mark.parametrize("by", [{"Authorization": "Bearer wrong"}, {"Authorization": "Basic hush"}])
async def test_a_wrong_token_is_none(stage: Stage, by: Mapping[str, str]) -> None:
    assert (await stage.get("/v1/calls", by=by)).refusal == (401, "unauthorized")


async def test_a_token_that_reads_does_not_act(stage: Stage) -> None:
    for route in ROUTES:
        answer = await stage.ask(route.method, path_of(route), by=WALL)
        if route.method == "POST":
            assert answer.refusal == (403, "forbidden")
        else:
            assert answer.status in (200, 404)
    assert not stage.call.asked


async def test_the_token_is_looked_at_before_all_else(stage: Stage) -> None:
    answer = await stage.ask("POST", "/v1/calls/nobody/say", by=WALL, data=b"{" * 100_000)

    assert answer.refusal == (403, "forbidden")


async def test_a_program_of_this_machine_needs_no_token_while_there_are_none(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, tokens=()) as stage:
        answer = await stage.post("/v1/calls/CA1/pause", by={})

        assert (answer.status, answer.json()["by"]) == (200, "local")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"Origin": "https://example.com"},
        {"Host": "example.com"},
    ],
)
async def test_nobody_else_is_answered_then(tmp_path: Path, headers: Mapping[str, str]) -> None:
    async with open_stage(tmp_path, tokens=()) as stage:
        answer = await stage.post("/v1/calls/CA1/pause", by=headers)

        assert answer.refusal == (403, "forbidden")
        assert not stage.call.asked


async def test_no_answer_is_to_be_kept_or_read_by_other_pages(stage: Stage) -> None:
    answers = [
        await stage.get("/v1/calls", headers={"Origin": "https://example.com"}),
        await stage.post("/v1/calls/CA1/pause"),
        await stage.post("/v1/calls/nobody/pause"),
        await stage.get("/v1/calls?limit=0"),
        await stage.get("/v1/nowhere"),
        await stage.ask("OPTIONS", "/v1/calls", headers={"Origin": "https://example.com"}),
        await stage.get("/v1/calls", by={}),
    ]

    assert [answer.status for answer in answers] == [200, 200, 404, 422, 404, 405, 401]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert not [name for name in answer.headers if name.startswith("Access-Control-")]


async def test_where_there_is_nothing_the_answer_says_what_there_is(stage: Stage) -> None:
    nowhere = await stage.get("/v1/calls/CA1/dance")
    wrong_method = await stage.ask("DELETE", "/v1/calls/CA1")

    assert nowhere.refusal == (404, "not_found")
    assert wrong_method.refusal == (405, "method_not_allowed")
    assert wrong_method.headers["Allow"] == "GET,HEAD"


async def test_other_addresses_keep_their_own_answers(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{stage.origin}/elsewhere", headers=ANNA) as response:
        assert response.status == 404
        assert response.content_type == "text/plain"


@pytest.mark.parametrize(
    ("by", "scope", "status"),
    [
        (ANNA, Scope.CONTROL, None),
        (WALL, Scope.READ, None),
        (WALL, Scope.CONTROL, 403),
        ({}, Scope.READ, 401),
    ],
)
def test_a_websocket_is_opened_for_those_who_may(
    by: dict[str, str], scope: Scope, status: int | None
) -> None:
    upgrade = Upgrade("/v1/events", by, "203.0.113.9")

    refusal = socket_refusal(OperatorAccess(TOKENS), upgrade, scope)

    assert (refusal and refusal.status) == status
