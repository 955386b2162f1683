"""The OpenAPI 3.1 document of the operator API, out of its table of routes and its models."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import TypedDict

from evibridge.operators.errors import FAULTS, OTHER_REFUSALS, REFUSED_WITH
from evibridge.operators.idempotency import IDEMPOTENCY_KEY, MAX_KEY
from evibridge.operators.routes import ROUTES, Route, Success

VERSION = "1"
DESCRIPTION = """\
Watch the calls of a service, and act on them.

Show a token of the setting EVIBRIDGE_OPERATOR_TOKEN as `Authorization: Bearer <token>`; it has the
scope `read`, or `control`, which includes it. While the setting is empty, programs of the service's
own machine need no token.

What happens in calls is told over WebSockets, which OpenAPI has no words for: at
`/v1/calls/{call_id}/events`, `/v1/calls/{call_id}/audio` and `/v1/events`.
"""
JSON = "application/json"
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "say": {"text": "Please hold the line."},
    "begin_call": {"to": "+14155550100", "parameters": {"order": "1042"}},
    "make_web_session": {"name": "Ann", "variables": {"plan": "gold"}},
    "send": {"type": "pause_assistant_message"},
}
"""Bodies, by the route's operation."""
SCHEMAS = "#/components/schemas/"

_NAMES = re.compile(r"\{(\w+)\}")
_IDEMPOTENCY_KEY = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "description": (
        "A name for the request. If it is sent again with the same name and body, it is not done "
        "again, and the answer is that of the first, with the header Idempotency-Replayed; but "
        "after 503 it is tried again."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY},
}
_REPLAYED = {
    "Idempotency-Replayed": {
        "description": "The request was sent before, and this is its answer.",
        "schema": {"const": "true"},
    }
}
_HEADERS: Mapping[int, Any] = {
    401: {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}},
    429: {
        "Retry-After": {
            "description": "Seconds.",
            "required": True,
            "schema": {"type": "integer", "minimum": 1},
        }
    },
}
"""What goes with refusals of a status."""


class Error(TypedDict):
    """Why something was refused: a code for programs, and a sentence that says what to do."""

    code: str
    message: str


class Detail(TypedDict):
    """One thing that is wrong with a request, and where it stands."""

    loc: list[str | int]
    msg: str
    type: str


class UnfitRequest(TypedDict):
    """What is wrong with a request, as EVI servers tell it."""

    detail: list[Detail]


class _Untitled(GenerateJsonSchema):
    """pydantic's titles repeat the names of members."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  as in pydantic
        return False


@cache
def openapi_document() -> dict[str, Any]:
    """Build the document; it is the same for every service."""
    schemas, definitions = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "evibridge operators", "version": VERSION, "description": DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": definitions,
            "parameters": {"IdempotencyKey": _IDEMPOTENCY_KEY},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


_Mode = Literal["validation", "serialization"]
_Schemas = Mapping[Any, dict[str, Any]]
"""JSON Schemas by the types that they describe; most of them are references."""


def _schemas() -> tuple[_Schemas, dict[str, Any]]:
    """The schemas of everything in the table, and the definitions that they refer to."""
    sent = dict.fromkeys(model for route in ROUTES for model in route.bodies)
    told = dict.fromkeys(success.schema for route in ROUTES for success in route.answers.values())
    inputs: list[tuple[Any, _Mode, TypeAdapter[Any]]] = [
        *((each, "validation", TypeAdapter(each)) for each in sent),
        *((each, "serialization", TypeAdapter(each)) for each in told if each),
        *((each, "serialization", TypeAdapter(each)) for each in (Error, UnfitRequest)),
    ]
    schemas, rest = TypeAdapter.json_schemas(
        inputs, ref_template=f"{SCHEMAS}{{model}}", schema_generator=_Untitled
    )
    return {each: schema for (each, _), schema in schemas.items()}, rest["$defs"]


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "security": [{"token": [route.scope]}],
        "parameters": _parameters(route),
        "responses": _responses(route, schemas),
    }
    if route.bodies:
        operation["requestBody"] = _request_body(route, schemas)
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _NAMES.findall(route.path)
    ]
    if route.query is not None:
        query = route.query.model_json_schema(schema_generator=_Untitled)
        parameters += [
            {"name": name, "in": "query", "schema": schema}
            for name, schema in query["properties"].items()
        ]
    if route.is_done_once:
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
    return parameters


def _request_body(route: Route, schemas: _Schemas) -> dict[str, Any]:
    choices = [schemas[model] for model in route.bodies]
    media: dict[str, Any] = {"schema": choices[0] if len(choices) == 1 else {"oneOf": choices}}
    if route.operation in EXAMPLES:
        media["example"] = EXAMPLES[route.operation]
    needs_one = all(
        any(field.is_required() for field in model.model_fields.values()) for model in route.bodies
    )
    return {"required": needs_one, "content": {JSON: media}}


def _responses(route: Route, schemas: _Schemas) -> dict[str, Any]:
    responses = {
        str(status): _success(route, success, schemas) for status, success in route.answers.items()
    }
    for status, codes in sorted(_codes(route).items()):
        description = ", ".join(f"`{code}`" for code in codes)
        if status == OTHER_REFUSALS and route.method == "POST":
            description += ", or why it cannot be done now"
        responses[str(status)] = {
            "description": description,
            "content": {JSON: {"schema": schemas[Error]}},
        }
        if status in _HEADERS:
            responses[str(status)]["headers"] = _HEADERS[status]
    if route.bodies or route.query:
        responses["422"] = {
            "description": "Something about the request is not as it should be.",
            "content": {JSON: {"schema": schemas[UnfitRequest]}},
        }
    return responses


def _success(route: Route, success: Success, schemas: _Schemas) -> dict[str, Any]:
    response: dict[str, Any] = {"description": success.description}
    if success.media_type is not None:
        media = {} if success.schema is None else {"schema": schemas[success.schema]}
        response["content"] = {success.media_type: media}
    if route.is_done_once:
        response["headers"] = _REPLAYED
    return response


def _codes(route: Route) -> Mapping[int, Sequence[str]]:
    """The codes of refusals by their status."""
    codes: dict[int, list[str]] = defaultdict(list)
    for code in route.faults:
        status = FAULTS[code].status if code in FAULTS else REFUSED_WITH[code]
        codes[status].append(code)
    return codes
