"""Draws a ramp: what a call costs, and how late it is, over the number of calls.

    python -m benchmarks.calls_per_core --ramp --json > ramp.json
    python -m benchmarks.chart ramp.json docs/calls_per_core.svg

The picture is SVG without a background; its colours are readable on light and on dark ones.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.ramp import Outcome
from benchmarks.turns import NO_BRIDGE

WIDTH, HEIGHT = 800, 560
LEFT, RIGHT = 64, 560
"""Of both panels; labels of lines stand right of them."""
COST_PANEL, DELAY_PANEL = (40, 260), (320, 500)
"""Upper and lower edge of each."""
COLOURS = ("#8b949e", "#2f81f7", "#d9730d", "#2da44e", "#a371f7", "#bf8700")
BAR_COLOUR = "#e5534b"
LABEL_WIDTH, LABEL_HEIGHT = 120, 15
LEGEND = "Large dot: the most calls that held. Ring: too many."
DELAYS_MS = (1, 3, 10, 30, 100, 300, 1000)
"""Ticks of the lower panel, whose scale is logarithmic."""
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#6e7781}.title{font-weight:600}"
    ".grid{stroke:#8b949e;stroke-opacity:.3}.line{fill:none;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#9da7b3}}"
)


@dataclass(frozen=True, slots=True)
class Point:
    """One program at one number of calls; None for what is not known."""

    calls: int
    cpu_ms: float | None
    added_p99_ms: float | None
    has_held: bool


@dataclass(slots=True)
class Curve:
    """One program; `knee` is in words, `knee_calls` the number in it."""

    program: str
    colour: str
    points: list[Point] = field(default_factory=list)
    knee: str = ""
    knee_calls: int = 0


@dataclass(frozen=True, slots=True)
class Panel:
    """An area of the picture with its scales, from figures to pixels."""

    x: Callable[[float], float]
    y: Callable[[float], float]
    of: Callable[[Point], float | None]


def curves_of(ramp: dict[str, Any]) -> list[Curve]:
    """Read the JSON of a ramp; what says nothing about a program is left out."""
    curves: dict[str, Curve] = {}
    for step in ramp["steps"]:
        result = step["result"]
        name = result["program"]
        if name == NO_BRIDGE or step["outcome"] == Outcome.UNKNOWN or result["fault"]:
            continue
        curve = curves.setdefault(name, Curve(name, COLOURS[len(curves) % len(COLOURS)]))
        has_held = step["outcome"] == Outcome.HELD
        cpu_ms, added_ms = result["cost"]["cpu_ms_per_call_s"], result["added_ms"]["p99"]
        curve.points.append(Point(result["calls"], cpu_ms, added_ms, has_held))
    for knee in ramp["knees"]:
        if knee["program"] in curves:
            curve = curves[knee["program"]]
            curve.knee_calls = knee["calls"]
            curve.knee = f"{'at least ' * knee['is_at_least']}{knee['calls']} calls"
    return list(curves.values())


def svg(ramp: dict[str, Any], machine: dict[str, str]) -> str:
    """Draw the JSON of a ramp."""
    curves = curves_of(ramp)
    bar_ms = ramp["added_p99_bar_ms"]
    points = [point for curve in curves for point in curve.points]
    most_calls = max((point.calls for point in points), default=1)
    most_ms = max((point.cpu_ms or 0.0 for point in points), default=0.0) or 1.0
    x = _linear(0, most_calls, LEFT, RIGHT)
    cost = Panel(x, _linear(0, most_ms * 1.1, COST_PANEL[1], COST_PANEL[0]), lambda p: p.cpu_ms)
    delay = Panel(x, _delays(*DELAY_PANEL), lambda p: p.added_p99_ms)
    ticks = _ticks(most_calls)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<style>{STYLE}</style>",
        _text(LEFT, 24, "CPU of a call, ms per second", kind="title"),
        *_grid(cost, _ticks(most_ms), ticks, COST_PANEL[1]),
        *_lines(cost, curves, with_knees=True),
        _text(LEFT, 304, "Delay added to the agent's answer, ms at p99", kind="title"),
        *_grid(delay, DELAYS_MS, ticks, DELAY_PANEL[1]),
        *_bar(delay.y(bar_ms), bar_ms),
        *_lines(delay, curves, with_knees=False),
        _text((LEFT + RIGHT) / 2, DELAY_PANEL[1] + 36, "calls at the same time", anchor="middle"),
        _text(LEFT, HEIGHT - 4, f"{LEGEND} One core of {machine['cpu']}, {machine['date']}."),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _linear(low: float, high: float, from_px: float, to_px: float) -> Callable[[float], float]:
    return lambda value: from_px + (value - low) / (high - low) * (to_px - from_px)


def _delays(top: float, bottom: float) -> Callable[[float], float]:
    """A logarithmic scale that ends at its first and last tick."""
    low, high = DELAYS_MS[0], DELAYS_MS[-1]
    decades = _linear(math.log10(low), math.log10(high), bottom, top)
    return lambda ms: decades(math.log10(min(max(ms, low), high)))


def _ticks(most: float) -> list[float]:
    """Some four to eight round numbers, from 0 up to this one."""
    power = 10 ** math.floor(math.log10(most))
    step = next(power * part for part in (0.2, 0.25, 0.5, 1, 2) if most / (power * part) < 8)
    return [step * number for number in range(int(most / step + 1e-9) + 1)]


def _grid(
    panel: Panel, rows: Iterable[float], columns: Iterable[float], bottom: float
) -> Iterable[str]:
    for value in rows:
        y = panel.y(value)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{RIGHT}"/>'
        yield _text(LEFT - 8, y + 4, f"{value:g}", anchor="end")
    for value in columns:
        yield _text(panel.x(value), bottom + 18, f"{value:g}", anchor="middle")


def _bar(y: float, bar_ms: float) -> Iterable[str]:
    yield f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="{BAR_COLOUR}" stroke-dasharray="6 4"/>'
    yield _text(LEFT - 8, y + 4, f"{bar_ms:g}", anchor="end", colour=BAR_COLOUR)


def _lines(panel: Panel, curves: Sequence[Curve], *, with_knees: bool) -> Iterable[str]:
    """Draw each curve, hollow where the program did not hold, with its name at its end."""
    ends: list[tuple[float, float, Curve]] = []
    for curve in curves:
        drawn = [
            (panel.x(point.calls), panel.y(value), point)
            for point in curve.points
            if (value := panel.of(point)) is not None
        ]
        if not drawn:
            continue
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in drawn)
        yield f'<path class="line" stroke="{curve.colour}" d="M{path}"/>'
        for x, y, point in drawn:
            yield _dot(x, y, curve, point, is_knee=with_knees and point.calls == curve.knee_calls)
        ends.append((*drawn[-1][:2], curve))
    yield from _labels(ends, with_knees=with_knees)


def _dot(x: float, y: float, curve: Curve, point: Point, *, is_knee: bool) -> str:
    fill = curve.colour if point.has_held else "none"
    radius = 7 if is_knee else 3.5
    title = f"<title>{escape(curve.program)}, {point.calls} calls</title>"
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" stroke="{curve.colour}" '
        f'stroke-width="1.5" fill="{fill}">{title}</circle>'
    )


def _labels(ends: list[tuple[float, float, Curve]], *, with_knees: bool) -> Iterable[str]:
    """Names right of the ends of lines, moved down where they would lie on one another."""
    taken: list[tuple[float, float]] = []
    for x, line_y, curve in sorted(ends, key=lambda end: end[1]):
        beside = [y + LABEL_HEIGHT for other_x, y in taken if abs(other_x - x) < LABEL_WIDTH]
        y = max([line_y + 4, *beside])
        taken.append((x, y))
        text = f"{curve.program}: {curve.knee}" if with_knees and curve.knee else curve.program
        yield _text(x + 12, y, text, colour=curve.colour)


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", kind: str = "", colour: str = ""
) -> str:
    kind = f' class="{kind}"' if kind else ""
    style = f' style="fill:{colour}"' if colour else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}{style}>{escape(text)}</text>'
    )


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.chart")
    options.add_argument("ramp", type=Path, help="JSON of benchmarks.calls_per_core --ramp")
    options.add_argument("picture", type=Path, help="the SVG file that is written")
    given = options.parse_args()
    measured = json.loads(given.ramp.read_text())
    given.picture.write_text(svg(measured["ramp"], measured["machine"]))


if __name__ == "__main__":
    main()
