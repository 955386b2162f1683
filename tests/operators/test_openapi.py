import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from evibridge.operators.errors import FAULTS, REFUSED_WITH
from evibridge.operators.openapi import EXAMPLES, openapi_document
from evibridge.operators.routes import ROUTES
from tests.operators.api_stage import open_stage

DOCUMENT = openapi_document()
OPERATIONS: dict[str, Any] = {
    operation["operationId"]: operation
    for path in DOCUMENT["paths"].values()
    for operation in path.values()
}


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_all_that_it_refers_to_is_in_it() -> None:
    for reference in references(DOCUMENT):
        part = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


def test_every_schema_is_one() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


async def test_it_is_served_and_lists_what_is_served(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        served = (await stage.get("/v1/openapi.json")).json()
        routes = {
            (route.method, route.resource.canonical)
            for route in stage.app.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }

    assert served == json.loads(json.dumps(DOCUMENT))
    assert routes == {
        (method.upper(), path) for path, methods in served["paths"].items() for method in methods
    }


def test_every_operation_has_a_name_of_its_own() -> None:
    assert len(OPERATIONS) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_every_operation_tells_who_may_and_what_else_may_come(route: Any) -> None:
    operation = OPERATIONS[route.operation]

    assert operation["security"] == [{"token": [route.scope.value]}]
    assert operation["responses"].keys() >= {"401", "403", "500", "503"}
    names = {each.get("name", each.get("$ref")) for each in operation["parameters"]}
    assert ("{call_id}" in route.path) == ("call_id" in names)
    if route.method == "POST":
        assert operation["responses"].keys() >= {"408", "413", "415", "422", "429"}
        assert operation["requestBody"]["content"].keys() == {"application/json"}


def test_every_command_can_be_repeated_except_those_for_a_token_and_a_voice() -> None:
    named = {
        name
        for name, operation in OPERATIONS.items()
        if {"$ref": "#/components/parameters/IdempotencyKey"} in operation["parameters"]
    }
    told = {name for name, operation in OPERATIONS.items() if "`still_running`" in str(operation)}

    posts = {route.operation for route in ROUTES if route.method == "POST"}
    assert named == told == posts - {"make_web_session", "open_voice"}
    assert "another one each time" in OPERATIONS["make_web_session"]["summary"]
    assert "Idempotency-Replayed" not in str(OPERATIONS["make_web_session"])


def test_every_reason_of_a_refusal_is_told() -> None:
    told = json.dumps(DOCUMENT)
    everywhere = {"not_found", "method_not_allowed"}  # where there is no operation to tell it of

    assert [code for code in FAULTS if f"`{code}`" not in told and code not in everywhere] == []
    assert [code for code in REFUSED_WITH if f"`{code}`" not in told] == []


@pytest.mark.parametrize("operation", EXAMPLES)
def test_an_example_is_a_body_that_may_be_sent(operation: str) -> None:
    media = OPERATIONS[operation]["requestBody"]["content"]["application/json"]
    validator = Draft202012Validator({**media["schema"], "components": DOCUMENT["components"]})

    validator.validate(media["example"])


def test_a_body_need_not_be_sent_where_it_may_be_empty() -> None:
    required = {
        name: operation["requestBody"]["required"]
        for name, operation in OPERATIONS.items()
        if "requestBody" in operation
    }

    assert [name for name, is_required in required.items() if not is_required] == [
        "make_web_session",
        "pause",
        "resume",
        "hold",
        "release",
        "takeover",
        "handback",
        "hangup",
        "approve",
        "decline",
    ]
