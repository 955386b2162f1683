"""How late the bridge's event loop was and how long its garbage collections took.

The bridge tells it itself, in the histograms of its `GET /metrics`. A histogram knows a value only
by its bucket: figures out of one are bounds.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

LAG, GC_PAUSE = "evibridge_event_loop_lag_seconds", "evibridge_gc_pause_seconds"


@dataclass(frozen=True, slots=True)
class Bound:
    """What a value does not exceed; or what it exceeds, if it is beyond the last bucket."""

    ms: float
    is_exceeded: bool = False

    def __str__(self) -> str:
        return f"{'>' if self.is_exceeded else '<='} {self.ms:g}" if self.ms else "0"


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values there were up to each bound in seconds; of all label sets together."""

    up_to: Mapping[float, float] = field(default_factory=dict)

    @classmethod
    def read(cls, page: str, name: str) -> "Histogram":
        """Find it in a page of Prometheus text; one that is not there has no buckets."""
        up_to: dict[float, float] = {}
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == f"{name}_bucket":
                    le = float(sample.labels["le"])
                    up_to[le] = up_to.get(le, 0) + sample.value
        return cls(up_to)

    def less(self, before: "Histogram") -> "Histogram":
        """What has come since then."""
        return Histogram({le: count - before.up_to.get(le, 0) for le, count in self.up_to.items()})

    def plus(self, other: "Histogram") -> "Histogram":
        """Both together."""
        bounds = self.up_to.keys() | other.up_to.keys()
        return Histogram({le: self.up_to.get(le, 0) + other.up_to.get(le, 0) for le in bounds})

    def bound(self, share: float) -> Bound | None:
        """Of the value that this share of all does not exceed; None without a histogram."""
        if not self.up_to:
            return None
        number = self.up_to[math.inf]
        if not number:
            return Bound(0.0)
        bounds = sorted(self.up_to)
        for le in bounds[:-1]:
            if self.up_to[le] >= share * number:
                return Bound(round(le * 1000, 6))
        return Bound(round(bounds[-2] * 1000, 6), is_exceeded=True)


class ServiceMeter:
    """Adds up what the histograms of a bridge say between `start` and `stop`, time after time.

    Args:
        origin: of the bridge
    """

    def __init__(self, origin: str) -> None:
        self._url = f"{origin}/metrics"
        self._before = {LAG: Histogram(), GC_PAUSE: Histogram()}
        self._sum = dict(self._before)

    async def start(self) -> None:
        """What matters begins."""
        self._before = await self._read()

    async def stop(self) -> None:
        """It is over for now."""
        for name, histogram in (await self._read()).items():
            self._sum[name] = self._sum[name].plus(histogram.less(self._before[name]))

    @property
    def lag_p99(self) -> Bound | None:
        """How late timers of the event loop ran; None if the bridge does not tell."""
        return self._sum[LAG].bound(0.99)

    @property
    def longest_gc_pause(self) -> Bound | None:
        """0 if there was none; None if the bridge does not tell."""
        return self._sum[GC_PAUSE].bound(1.0)

    async def _read(self) -> dict[str, Histogram]:
        async with aiohttp.ClientSession() as http, http.get(self._url) as answer:
            page = await answer.text() if answer.ok else ""
        return {name: Histogram.read(page, name) for name in (LAG, GC_PAUSE)}
