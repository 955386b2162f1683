import assert from "node:assert/strict";
import { test } from "node:test";

import * as drawing from "../../evibridge/web/console/timeline_drawing.js";

const span = (fromS, toS, more = {}) => ({ fromS, toS, ...more });
const labels = (shown, width) => drawing.labelsOf(shown, width).map(({ atS }) => atS);

test("a call with room is shown whole, and a young one does not fill the drawing", () => {
  assert.deepEqual(drawing.shownOf(96, 960), { fromS: 0, toS: 96 });
  assert.deepEqual(drawing.shownOf(3, 960), { fromS: 0, toS: 15 });
});

test("a call of 560 pixels or less shows its last 36 s", () => {
  assert.deepEqual(drawing.shownOf(96, 560), { fromS: 60, toS: 96 });
  assert.deepEqual(drawing.shownOf(20, 560), { fromS: 0, toS: 20 });
  assert.deepEqual(drawing.shownOf(3, 560), { fromS: 0, toS: 15 });
  assert.deepEqual(drawing.shownOf(96, 561), { fromS: 0, toS: 96 });
});

test("what plays stands in the middle of a narrow drawing, but for both ends", () => {
  assert.deepEqual(drawing.shownOf(96, 400, 50), { fromS: 32, toS: 68 });
  assert.deepEqual(drawing.shownOf(96, 400, 2), { fromS: 0, toS: 36 });
  assert.deepEqual(drawing.shownOf(96, 400, 95), { fromS: 60, toS: 96 });
});

test("times become whole device pixels", () => {
  const xOf = drawing.placesOf({ fromS: 60, toS: 96 }, 300);
  assert.deepEqual([60, 61, 78, 96].map(xOf), [0, 8, 150, 300]);
});

test("labels stand on round times, at least 70 pixels apart and no rarer than they need", () => {
  assert.deepEqual(labels({ fromS: 0, toS: 96 }, 450), [0, 15, 30, 45, 60, 75, 90]);
  assert.deepEqual(labels({ fromS: 60, toS: 96 }, 300), [60, 70, 80, 90]);
  assert.deepEqual(labels({ fromS: 0, toS: 300 }, 500), [0, 60, 120, 180, 240, 300]);
  for (const lengthS of [15, 96, 400, 1800, 7200, 86_400]) {
    const places = drawing.labelsOf({ fromS: 0, toS: lengthS }, 640).map(({ x }) => x);
    const apart = places.slice(1).map((x, index) => x - places[index]);
    assert.ok(places.length > 1 && apart.every((px) => px >= 70), `${lengthS}: ${apart}`);
  }
});

test("blocks that are seen have their places, and what goes on ends now", () => {
  const shown = { fromS: 60, toS: 96 };
  const spans = [span(10, 20), span(50, 66), span(70, 76), span(90, null), span(97, 99)];
  const blocks = drawing.blocksOf(spans, shown, 360, 96);
  assert.deepEqual(
    blocks.map(({ x, width }) => [x, width]),
    [[-100, 160], [100, 60], [300, 60]],
  );
  assert.equal(blocks[1].of, spans[2]);
});

test("what is too short to be seen is drawn at its least width", () => {
  const [block] = drawing.blocksOf([span(5, 5)], { fromS: 0, toS: 100 }, 100, 100, 3);
  assert.deepEqual([block.x, block.width], [5, 3]);
});

test("a bar is as high as the loudest level that it covers", () => {
  const levels = Array.from({ length: 200 }, () => 0.0025);
  levels[30] = 0.25;
  const bars = drawing.barsOf(levels, 0, span(1, 3), { fromS: 0, toS: 10 }, 100, 5);
  assert.deepEqual(bars.map(({ x }) => x), [10, 15, 20, 25]);
  assert.deepEqual(bars.map(({ height }) => Number(height.toFixed(3))), [0.1, 1, 0.1, 0.1]);
});

test("where nobody has measured, and where it was quiet, there is no bar", () => {
  const levels = [NaN, NaN, 0.0001, 0.0001, 0.04, 0.04];
  const bars = drawing.barsOf(levels, 2, span(0, 4), { fromS: 0, toS: 4 }, 160, 4);
  assert.deepEqual(bars.map(({ atS }) => Number(atS.toFixed(2))), [2.2]);
});

test("a bar covers the same levels while the drawing moves", () => {
  const levels = Array.from({ length: 2000 }, (_, at) => (at % 7) / 30);
  const barsFrom = (fromS) => {
    const bars = drawing.barsOf(levels, 0, span(30, 60), { fromS, toS: fromS + 36 }, 300, 4);
    return bars.filter(({ atS }) => atS > 35 && atS < 55).map(({ atS, height }) => [atS, height]);
  };
  assert.ok(barsFrom(30).length > 30);
  assert.deepEqual(barsFrom(30), barsFrom(30.37));
});

test("a turn is found in its lane; an operator speaks in the agent's", () => {
  const turns = [
    span(0, 5, { who: "agent", rowKey: 1 }),
    span(4, 8, { who: "caller", rowKey: 2 }),
    span(9, null, { who: "operator", rowKey: 3 }),
  ];
  const rowAt = (lane, atS) => drawing.turnAt(turns, lane, atS, 12)?.rowKey ?? null;
  assert.equal(rowAt("agent", 4.5), 1);
  assert.equal(rowAt("caller", 4.5), 2);
  assert.equal(rowAt("agent", 11), 3);
  assert.equal(rowAt("agent", 13), null);
  assert.equal(rowAt("caller", 11), null);
});

test("a sentence tells what is drawn", () => {
  const turnsOf = (who, count) => Array.from({ length: count }, () => span(0, 1, { who }));
  const timeline = {
    turns: [...turnsOf("agent", 8), ...turnsOf("caller", 8)],
    interruptions: [29],
    tools: [1, 2, 3, 4].map((at) => span(at, at)),
    gaps: [span(66, 67, { why: "Reconnecting" })],
  };
  assert.equal(
    drawing.timelineWords(timeline),
    "Timeline: 8 turns by the agent, 8 by the caller, 1 interruption, 4 tool calls, 1 reconnect",
  );
  assert.equal(
    drawing.timelineWords({
      turns: [...turnsOf("agent", 1), ...turnsOf("operator", 2)],
      interruptions: [],
      tools: [],
      gaps: [span(1, 2, { why: "On hold" }), span(3, 4, { why: "On hold" })],
    }),
    "Timeline: 1 turn by the agent, 0 by the caller, 2 by an operator, 2 holds",
  );
});
