import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { unlessAborted, waitOrEvent } from "../../evibridge/web/call/waiting.js";

const never = new Promise(() => {});

test("what is not broken off settles as it would", async () => {
  const { signal } = new AbortController();
  assert.equal(await unlessAborted(Promise.resolve(7), signal), 7);
  await assert.rejects(unlessAborted(Promise.reject(new Error("no")), signal), /no/);
});

test("what is broken off rejects with the reason, before or after it began", async () => {
  const breaker = new AbortController();
  const wait = unlessAborted(never, breaker.signal);
  breaker.abort(new Error("enough"));
  await assert.rejects(wait, /enough/);
  await assert.rejects(unlessAborted(never, breaker.signal), /enough/);
});

test("a wait ends with its time, with its event, or when it is cancelled", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const target = new EventTarget();
  const inTime = waitOrEvent(2, target, "online");
  mock.timers.tick(2000);
  await inTime;
  const sooner = waitOrEvent(2, target, "online");
  target.dispatchEvent(new Event("online"));
  await sooner;
  const cancelled = waitOrEvent(2, target, "online");
  cancelled.cancel();
  await cancelled;
  mock.timers.reset();
});
