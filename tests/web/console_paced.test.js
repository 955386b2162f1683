import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { paced } from "../../evibridge/web/console/paced.js";

const real = { setTimeout: globalThis.setTimeout, performance: globalThis.performance };
let now;
let timers;
let frames;

beforeEach(() => {
  now = 5000;
  timers = [];
  frames = [];
  globalThis.performance = { now: () => now };
  globalThis.setTimeout = (run, waitMs) => timers.push({ run, at: now + Math.max(0, waitMs) });
  globalThis.requestAnimationFrame = (draw) => frames.push(draw);
});

afterEach(() => {
  Object.assign(globalThis, real);
  delete globalThis.requestAnimationFrame;
});

/** Let time pass; while the tab is hidden there are no frames. */
function pass(ms, { isHidden = false } = {}) {
  for (const until = now + ms; now < until; now += 10) {
    for (const timer of timers.filter(({ at }) => at <= now)) {
      timers.splice(timers.indexOf(timer), 1);
      timer.run();
    }
    if (!isHidden) for (const draw of frames.splice(0)) draw();
  }
}

test("what is asked for is drawn soon, and once", () => {
  const drawn = [];
  const ask = paced(() => drawn.push(now), 1000);
  ask();
  ask();
  pass(50);
  assert.equal(drawn.length, 1);
  assert.ok(drawn[0] - 5000 <= 20);
});

test("however often it is asked for, so much time lies between two drawings, and the last is drawn", () => {
  const drawn = [];
  const ask = paced(() => drawn.push(now), 1000);
  for (let count = 0; count < 250; count += 1) {
    ask();
    pass(10);
  }
  pass(2000);
  assert.equal(drawn.length, 4);
  assert.ok(drawn.slice(1).every((at, index) => at - drawn[index] >= 1000), `${drawn}`);
});

test("nothing is drawn unless it is asked for", () => {
  const drawn = [];
  paced(() => drawn.push(now), 100);
  pass(1000);
  assert.equal(drawn.length, 0);
});

test("a hidden tab draws nothing, and once when it is seen again", () => {
  const drawn = [];
  const ask = paced(() => drawn.push(now), 100);
  for (let count = 0; count < 20; count += 1) {
    ask();
    pass(50, { isHidden: true });
  }
  assert.equal(drawn.length, 0);
  pass(50);
  assert.equal(drawn.length, 1);
});
