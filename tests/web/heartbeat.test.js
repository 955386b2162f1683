import assert from "node:assert/strict";
import { test } from "node:test";

import { DEAD_AFTER_S, Heartbeat, PING_EACH_S } from "../../evibridge/web/call/heartbeat.js";

test("a ping goes out at once, and then each 2 s", () => {
  const heartbeat = new Heartbeat();
  assert.equal(heartbeat.beat(0), "ping");
  heartbeat.received();
  assert.equal(heartbeat.beat(PING_EACH_S / 2), null);
  assert.equal(heartbeat.beat(PING_EACH_S), "ping");
});

test("a service that answers no ping is gone", () => {
  const heartbeat = new Heartbeat();
  heartbeat.beat(0);
  assert.equal(heartbeat.beat(DEAD_AFTER_S - 1), "ping");
  assert.equal(heartbeat.beat(DEAD_AFTER_S), "dead");
});

test("a page whose timers were stopped does not take its own silence for the service's", () => {
  const heartbeat = new Heartbeat();
  heartbeat.beat(0);
  heartbeat.received();
  assert.equal(heartbeat.beat(60), "ping");
});
