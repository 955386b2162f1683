import assert from "node:assert/strict";
import { test } from "node:test";

import { LevelBars, SAMPLE_MS, SHOWN_MS } from "../../evibridge/web/caller/level_bars.js";

const SLOTS = SHOWN_MS / SAMPLE_MS;

/** Bars that were given a level each 50 ms, from a time on. */
function filled(levels, fromMs = 1000) {
  const bars = new LevelBars();
  levels.forEach((level, index) => bars.add(fromMs + index * SAMPLE_MS, level, level / 2));
  return bars;
}

test("before anything was heard all bars are empty", () => {
  assert.deepEqual([...new LevelBars().heights("caller", 4)], [0, 0, 0, 0]);
});

test("the newest level is at the right", () => {
  const heights = filled([0, 0, 0.25]).heights("caller", SLOTS);
  assert.equal(heights[SLOTS - 1], 1);
  assert.equal(heights[SLOTS - 2], 0);
});

test("heights are square roots, and end at the lane's edge", () => {
  const heights = filled([0.0625, 1]).heights("caller", SLOTS);
  assert.equal(heights[SLOTS - 2], 0.5);
  assert.equal(heights[SLOTS - 1], 1);
});

test("each side has its own lane", () => {
  const heights = filled([0.125]).heights("agent", SLOTS);
  assert.equal(heights[SLOTS - 1], 0.5);
});

test("the noise of a quiet room is not drawn", () => {
  assert.equal(filled([0.0005]).heights("caller", SLOTS)[SLOTS - 1], 0);
});

test("what is older than twelve seconds is forgotten", () => {
  const bars = filled([0.25, ...Array(SLOTS).fill(0)]);
  assert.equal(Math.max(...bars.heights("caller", SLOTS)), 0);
});

test("times that were missed are empty, and so is all after a long pause", () => {
  const bars = filled([0.25]);
  bars.add(1000 + 3 * SAMPLE_MS, 0.25, 0);
  assert.deepEqual([...bars.heights("caller", SLOTS)].slice(-4), [1, 0, 0, 1]);
  bars.add(1000 + 2 * SHOWN_MS, 0.25, 0);
  const heights = [...bars.heights("caller", SLOTS)];
  assert.equal(heights.pop(), 1);
  assert.equal(Math.max(...heights), 0);
});

test("two levels of the same 50 ms are one, the louder", () => {
  const bars = filled([0.25]);
  bars.add(1001, 0, 0);
  assert.equal(bars.heights("caller", SLOTS)[SLOTS - 1], 1);
});

test("a clock that goes back begins anew", () => {
  const bars = filled([0.25, 0.25]);
  bars.add(0, 0, 0);
  assert.equal(Math.max(...bars.heights("caller", SLOTS)), 0);
});

test("a bar keeps its height while it moves to the left", () => {
  const count = SLOTS / 3;
  const levels = Array.from({ length: 60 }, (_, index) => 0.01 * (1 + (index % 7)));
  const bars = filled(levels.slice(0, 30), 0);
  const before = [...bars.heights("caller", count)].slice(-10);
  levels.slice(30).forEach((level, index) => bars.add((30 + index) * SAMPLE_MS, level, 0));
  const after = [...bars.heights("caller", count)];
  assert.deepEqual(after.slice(-20, -10), before);
});

test("any number of bars covers the same twelve seconds", () => {
  const bars = filled(Array(SLOTS).fill(0.25), 0);
  for (const count of [1, 7, 68, 84, SLOTS]) {
    assert.deepEqual(new Set(bars.heights("caller", count)), new Set([1]), `${count} bars`);
  }
});
