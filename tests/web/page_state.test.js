import assert from "node:assert/strict";
import { test } from "node:test";

import {
  after,
  ESCAPE_MS,
  escapeEnds,
  IDLE,
  MAX_RETRIES,
  NOTICE_MS,
  RETRY_S,
  retryIsDue,
} from "../../evibridge/web/caller/page_state.js";

const BEGIN = { type: "begin", microphone: true };
const WELCOME = { type: "welcome" };
const LOST = { type: "state", state: "reconnecting" };
const OVER = { type: "state", state: "ended" };

/** The state after some events, a second apart. */
function afterAll(...events) {
  return events.reduce((state, event, index) => after(state, event, index * 1000), IDLE);
}

test("a call is connecting, then there", () => {
  assert.equal(afterAll(BEGIN).phase, "connecting");
  const state = afterAll(BEGIN, WELCOME);
  assert.equal(state.phase, "call");
  assert.equal(state.beganMs, 1000);
});

test("a call that comes back does not begin again", () => {
  const state = afterAll(BEGIN, WELCOME, WELCOME);
  assert.equal(state.beganMs, 1000);
});

test("a call cannot begin twice", () => {
  for (const events of [[BEGIN], [BEGIN, WELCOME]]) {
    const state = afterAll(...events);
    assert.equal(after(state, { type: "begin", microphone: false }, 9), state);
  }
});

test("a caller who types begins with the field open and without a microphone", () => {
  const state = afterAll({ type: "begin", microphone: false });
  assert.equal(state.isTyping, true);
  assert.equal(state.hasMicrophone, false);
});

test("a caller who types may use the microphone later", () => {
  const state = afterAll({ type: "begin", microphone: false }, WELCOME, {
    type: "microphone_on",
    muted: false,
  });
  assert.equal(state.hasMicrophone, true);
});

test("another microphone is as muted as the one before", () => {
  const muted = afterAll(BEGIN, WELCOME, { type: "muted", muted: true });
  assert.equal(after(muted, { type: "microphone_on", muted: true }, 0), muted);
});

test("connecting can be given up", () => {
  assert.deepEqual(afterAll(BEGIN, { type: "cancel" }), IDLE);
});

test("what fails after it was given up is not shown", () => {
  const failed = { type: "failed", code: "unreachable", message: "Nobody." };
  assert.deepEqual(afterAll(BEGIN, { type: "cancel" }, failed), IDLE);
});

test("what the service says changes the state of a call", () => {
  const call = afterAll(BEGIN, WELCOME);
  for (const [event, name, value] of [
    [{ type: "speaking", speaking: true }, "isSpeaking", true],
    [{ type: "muted", muted: true }, "isMuted", true],
    [{ type: "paused", by: "you" }, "pausedBy", "you"],
    [{ type: "paused", by: "operator" }, "pausedBy", "operator"],
    [{ type: "held" }, "isHeld", true],
    [{ type: "away" }, "isAway", true],
    [{ type: "ending", reason: "max_duration" }, "isEnding", true],
    [{ type: "type_toggled" }, "isTyping", true],
    [LOST, "isLinked", false],
  ]) {
    assert.equal(after(call, event, 0)[name], value, event.type);
    assert.equal(after(IDLE, event, 0), IDLE, "nothing outside of a call");
  }
});

test("what the service takes back is over", () => {
  for (const [begins, ends] of [
    [{ type: "paused", by: "you" }, { type: "resumed" }],
    [{ type: "held" }, { type: "released" }],
    [{ type: "away" }, { type: "ready" }],
    [{ type: "muted", muted: true }, { type: "muted", muted: false }],
    [LOST, { type: "state", state: "connected" }],
    [{ type: "type_toggled" }, { type: "type_toggled" }],
  ]) {
    const call = afterAll(BEGIN, WELCOME);
    assert.deepEqual(after(after(call, begins, 0), ends, 0), call, begins.type);
  }
});

test("what is not known changes nothing", () => {
  const call = afterAll(BEGIN, WELCOME);
  for (const type of ["pong", "toString", "__proto__", "constructor"]) {
    assert.equal(after(call, { type }, 0), call);
  }
  assert.equal(after(call, { type: "state", state: "idle" }, 0), call);
});

test("tools run side by side", () => {
  const first = { type: "tool", id: "1", state: "running", words: "One moment." };
  const second = { type: "tool", id: "2", state: "running" };
  const both = afterAll(BEGIN, WELCOME, first, second);
  assert.deepEqual(both.tools, [
    { id: "1", words: "One moment." },
    { id: "2", words: "" },
  ]);
  const one = after(both, { type: "tool", id: "1", state: "done" }, 0);
  assert.deepEqual(one.tools, [{ id: "2", words: "" }]);
  assert.equal(after(one, { type: "tool", id: "1", state: "failed" }, 0), one);
});

test("the one who ends the call is told so, whatever the service says after it", () => {
  const left = afterAll(BEGIN, WELCOME, { type: "leave" });
  assert.equal(left.phase, "ended");
  assert.deepEqual(left.ending, { reason: "caller_hung_up", sentence: "", seconds: 1 });
  const late = { type: "ended", reason: "fault", sentence: "A fault.", seconds: 3 };
  assert.equal(after(left, late, 0), left);
});

test("the end that the service tells has its sentence, before the connection ends or after", () => {
  const ended = { type: "ended", reason: "inactivity", sentence: "Nobody spoke.", seconds: 9 };
  for (const events of [
    [ended, OVER],
    [OVER, ended],
  ]) {
    const state = afterAll(BEGIN, WELCOME, ...events);
    assert.equal(state.phase, "ended");
    assert.equal(state.ending.sentence, "Nobody spoke.");
  }
});

test("a connection that does not come back is lost", () => {
  const error = { type: "error", code: "connection_lost", message: "Lost." };
  assert.equal(afterAll(BEGIN, WELCOME, LOST, OVER).ending.reason, "caller_lost");
  assert.equal(afterAll(BEGIN, WELCOME, error, OVER).ending.reason, "caller_lost");
});

test("a call that ended meanwhile was not lost", () => {
  const error = { type: "error", code: "call_is_over", message: "It is over." };
  const state = afterAll(BEGIN, WELCOME, LOST, error, OVER);
  assert.deepEqual(state.ending, { reason: "", sentence: "It is over.", seconds: 3 });
});

test("an end without a call is none", () => {
  assert.equal(after(IDLE, { type: "ended", reason: "fault" }, 0), IDLE);
  assert.equal(after(IDLE, { type: "leave" }, 0), IDLE);
});

test("what goes wrong in a call that goes on is an alarm until it is well again", () => {
  const call = afterAll(BEGIN, WELCOME);
  for (const [code, proof] of [
    ["microphone_lost", { type: "microphone_on", muted: false }],
    ["sound_blocked", { type: "speaking", speaking: true }],
  ]) {
    const alarmed = after(call, { type: "error", code, message: "Oh." }, 0);
    assert.deepEqual(alarmed.alarm, { code, message: "Oh." });
    assert.equal(after(alarmed, { type: "speaking", speaking: false }, 0).alarm, alarmed.alarm);
    assert.equal(after(alarmed, proof, 0).alarm, null);
  }
});

test("a refusal is shown for a while", () => {
  const state = afterAll(BEGIN, WELCOME, { type: "refused", code: "x", message: "Not now." });
  assert.equal(state.notice, "Not now.");
  assert.equal(state.noticeUntilMs, 2000 + NOTICE_MS);
});

test("who finds all lines busy is tried again when the service says", () => {
  for (const code of ["service_full", "draining"]) {
    const state = afterAll(BEGIN, { type: "failed", code, message: "", retryAfterS: 24 });
    assert.equal(state.retryMs, 25_000);
    assert.equal(retryIsDue(state, 24_999), false);
    assert.equal(retryIsDue(state, 25_000), true);
  }
  const silent = afterAll(BEGIN, { type: "failed", code: "service_full", message: "" });
  assert.equal(silent.retryMs, 1000 + RETRY_S * 1000);
  const hasty = { type: "failed", code: "service_full", message: "", retryAfterS: 0 };
  assert.equal(afterAll(BEGIN, hasty).retryMs, 2000);
});

test("a page that nobody looks at does not try for ever", () => {
  const failed = { type: "failed", code: "service_full", message: "" };
  let state = afterAll(BEGIN, failed);
  let tries = 0;
  while (retryIsDue(state, Infinity)) {
    state = after(state, { type: "begin", microphone: true, isRetry: true }, 0);
    state = after(state, failed, 0);
    tries += 1;
  }
  assert.equal(tries, MAX_RETRIES);
  const again = after(after(state, BEGIN, 0), failed, 0);
  assert.equal(retryIsDue(again, Infinity), true);
});

test("other failures wait for the caller", () => {
  const state = afterAll(BEGIN, { type: "failed", code: "microphone_refused", message: "No." });
  assert.deepEqual(state.problem, { code: "microphone_refused", message: "No." });
  assert.equal(retryIsDue(state, Infinity), false);
});

test("Escape ends a call when it is pressed twice within two seconds", () => {
  const state = after(afterAll(BEGIN, WELCOME), { type: "escape" }, 5000);
  assert.equal(escapeEnds(afterAll(BEGIN, WELCOME), 5000), false);
  assert.equal(escapeEnds(state, 5000 + ESCAPE_MS - 1), true);
  assert.equal(escapeEnds(state, 5000 + ESCAPE_MS), false);
});

test("another call begins with nothing of the one before, but an open panel stays open", () => {
  const events = [BEGIN, WELCOME, { type: "muted", muted: true }, { type: "leave" }];
  const state = afterAll(...events, { type: "sound_toggled" }, BEGIN);
  assert.deepEqual(state, { ...IDLE, phase: "connecting", soundIsOpen: true });
});

test("the conversation can be read after its end", () => {
  const lines = { type: "lines", count: 2, hasExpression: true };
  const state = afterAll(BEGIN, WELCOME, lines, { type: "leave" }, { type: "reading_toggled" });
  assert.equal(state.hasLines, true);
  assert.equal(state.hasExpression, true);
  assert.equal(state.isReading, true);
});

test("an event that changes nothing leaves the very same state", () => {
  const call = afterAll(BEGIN, WELCOME);
  assert.equal(after(call, { type: "resumed" }, 9), call);
  assert.equal(after(call, { type: "lines", count: 0, hasExpression: false }, 9), call);
});
