"""What becomes of calls: their sound and their record, on their way to the disk."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from evibridge.agent.call import Call
from evibridge.agent.calls import MAX_ENDED
from evibridge.agent.snapshot import CallSnapshot
from evibridge.bus import EventBus, Told
from evibridge.errors import Overloaded
from evibridge.events import RecordingFailed
from evibridge.records.disk_thread import DiskThread
from evibridge.records.document import Recording as RecordingFacts
from evibridge.records.recording import Recording
from evibridge.records.records import Records

RECORDS_EVERY_MS = 1000
"""A recorder does not need to hear a call at once."""
CLOSE_TIMEOUT_S = 10.0
"""How long the last records may take when the service ends."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Recorded:
    recording: Recording
    stop: Callable[[], None]
    rate_hz: int


class Keeper:
    """Keeps what every call leaves behind; see `CallKeeper`.

    Args:
        bus: has the events of each call
        records: where they go
        records_sound: whether the sound of calls is kept too
        agent: name of who talks in the calls, if it has one
    """

    def __init__(
        self, bus: EventBus, records: Records, *, records_sound: bool, agent: str | None = None
    ) -> None:
        self._bus = bus
        self._records = records
        self._records_sound = records_sound
        self._agent = agent
        self._disk = DiskThread()
        self._recorded: dict[tuple[str, float], _Recorded] = {}
        """By id and time of beginning: a call may come back while the one before is ending."""
        self._keeping: set[asyncio.Task[None]] = set()
        self._ended: dict[str, None] = {}
        """Calls whose events are still told to who comes late, in the order of their ends."""

    def began(self, call: Call) -> None:
        """A call whose audio comes here has begun."""
        if not self._records_sound:
            return
        call_id = call.facts.call_id

        def on_failed(why: str) -> None:
            log.warning("recording_failed", call_id=call_id, error=why)
            if not call.is_over:
                self._bus.publish(call_id, RecordingFailed(why))

        path = self._records.recording_path(call_id)
        recording = Recording(path, call.rate_hz, self._disk, on_failed)
        stop = call.tap.listen(recording.write, every_ms=RECORDS_EVERY_MS)
        began = (call_id, call.snapshot().began_at_s)
        self._recorded[began] = _Recorded(recording, stop, call.rate_hz)

    def ended(self, snapshot: CallSnapshot) -> None:
        """A call is over; every event of it was told."""
        call_id = snapshot.call_id
        recorded = self._recorded.pop((call_id, snapshot.began_at_s), None)
        if recorded is not None:
            recorded.stop()
        # The bus may forget them before the disk has time.
        keep = self._keep(snapshot, self._bus.history(call_id), recorded)
        keeping = asyncio.get_running_loop().create_task(keep)
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)

    def came_to_nothing(self, call_id: str) -> None:
        """A sidecar is over that never found its chat: it leaves nothing but its events."""
        self._forget_oldest(call_id)

    async def close(self) -> None:
        """Return when everything is on the disk, or the disk takes too long."""
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=CLOSE_TIMEOUT_S)
        self._disk.close()
        await self._records.close()

    async def _keep(
        self, snapshot: CallSnapshot, told: Sequence[Told], recorded: _Recorded | None
    ) -> None:
        call_id = snapshot.call_id
        try:
            facts = None
            if recorded is not None:
                await recorded.recording.close()
                facts = _facts(recorded)
            await self._records.keep(snapshot, told, facts, self._agent)
        except Overloaded as error:
            log.warning("call_record_not_kept", call_id=call_id, why=str(error))
        except Exception:  # a defect here is no call's
            log.exception("call_record_not_kept", call_id=call_id)
        self._forget_oldest(call_id)

    def _forget_oldest(self, newest: str) -> None:
        """A call that goes on under the id of one that has ended keeps its events: see the bus."""
        self._ended.pop(newest, None)
        self._ended[newest] = None
        if len(self._ended) > MAX_ENDED:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            self._bus.forget(oldest)


def _facts(recorded: _Recorded) -> RecordingFacts:
    recording = recorded.recording
    return RecordingFacts(
        file=recording.file,
        seconds=recording.lasts_s or 0.0,
        rate_hz=recorded.rate_hz,
        failure=recording.failure,
    )
