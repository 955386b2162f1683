"""Where an engine's time goes, out of the histograms of its own `GET /metrics`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

STEPS = {
    "ears wait": ("queue_wait_seconds", "ears"),
    "ears work": ("queue_work_seconds", "ears"),
    "mind begins": ("mind_first_words_seconds", None),
    "voice waits": ("queue_wait_seconds", "voice"),
    "voice works": ("queue_work_seconds", "voice"),
    "voice begins": ("synthesis_first_chunk_seconds", None),
}
"""Name of a step, its histogram without prefix, and the part that the histogram is of."""
_PREFIX = "evibridge_engine_"


@dataclass(frozen=True, slots=True)
class Work:
    """One step, as often as it was taken."""

    step: str
    times: int
    mean_ms: float


class Meter:
    """Reads how much of what an engine has done since the start of a measurement.

    Args:
        origin: of the engine
    """

    def __init__(self, origin: str) -> None:
        self._url = f"{origin}/metrics"
        self._before: Mapping[str, tuple[float, float]] = {}

    async def start(self) -> None:
        """Begin to count."""
        self._before = await self._read()

    async def read(self) -> list[Work]:
        """What was done since the start; a step that was not taken is left out."""
        work = []
        for step, (times, seconds) in (await self._read()).items():
            times_before, seconds_before = self._before.get(step, (0.0, 0.0))
            if times > times_before:
                mean_ms = (seconds - seconds_before) * 1000 / (times - times_before)
                work.append(Work(step, round(times - times_before), mean_ms))
        return work

    async def _read(self) -> dict[str, tuple[float, float]]:
        """How often each step was taken, and how many seconds it took in all."""
        async with aiohttp.ClientSession() as http, http.get(self._url) as answer:
            page = await answer.text()
        values = {
            (sample.name.removeprefix(_PREFIX), sample.labels.get("part")): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }
        return {
            step: (values[f"{name}_count", part], values[f"{name}_sum", part])
            for step, (name, part) in STEPS.items()
        }


def cell(work: Sequence[Work], step: str) -> str:
    """The mean of a step in ms, for a table."""
    return next((f"{each.mean_ms:.0f}" for each in work if each.step == step), "")
