import assert from "node:assert/strict";
import { test } from "node:test";

import { DELAYS_S, JITTER, LIVED_S, ReconnectSchedule } from "../../evibridge/web/call/reconnect.js";

const RESUME_S = 20;

test("the waits grow, and then stay as they are", () => {
  const schedule = new ReconnectSchedule(() => 0);
  schedule.lost(100, RESUME_S);
  assert.deepEqual(Array.from({ length: 6 }, () => schedule.next(100)), [...DELAYS_S, 2, 2]);
});

test("callers who were lost together come back apart", () => {
  const schedule = new ReconnectSchedule(() => 1);
  schedule.lost(0, RESUME_S);
  assert.equal(schedule.next(0), DELAYS_S[0] * (1 + JITTER));
});

test("there is no try that would come when the service has given up the call", () => {
  const schedule = new ReconnectSchedule(() => 0);
  schedule.lost(0, RESUME_S);
  assert.equal(schedule.next(RESUME_S - DELAYS_S[0]), DELAYS_S[0]);
  assert.equal(schedule.next(RESUME_S - DELAYS_S[0]), null);
});

test("a service that asks for time is given it", () => {
  const schedule = new ReconnectSchedule(() => 0);
  schedule.lost(0, RESUME_S);
  assert.equal(schedule.next(0, 5), 5);
  assert.equal(schedule.next(5, 0.1), DELAYS_S[1]);
  assert.equal(schedule.next(6, RESUME_S), null);
});

test("after a connection that lived the waits begin anew", () => {
  const schedule = new ReconnectSchedule(() => 0);
  schedule.connected(0);
  schedule.lost(100, RESUME_S);
  schedule.next(100);
  schedule.next(100);
  schedule.connected(101);
  schedule.lost(101 + LIVED_S, RESUME_S);
  assert.equal(schedule.next(101 + LIVED_S), DELAYS_S[0]);
});

test("connections that break at once do not come in a storm", () => {
  const schedule = new ReconnectSchedule(() => 0);
  const waits = [];
  for (let nowS = 0; waits.length < DELAYS_S.length; ) {
    schedule.lost(nowS, RESUME_S);
    const delayS = schedule.next(nowS);
    waits.push(delayS);
    nowS += delayS;
    schedule.connected(nowS);
  }
  assert.deepEqual(waits, DELAYS_S);
});
