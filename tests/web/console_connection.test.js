import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";

import { ServerClock } from "../../evibridge/web/console/server_clock.js";
import { ServiceWatch } from "../../evibridge/web/console/service_watch.js";
import { forgetToken, keepToken, readToken } from "../../evibridge/web/console/token_store.js";

const T0 = Date.parse("2026-11-28T09:00:00.000Z");
const moment = (ms) => new Date(T0 + ms).toISOString();

afterEach(() => {
  mock.timers.reset();
  delete globalThis.sessionStorage;
});

test("the clock is that of this computer until the server is heard", () => {
  let steady = 500;
  const clock = new ServerClock(() => steady, T0 - 3_600_000);
  steady += 1000;
  assert.equal(clock.now(), T0 - 3_599_000);
  clock.heard(moment(0));
  steady += 250;
  assert.equal(clock.now(), T0 + 250);
});

test("a message that was long on its way, or is told again, does not put the clock back", () => {
  let steady = 0;
  const clock = new ServerClock(() => steady);
  clock.heard(moment(0));
  steady = 1000;
  clock.heard(moment(400));
  clock.heard("never");
  assert.equal(clock.now(), T0 + 1000);
  steady = 70_000;
  clock.heard(moment(0));
  assert.equal(clock.now(), T0 + 70_000);
});

test("a server whose clock was put back is believed after two minutes", () => {
  let steady = 0;
  const clock = new ServerClock(() => steady);
  for (; steady <= 180_000; steady += 10_000) clock.heard(moment(steady - (steady > 0 ? 3_600_000 : 0)));
  assert.equal(clock.now(), T0 + steady - 3_600_000);
});

test("a token is kept in the tab, and forgotten", () => {
  const kept = new Map();
  globalThis.sessionStorage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
    removeItem: (key) => kept.delete(key),
  };
  assert.equal(readToken(), null);
  keepToken("secret");
  assert.deepEqual([...kept], [["evibridge.operator", "secret"]]);
  assert.equal(readToken(), "secret");
  forgetToken();
  assert.deepEqual([readToken(), kept.size], [null, 0]);
});

test("a browser that keeps nothing keeps the token as long as the page", () => {
  const refuse = () => {
    throw new Error("forbidden");
  };
  globalThis.sessionStorage = { getItem: refuse, setItem: refuse, removeItem: refuse };
  keepToken("secret");
  assert.equal(readToken(), "secret");
  forgetToken();
  assert.equal(readToken(), null);
});

/** Let what is due of promises happen. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

function watched() {
  mock.timers.enable({ apis: ["setTimeout"] });
  const seen = { questions: [], changes: 0, answers: [] };
  const api = {
    service: (since) => {
      seen.questions.push(since);
      return new Promise((resolve, reject) => seen.answers.push({ resolve, reject }));
    },
  };
  const watch = new ServiceWatch({
    api,
    clock: { now: () => T0, heard: (at) => (seen.heard = at) },
    onChange: () => (seen.changes += 1),
  });
  return { watch, seen };
}

test("the service is asked at once, and ten seconds after each answer", async () => {
  const { watch, seen } = watched();
  void watch.start();
  seen.answers[0].resolve({ at: moment(5), lines: 3 });
  await settled();
  assert.deepEqual([watch.service.lines, watch.isStale, seen.changes, seen.heard], [3, false, 1, moment(5)]);
  mock.timers.tick(9999);
  assert.equal(seen.questions.length, 1);
  mock.timers.tick(1);
  assert.equal(seen.questions.length, 2);
  const began = new Date(seen.questions[1]);
  assert.deepEqual([began.getHours(), began.getMinutes(), began.getDate()], [0, 0, new Date(T0).getDate()]);
});

test("without an answer what is known is stale, and it is asked again", async () => {
  const { watch, seen } = watched();
  void watch.start();
  seen.answers[0].resolve({ at: moment(0), lines: 3 });
  await settled();
  mock.timers.tick(10_000);
  seen.answers[1].reject(new Error("gone"));
  await settled();
  assert.deepEqual([watch.service.lines, watch.isStale, seen.changes], [3, true, 2]);
  mock.timers.tick(10_000);
  seen.answers[2].resolve({ at: moment(9), lines: 4 });
  await settled();
  assert.deepEqual([watch.service.lines, watch.isStale], [4, false]);
});

test("there is one question at a time, and one more for all that come meanwhile", async () => {
  const { watch, seen } = watched();
  void watch.start();
  void watch.refresh();
  void watch.refresh();
  assert.equal(seen.questions.length, 1);
  seen.answers[0].resolve({ at: moment(0) });
  await settled();
  assert.equal(seen.questions.length, 2);
  seen.answers[1].resolve({ at: moment(0) });
  await settled();
  assert.equal(seen.questions.length, 2);
});

test("after it was stopped nothing is asked or told", async () => {
  const { watch, seen } = watched();
  void watch.start();
  watch.stop();
  seen.answers[0].resolve({ at: moment(0) });
  await settled();
  mock.timers.tick(60_000);
  await watch.refresh();
  assert.deepEqual([seen.changes, seen.questions.length, watch.service], [0, 1, null]);
});
