"""How the operator API says no.

Every refusal is `{"code": ..., "message": ...}`; a body or a parameter that cannot be used gets
`{"detail": [{"loc": ..., "msg": ..., "type": ...}]}`, as EVI servers answer (section 8.3 of the
protocol's documents). Neither repeats a value that was sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from evibridge.errors import CommandRefused, EvibridgeError
from evibridge.operator_access import OperatorRefusal
from evibridge.operators.answers import Answer

MAX_DETAILS = 20
"""What is wrong with one request; each member of a body could be."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One of the refusals that the API itself decides on."""

    status: int
    message: str


FAULTS: Mapping[str, Fault] = {
    "body_broken": Fault(400, "The body did not come as it was announced: send it again."),
    "unauthorized": Fault(401, ""),
    "forbidden": Fault(403, ""),
    "not_found": Fault(404, "There is nothing at this address: /v1/openapi.json lists what is."),
    "call_not_found": Fault(
        404, "No call has this id: GET /v1/calls?state=all lists those that are known."
    ),
    "record_not_found": Fault(
        404, "This call has no record: it is written when the call has ended."
    ),
    "recording_not_found": Fault(404, "This call has no recording: it was not recorded."),
    "method_not_allowed": Fault(
        405, "This address does not take the method: the header Allow names those it takes."
    ),
    "body_too_slow": Fault(408, "The body did not come in time: send it again."),
    "call_is_over": Fault(409, "The call has ended, so that nothing can be asked of it."),
    "still_running": Fault(
        409, "The first request with this Idempotency-Key is not answered yet: ask again."
    ),
    "body_too_large": Fault(413, "The body is longer than 64 KiB: send less."),
    "not_json": Fault(415, "Send the body as application/json, without a Content-Encoding."),
    "too_many_commands": Fault(429, "Too many commands: wait as long as Retry-After says."),
    "fault": Fault(500, "The service failed on this request: its log says why."),
    "overloaded": Fault(503, "The service has too much to do at the moment: ask again."),
}

REFUSED_WITH: Mapping[str, int] = {
    "carrier_unreachable": 503,
    "chat_not_found": 404,
    "evi_unreachable": 503,
    "service_full": 503,
    "too_many_voices": 503,
}
"""Statuses of refused commands by their codes; after 503 nothing was done, and it may be tried
again."""
OTHER_REFUSALS = 409
"""The call is not in a state for the command."""


class RequestRefused(EvibridgeError):
    """A request is answered with this instead of what it asks for."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"The request was refused with {answer.status}.")
        self.answer = answer


def refused(code: str, **headers: str) -> RequestRefused:
    """Refuse a request for a reason in `FAULTS`."""
    fault = FAULTS[code]
    return RequestRefused(_answer(fault.status, code, fault.message, headers))


def not_admitted(refusal: OperatorRefusal) -> RequestRefused:
    """Refuse the request of somebody who may not send it."""
    code = "unauthorized" if refusal.status == FAULTS["unauthorized"].status else "forbidden"
    return RequestRefused(_answer(refusal.status, code, refusal.sentence, refusal.headers))


def command_refused(refusal: CommandRefused) -> RequestRefused:
    """Refuse a request because its command was."""
    status = REFUSED_WITH.get(refusal.code, OTHER_REFUSALS)
    return RequestRefused(_answer(status, refusal.code, str(refusal), {}))


def unfit(where: str, error: ValidationError) -> RequestRefused:
    """Refuse a request for what pydantic has found.

    Args:
        where: the part of the request: "body" or "query"
        error: about that part
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return _unfit([_detail(where, fault) for fault in found[:MAX_DETAILS]])


def unfit_for(loc: list[str], message: str, kind: str) -> RequestRefused:
    """Refuse a request for one thing about it, which stands at `loc`."""
    return _unfit([{"loc": loc, "msg": message, "type": kind}])


def _answer(status: int, code: str, message: str, headers: Mapping[str, str]) -> Answer:
    return Answer(status, orjson.dumps({"code": code, "message": message}), headers)


def _unfit(detail: list[dict[str, object]]) -> RequestRefused:
    return RequestRefused(Answer(422, orjson.dumps({"detail": detail})))


def _detail(where: str, fault: ErrorDetails) -> dict[str, object]:
    return {"loc": [where, *fault["loc"]], "msg": fault["msg"], "type": fault["type"]}
