import assert from "node:assert/strict";
import { test } from "node:test";

import { blocksOf, lanesOf, MINUTE_S, minuteOf } from "../../evibridge/web/console/activity_strip.js";

const SILENCE = new Array(MINUTE_S).fill(0);
const spokeAt = (second, share) => SILENCE.map((none, index) => (index === second ? share : none));
const minute = (caller, agent, ratio = 1) =>
  lanesOf(minuteOf({ caller, agent }), MINUTE_S, 168 * ratio, 28 * ratio, ratio);

test("nobody has a bar in a second in which he was silent", () => {
  assert.deepEqual(minute(SILENCE, SILENCE), { caller: [], agent: [] });
});

test("the caller stands above the middle, the agent below it", () => {
  for (const ratio of [1, 1.25, 2]) {
    const { caller: [above], agent: [below] } = minute(spokeAt(0, 1), spokeAt(0, 1), ratio);
    const middle = Math.round(14 * ratio);
    assert.ok(above[1] >= 0 && above[1] + above[3] < middle, `${above} at ${ratio}`);
    assert.ok(below[1] > middle && below[1] + below[3] <= 28 * ratio, `${below} at ${ratio}`);
    assert.ok(above.concat(below).every(Number.isInteger));
  }
});

test("who spoke longer in a second has a longer bar, and a short word can be seen", () => {
  const [word] = minute(spokeAt(9, 0.01), SILENCE).caller;
  const [half] = minute(spokeAt(9, 0.5), SILENCE).caller;
  const [full] = minute(spokeAt(9, 1), SILENCE).caller;
  assert.ok(word[3] >= 1 && word[3] < half[3] && half[3] < full[3]);
});

test("the newest second stands at the right end", () => {
  const [[x, , width]] = minute(spokeAt(59, 1), SILENCE).caller;
  assert.ok(x > 160 && x + width <= 168);
});

test("blocks of a call stand where they were spoken, and none reaches out of it", () => {
  const voices = { caller: [[0, 5], [9.9, 30]], agent: [[5, 5.01], [10, 10]] };
  const { caller, agent } = lanesOf(blocksOf(voices), 10, 100, 24, 1);
  assert.deepEqual(caller.map(([x, , width]) => [x, width]), [[0, 50], [99, 1]]);
  assert.deepEqual(agent.map(([x, , width]) => [x, width]), [[50, 1], [99, 1]]);
});

test("a call that lasted no time is drawn", () => {
  const { caller } = lanesOf(blocksOf({ caller: [[0, 0]], agent: [] }), 0, 100, 24, 1);
  assert.deepEqual(caller.map(([x, , width]) => [x, width]), [[0, 1]]);
});
