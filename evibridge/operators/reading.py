"""What operators read over HTTP: lists, calls, and what is kept of those that have ended."""

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from aiohttp import web
from pydantic import ValidationError

from evibridge.agent.snapshot import CallSnapshot
from evibridge.errors import Overloaded
from evibridge.event_wire import utc_text
from evibridge.operator_access import Operator
from evibridge.operators.answers import NEVER_STORED, Answer, answer
from evibridge.operators.errors import refused, unfit
from evibridge.operators.listing import ListQuery, list_calls
from evibridge.operators.openapi import openapi_document
from evibridge.operators.parts import ServiceParts
from evibridge.operators.service_view import ServiceQuery, service_of
from evibridge.operators.views import Ended, snapshot_of, snapshot_of_record
from evibridge.records.document import outlined
from evibridge.records.summary import ended


class Reading:
    """Answers requests that change nothing."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts

    async def list_calls(self, request: web.Request) -> Answer:
        """One page of calls."""
        try:
            query = ListQuery.model_validate(dict(request.query))
        except ValidationError as error:
            raise unfit("query", error) from None
        return answer(200, await list_calls(query, self._parts))

    async def get_service(self, request: web.Request, by: Operator) -> Answer:
        """How the service stands."""
        try:
            query = ServiceQuery.model_validate(dict(request.query))
        except ValidationError as error:
            raise unfit("query", error) from None
        return answer(200, await service_of(query, self._parts, by))

    async def get_call(self, request: web.Request) -> Answer:
        """One call in full."""
        call_id = request.match_info["call_id"]
        call = self._parts.calls.snapshot(call_id)
        if call is not None:
            latest = self._parts.latest.of(call_id)
            known = snapshot_of(call, latest, self._parts.facts.agent)
            if call.ended is not None:
                known["ended"] = await self._ended(call)
            return answer(200, known)
        shown = await self._parts.records.view(call_id, _shown)
        if shown is None:
            raise refused("call_not_found")
        return shown

    async def _ended(self, call: CallSnapshot) -> Ended | None:
        """What the record tells of a call that is over; None as long as it cannot be read."""
        try:
            return await self._parts.records.view(call.call_id, partial(_end_of, call))
        except Overloaded:  # everything else is known
            return None

    async def get_record(self, request: web.Request) -> Answer:
        """The record of a call."""
        call_id = request.match_info["call_id"]
        record = await self._parts.records.load(call_id)
        if record is None:
            is_known = self._parts.calls.snapshot(call_id) is not None
            raise refused("record_not_found" if is_known else "call_not_found")
        return Answer(200, record)

    async def get_recording(self, request: web.Request) -> web.StreamResponse:
        """The sound of a call; of one that goes on, what there is by now."""
        call_id = request.match_info["call_id"]
        goes_on = self._parts.calls.get(call_id) is not None
        path = await self._parts.records.recording(call_id, newest=goes_on)
        if path is None:
            await self.get_call(request)  # or there is no call
            raise refused("recording_not_found")
        return web.FileResponse(path, headers={**NEVER_STORED, "Content-Type": "audio/wav"})

    async def get_openapi(self, _: web.Request) -> Answer:
        """What all of it is like."""
        return answer(200, openapi_document())


def _end_of(call: CallSnapshot, members: Mapping[str, Any]) -> Ended | None:
    record = outlined(members)
    is_of_call = record.began_at == utc_text(call.began_at_s)  # another one may have had its id
    return cast("Ended", ended(record)) if is_of_call else None


def _shown(record: Mapping[str, Any]) -> Answer:
    return answer(200, snapshot_of_record(record))
