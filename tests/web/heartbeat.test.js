import assert from "node:assert/strict";
import { test } from "node:test";

import { DEAD_AFTER_S, Heartbeat, PING_EACH_S } from "../../evibridge/web/call/heartbeat.js";

test("a ping goes out at once, and then each second", () => {
  const heartbeat = new Heartbeat(0);
  assert.equal(heartbeat.beat(0), "ping");
  heartbeat.received(0);
  assert.equal(heartbeat.beat(PING_EACH_S / 2), null);
  assert.equal(heartbeat.beat(PING_EACH_S), "ping");
});

test("a timer that comes a little early is no reason to leave a ping out", () => {
  const heartbeat = new Heartbeat(0);
  heartbeat.beat(0);
  heartbeat.received(0);
  assert.equal(heartbeat.beat(PING_EACH_S - 0.05), "ping");
});

test("a service from which nothing comes for 4 s is gone", () => {
  const heartbeat = new Heartbeat(0);
  heartbeat.received(10.2);
  heartbeat.beat(11);
  assert.equal(heartbeat.beat(14.1), "ping");
  assert.equal(heartbeat.beat(10.2 + DEAD_AFTER_S), "dead");
});

test("a page whose timers were stopped does not take its own silence for the service's", () => {
  const heartbeat = new Heartbeat(0);
  heartbeat.beat(0);
  heartbeat.received(0);
  assert.equal(heartbeat.beat(60), "ping");
  assert.notEqual(heartbeat.beat(60 + DEAD_AFTER_S - PING_EACH_S - 0.1), "dead");
  assert.equal(heartbeat.beat(60 + DEAD_AFTER_S - PING_EACH_S), "dead");
});
