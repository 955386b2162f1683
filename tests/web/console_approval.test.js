import assert from "node:assert/strict";
import { test } from "node:test";

import { askWords, decisionWords } from "../../evibridge/web/console/approval_view.js";

const waiting = (more = {}) => ({
  toolCallId: "t1",
  name: "refund_order",
  parameters: '{"order_id": "HB-10482"}',
  expiresAt: 60_000,
  timeoutS: 60,
  ...more,
});

test("it tells how much time is left, and what happens then", () => {
  assert.equal(askWords(waiting(), 16_000).left, "44 s left, then declined");
  assert.equal(askWords(waiting(), 59_900).left, "1 s left, then declined");
  assert.equal(askWords(waiting(), 75_000).left, "0 s left, then declined");
  assert.equal(askWords(waiting({ expiresAt: 300_000 }), 16_000).left, "4:44 left, then declined");
});

test("it tells how many others wait", () => {
  assert.equal(askWords(waiting(), 0, 1).more, "");
  assert.equal(askWords(waiting(), 0, 2).more, "1 more waits");
  assert.equal(askWords(waiting(), 0, 3).more, "2 more wait");
});

test("arguments stand in one line, and long ones are cut where one can ask for all", () => {
  const short = askWords(waiting({ parameters: '{\n  "a": 1,\n  "b": "two  words"\n}' }), 0);
  assert.equal(short.shown, '{ "a": 1, "b": "two  words" }');
  assert.equal(short.isCut, false);
  const long = askWords(waiting({ parameters: `{"a": "${"x".repeat(400)}"}` }), 0);
  assert.equal(long.isCut, true);
  assert.equal(long.shown, `${long.whole.slice(0, 300)}…`);
  assert.equal(long.whole.length, 409);
  assert.equal(askWords(waiting({ parameters: "x".repeat(300) }), 0).isCut, false);
});

test("others see who was quicker, and with which tool", () => {
  const decision = { name: "refund_order", isApproved: true, by: "Sam" };
  assert.equal(decisionWords(decision), "Approved by Sam: refund_order");
  assert.equal(decisionWords({ ...decision, isApproved: false }), "Declined by Sam: refund_order");
});
