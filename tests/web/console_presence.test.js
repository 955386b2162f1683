import assert from "node:assert/strict";
import { test } from "node:test";

import { Presence } from "../../evibridge/web/console/presence.js";

const call = (call_id, taken_over_by = null) => ({ call_id, taken_over_by });
const CALLS = [call("a", "ada"), call("b", "sam"), call("c"), call("d", "ada")];

/** An operator named ada, and what the service is told of her. */
function present(fails = false) {
  const told = [];
  const presence = new Presence(async (callId) => {
    told.push(callId);
    if (fails) throw new Error("gone");
  });
  return { told, tick: (now, calls = CALLS) => presence.tick(calls, "ada", now) };
}

test("the calls that she has are told at once, and then three times a minute", () => {
  const { told, tick } = present();
  for (let now = 0; now < 60000; now += 1000) tick(now);
  assert.deepEqual(told, ["a", "d", "a", "d", "a", "d"]);
});

test("the calls of others are theirs", () => {
  const { told, tick } = present();
  tick(0, [call("b", "sam"), call("c")]);
  assert.deepEqual(told, []);
});

test("what failed is told again", async () => {
  const { told, tick } = present(true);
  tick(0, [CALLS[0]]);
  await Promise.resolve();
  tick(20000, [CALLS[0]]);
  assert.deepEqual(told, ["a", "a"]);
});
