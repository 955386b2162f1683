"""The running service is held to its own OpenAPI document, by requests that are made up from it."""

import asyncio
from itertools import cycle
from pathlib import Path
from typing import Any

import aiohttp
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from evibridge.service import start_service
from tests.bridges.conftest import AGENT, Scene
from tests.bridges.conftest import settings as service_settings
from tests.parties import TinyEvi

OPERATORS = 30
"""More than one, because each may send only so many commands at once."""
TOKENS = ",".join(f"operator{number}:control=token{number}" for number in range(OPERATORS))
ANY = {"Authorization": "Bearer token0"}
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
FEW = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
DONE = {
    *("list_calls", "get_call", "get_openapi", "say", "inject", "context", "variables"),
    *("pause", "resume", "hold", "release"),
}
"""What is done with any call, whatever else is asked of it before."""


def statuses_of(origin: str, call_id: str) -> dict[str, set[int]]:
    """Send requests that are as they should be, and others; what comes back is judged."""
    tokens = cycle(range(OPERATORS))
    known = {"call_id": call_id, "tool_call_id": "call_1"}
    statuses: dict[str, set[int]] = {}
    with requests.Session() as session:

        def ask(case: Any) -> None:
            headers = {"Authorization": f"Bearer token{next(tokens)}"}
            # The cursor of a list is a string, but not any string is a cursor.
            more = [] if case.method == "GET" else [positive_data_acceptance]
            answer = case.call_and_validate(origin, session, headers, CHECKS, more)
            seen = statuses.setdefault(case.operation.definition.raw["operationId"], set())
            seen.add(answer.status_code)

        for operation in operations(session.get(f"{origin}/v1/openapi.json", headers=ANY).json()):
            names = {name: known[name] for name in known if f"{{{name}}}" in operation.path}
            for mode in GenerationMode:
                cases = operation.as_strategy(mode, path_parameters=names)
                FEW(given(cases)(ask))()  # type: ignore[no-untyped-call]
    return statuses


def operations(document: dict[str, Any]) -> list[Any]:
    """What there is to ask; what ends the call comes last."""
    schema: Any = schemathesis.openapi.from_dict(document)
    assert document["openapi"] == "3.1.0"
    schema.validate()
    found = [result.ok() for result in schema.get_all_operations()]
    return sorted(found, key=lambda operation: operation.path.endswith("/hangup"))


async def test_every_answer_is_as_the_document_says(
    evi: TinyEvi, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    service = await start_service(
        AGENT,
        # However long it takes: the caller is waited for, who has nothing to say.
        service_settings(evi, operator_token=TOKENS, data_dir=tmp_path, resume_seconds=600.0),
    )
    try:
        twilio, _ = await Scene(evi, service, http).talk()

        statuses = await asyncio.to_thread(statuses_of, service.origin, twilio.call_sid)

        await twilio.close()
        await twilio.post("/twilio/call-status", CallStatus="completed")
    finally:
        await service.close()
    assert {name for name, seen in statuses.items() if 200 in seen} >= DONE
    assert set().union(*statuses.values()) >= {200, 404, 409, 422}
