import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { MuteReport } from "../../evibridge/web/call/mute_report.js";

let report;
beforeEach(() => (report = new MuteReport()));

test("a microphone that is open, as the service takes it to be, is not told of", () => {
  assert.equal(report.tell(false), false);
  assert.equal(report.tellAgain(false), false);
});

test("each change is told once", () => {
  assert.deepEqual([true, true, false, false].map((isMuted) => report.tell(isMuted)), [true, false, true, false]);
});

test("one that was switched off before the connection was there is told of", () => {
  assert.equal(report.tellAgain(true), true);
});

test("what was told once is told again when it may not have come through", () => {
  report.tell(true);
  assert.equal(report.tellAgain(true), true);
  report.tell(false);
  assert.equal(report.tellAgain(false), true);
  assert.equal(report.tell(false), false);
});
