"""How the service stands, for programs that show it to operators."""

import asyncio
import time
from typing import cast

from pydantic import BaseModel, ConfigDict

from evibridge.errors import Overloaded
from evibridge.event_wire import utc_text
from evibridge.operator_access import Operator, Scope
from evibridge.operators.moments import Moment, milliseconds
from evibridge.operators.parts import ServiceParts
from evibridge.operators.views import IceServer, Service


class ServiceQuery(BaseModel):
    """What is told beside everything else."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    since: Moment | None = None
    """Calls that began at or after this moment are counted."""


async def service_of(query: ServiceQuery, parts: ServiceParts, by: Operator) -> Service:
    """Tell somebody how the service stands."""
    facts, now_s = parts.facts, time.time()
    stops_at_s = facts.stops_at_s()
    may_speak = by.scope.covers(Scope.CONTROL)
    since = query.since
    return {
        "at": utc_text(now_s),
        "operator": {"name": by.name, "scope": by.scope},
        "agent": facts.agent,
        "lines": facts.lines(),
        "max_lines": facts.max_lines,
        "is_draining": facts.is_draining(),
        "stops_at": None if stops_at_s is None else utc_text(stops_at_s),
        "response_p95_ms": parts.latest.response_p95_ms(now_s),
        "calls_since": None if since is None else await _calls_since(milliseconds(since), parts),
        "records_sound": facts.records_sound,
        "has_voice": facts.has_voice,
        "number": facts.number,
        "transfer_targets": [{"name": name, "to": to} for name, to in facts.transfer_targets],
        "ice_servers": cast("list[IceServer]", list(facts.ice_servers())) if may_speak else [],
    }


async def _calls_since(began_ms: int, parts: ServiceParts) -> int | None:
    """How many calls began at or after a moment; None if it cannot be told now."""
    try:
        count = await parts.records.count_since(began_ms)
    except Overloaded:  # whoever watches the service sees everything else
        return None
    for call in tuple(parts.calls.live_calls()):
        count += round(call.snapshot(with_lines=False).began_at_s * 1000) >= began_ms
        await asyncio.sleep(0)
    return count
