import assert from "node:assert/strict";
import { test } from "node:test";

import { whenOf } from "../../evibridge/web/console/history_table.js";

const localMoment = (...parts) => new Date(...parts).toISOString();
const NOW = new Date(2026, 10, 28, 15, 0);

test("within today the clock alone is told", () => {
  assert.equal(whenOf(localMoment(2026, 10, 28, 0, 5), NOW), "00:05");
});

test("before today the day is told as well", () => {
  const yesterday = whenOf(localMoment(2026, 10, 27, 23, 59), NOW);
  assert.match(yesterday, /27/);
  assert.match(yesterday, /23.59/);
});
