import assert from "node:assert/strict";
import { test } from "node:test";

import { Presence } from "../../evibridge/web/console/presence.js";

const call = (call_id, taken_over_by = null) => ({ call_id, taken_over_by });

/** A page of an operator named ada, and what the service is told of her. */
function present({ calls = [], fails = false } = {}) {
  const told = [];
  const live = { calls };
  const tell = async (callId) => {
    told.push(callId);
    if (fails) throw new Error("The call is not taken over.");
  };
  const presence = new Presence({ tell, live: () => live.calls });
  /** Seconds pass; looks are taken as often as messages come. */
  const pass = (from, to) => {
    for (let now = from * 1000; now < to * 1000; now += 100) presence.tick("ada", now);
  };
  return { presence, told, live, pass };
}

test("a call that is taken over here is told after twenty seconds, and three times a minute", () => {
  const { presence, told, live, pass } = present();
  pass(0, 10);
  presence.took("a", 10_000);
  live.calls = [call("a", "ada"), call("b", "sam"), call("c")];
  pass(10, 30);
  assert.deepEqual(told, []);
  pass(30, 90);
  assert.deepEqual(told, ["a", "a", "a"]);
});

test("a page that is loaded anew keeps the calls of its operator, and tells so at once", () => {
  const { told, pass } = present({ calls: [call("a", "ada"), call("b", "sam"), call("d", "ada")] });
  pass(0, 21);
  assert.deepEqual(told, ["a", "d", "a", "d"]);
});

test("a page that was forgotten keeps no call that its operator takes over elsewhere", () => {
  const { told, live, pass } = present();
  pass(0, 5);
  live.calls = [call("a", "ada")];
  pass(5, 90);
  assert.deepEqual(told, []);
});

test("a call that was handed back is told no more", () => {
  const { told, live, pass } = present({ calls: [call("a", "ada")] });
  pass(0, 1);
  live.calls = [call("a")];
  pass(1, 90);
  assert.deepEqual(told, ["a"]);
});

test("what was refused is told again in its time, and to nobody else", async () => {
  const { told, pass } = present({ calls: [call("a", "ada")], fails: true });
  pass(0, 1);
  await Promise.resolve();
  pass(1, 21);
  assert.deepEqual(told, ["a", "a"]);
});
