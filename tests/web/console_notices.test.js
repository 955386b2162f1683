import assert from "node:assert/strict";
import { test } from "node:test";

import { noticeOf } from "../../evibridge/web/console/notices.js";
import { reasonOf } from "../../evibridge/web/console/sign_in.js";
import { figuresOf } from "../../evibridge/web/console/vitals.js";

const NOW = new Date(2026, 10, 28, 14, 32, 20).getTime();
const SERVICE = {
  operator: { name: "ada", scope: "control" },
  lines: 8,
  max_lines: 40,
  is_draining: false,
  stops_at: null,
  response_p95_ms: 1210,
  calls_since: 212,
};
const FINE = { stoppedAt: null, callStoppedAt: null, retryAt: null, service: SERVICE, skipped: 0, skippedAt: 0 };
const reader = { ...SERVICE, operator: { name: "wall", scope: "read" } };
const draining = { ...reader, is_draining: true, stops_at: new Date(NOW + 250_000).toISOString() };

const words = (state, now = NOW) => {
  const notice = noticeOf({ ...FINE, ...state }, now);
  return notice && `${notice.fact} ${notice.rest}`;
};

test("nothing is said while all is well", () => {
  assert.equal(noticeOf(FINE, NOW), null);
  assert.equal(noticeOf({ ...FINE, service: null }, NOW), null);
});

test("a live view that has stopped says since when, what goes on, and when it is tried again", () => {
  const state = { stoppedAt: NOW - 12_000, retryAt: NOW + 2_400 };
  assert.equal(
    words(state),
    "Live view stopped at 14:32:08. Calls go on without it. Trying again in 3 s.",
  );
  const { action, isBad } = noticeOf({ ...FINE, ...state }, NOW);
  assert.deepEqual([action, isBad], [{ name: "retry", label: "Try now" }, true]);
});

test("while it is being tried there is no countdown", () => {
  const expected = "Live view stopped at 14:32:08. Calls go on without it. Trying again.";
  assert.equal(words({ stoppedAt: NOW - 12_000, retryAt: null }), expected);
  assert.equal(words({ stoppedAt: NOW - 12_000, retryAt: NOW - 1 }), expected);
});

test("a server that ends says so, and how long its calls have at most", () => {
  assert.equal(
    words({ service: draining }),
    "This server takes no new calls. It stops when the last call ends, at the latest in 4:10.",
  );
  assert.equal(noticeOf({ ...FINE, service: draining }, NOW).action, undefined);
  assert.match(words({ service: draining }, NOW + 300_000), /at the latest in 0:00\.$/);
  assert.match(words({ service: { ...draining, stops_at: null } }), /when the last call ends\.$/);
});

test("who may only watch is told, and what to do about it", () => {
  assert.equal(
    words({ service: reader }),
    "You can watch, not act. Sign in with a control token to use the buttons.",
  );
  assert.equal(noticeOf({ ...FINE, service: reader }, NOW).action.label, "Change token");
});

test("skipped updates are counted, for ten seconds", () => {
  const state = { skipped: 40, skippedAt: NOW };
  assert.match(words(state), /^40 updates were skipped\./);
  assert.match(words({ ...state, skipped: 1 }), /^1 update was skipped\./);
  assert.match(words(state, NOW + 9_999), /skipped/);
  assert.equal(words(state, NOW + 10_000), null);
});

test("the most urgent one is said", () => {
  const all = { stoppedAt: NOW, retryAt: null, service: draining, skipped: 4, skippedAt: NOW };
  assert.match(words(all), /^Live view stopped/);
  assert.match(words({ ...all, stoppedAt: null }), /^This server takes no new calls/);
  assert.match(words({ ...all, stoppedAt: null, service: reader }), /^4 updates/);
  assert.match(words({ ...all, stoppedAt: null, service: reader, skipped: 0 }), /^You can watch/);
});

test("the figures of the service are told in a few words", () => {
  assert.deepEqual(figuresOf(SERVICE), ["8 of 40", "1.21 s", "212 calls"]);
  assert.deepEqual(figuresOf({ ...SERVICE, response_p95_ms: 620, calls_since: 1 }), [
    "8 of 40",
    "620 ms",
    "1 call",
  ]);
});

test("figures that nobody knows are left out", () => {
  assert.deepEqual(figuresOf({ ...SERVICE, response_p95_ms: null, calls_since: null }), [
    "8 of 40",
    null,
    null,
  ]);
});

test("who is asked for a token for the first time has done nothing wrong", () => {
  const unauthorized = { status: 401, message: "Show a token." };
  assert.equal(reasonOf(unauthorized, null), "");
  assert.match(reasonOf(unauthorized, "wrong"), /^This token is not valid\./);
});

test("for another reason not to let somebody in, the server has the word", () => {
  const message = "The server cannot be reached. Check that it runs.";
  assert.equal(reasonOf({ status: 0, message }, "any"), message);
  assert.equal(reasonOf({ status: 403, message: "Only from this machine." }, null), "Only from this machine.");
});

test("a transcript that has stopped for more than a moment says so, if the list goes on", () => {
  assert.equal(words({ callStoppedAt: NOW - 1900 }), null);
  const expected = "This transcript stopped at 14:32:08. The call goes on without it. Trying again.";
  assert.equal(words({ callStoppedAt: NOW - 12_000 }), expected);
  assert.match(words({ callStoppedAt: NOW - 12_000, stoppedAt: NOW - 9000 }), /^Live view stopped/);
});

test("a call that one has and does not see is not forgotten", () => {
  const mine = { caller: "Margaret Ellis", kind: "phone", call_id: "c1" };
  assert.equal(words({ mine }), "Margaret Ellis is with you. The agent is silent.");
  assert.equal(noticeOf({ ...FINE, mine }, NOW).action.name, "open");
});
