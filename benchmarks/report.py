"""How figures are shown: which machine they are from, and Markdown tables."""

import math
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def machine() -> dict[str, str]:
    """What a reader has to know in order to compare figures."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def headline() -> str:
    """The machine in one line."""
    facts = machine()
    return (
        f"{facts['date']}, {facts['cpu']}, {facts['cores']} cores, Python {facts['python']}, "
        f"load average {facts['load']}"
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    lines = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]

    def shown(cells: Sequence[str]) -> str:
        first, *others = (cell for cell in cells)
        aligned = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        return "| " + " | ".join([first.ljust(widths[0]), *aligned]) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([shown(columns), shown(rule), *(shown(row) for row in rows)])


def numbers_only(figures: Any) -> Any:
    """Figures for JSON, which has no word for what is not a number: that becomes null."""
    if isinstance(figures, dict):
        return {name: numbers_only(value) for name, value in figures.items()}
    if isinstance(figures, list | tuple):
        return [numbers_only(value) for value in figures]
    return None if isinstance(figures, float) and not math.isfinite(figures) else figures


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
