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
const READY = { type: "ready", seq: 1 };
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

test("an agent that is heard is there, whatever was told of it", () => {
  const connected = afterAll(BEGIN, WELCOME);
  assert.equal(connected.isReady, false);
  assert.equal(after(connected, READY, 0).isReady, true);
  assert.equal(after(connected, { type: "speaking", speaking: false }, 0).isReady, false);
  assert.equal(after(connected, { type: "speaking", speaking: true }, 0).isReady, true);
});

test("that the browser asks for the microphone is over with its answer", () => {
  const prompted = { type: "prompted" };
  assert.equal(after(IDLE, prompted, 0), IDLE);
  for (const [before, answer] of [
    [BEGIN, { type: "microphone_open" }],
    [BEGIN, WELCOME],
    [BEGIN, { type: "failed", code: "microphone_refused", message: "No." }],
  ]) {
    const asking = afterAll(before, prompted);
    assert.equal(asking.isPrompting, true);
    assert.equal(after(asking, answer, 0).isPrompting, false, answer.type);
  }
  const inCall = afterAll({ type: "begin", microphone: false }, WELCOME, prompted);
  for (const answer of [
    { type: "microphone_on", muted: false },
    { type: "refused", message: "No." },
    { type: "leave" },
  ]) {
    assert.equal(after(inCall, answer, 0).isPrompting, false, answer.type);
  }
});

test("a microphone that comes back, or is switched on, is news", () => {
  const on = { type: "microphone_on", muted: false };
  const lost = { type: "error", code: "microphone_lost", message: "It is gone." };
  const other = { type: "error", code: "sound_blocked", message: "Click." };
  const unheard = afterAll(BEGIN, WELCOME, lost, other);
  assert.equal(unheard.isMicrophoneLost, true);
  const back = after(unheard, on, 0);
  assert.deepEqual([back.isMicrophoneLost, back.notice], [false, "The microphone is on."]);
  const typing = afterAll({ type: "begin", microphone: false }, WELCOME);
  assert.equal(after(typing, on, 0).notice, "The microphone is on.");
  assert.equal(afterAll(BEGIN, WELCOME, on).notice, "");
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
  const call = afterAll(BEGIN, WELCOME, READY);
  for (const [begins, ends] of [
    [{ type: "paused", by: "you" }, { type: "resumed" }],
    [{ type: "held" }, { type: "released" }],
    [{ type: "away" }, { type: "ready" }],
    [{ type: "muted", muted: true }, { type: "muted", muted: false }],
    [LOST, { type: "state", state: "connected" }],
    [{ type: "type_toggled" }, { type: "type_toggled" }],
  ]) {
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

test("no line is tried for behind an open panel, and at once when it is closed", () => {
  const waiting = afterAll(BEGIN, { type: "failed", code: "service_full", message: "" });
  const open = after(waiting, { type: "sound_toggled" }, 0);
  assert.equal(retryIsDue(open, Infinity), false);
  assert.equal(retryIsDue(after(open, { type: "sound_toggled" }, 0), Infinity), true);
});

test("to wait for a line can be given up", () => {
  const waiting = afterAll(BEGIN, { type: "failed", code: "service_full", message: "" });
  assert.deepEqual(after(waiting, { type: "cancel" }, 0), IDLE);
});

test("a panel does not hide that a call has failed or ended", () => {
  const toggled = { type: "sound_toggled" };
  const failed = { type: "failed", code: "unreachable", message: "" };
  assert.equal(afterAll(BEGIN, toggled, failed).soundIsOpen, false);
  const ended = { type: "ended", reason: "inactivity", sentence: "", seconds: 1 };
  assert.equal(afterAll(BEGIN, WELCOME, toggled, ended).soundIsOpen, false);
});

test("what lets another call begin outlives a call", () => {
  const closed = { type: "entry", entry: "closed" };
  const states = [
    afterAll(closed, BEGIN),
    afterAll(closed, BEGIN, { type: "cancel" }),
    afterAll(closed, BEGIN, WELCOME, { type: "leave" }),
  ];
  assert.deepEqual(
    states.map((state) => state.entry),
    ["closed", "closed", "closed"],
  );
});

test("who was not let in begins anew with another link", () => {
  const refused = { type: "failed", code: "token_used", message: "" };
  const closed = { type: "entry", entry: "closed" };
  const link = { type: "entry", entry: "link" };
  assert.deepEqual(afterAll(BEGIN, refused, closed, link), { ...IDLE, entry: "link" });
  const busy = { type: "failed", code: "service_full", message: "" };
  assert.equal(afterAll(BEGIN, busy, link).phase, "failed");
});

test("other failures wait for the caller", () => {
  const state = afterAll(BEGIN, { type: "failed", code: "microphone_refused", message: "No." });
  assert.deepEqual(state.problem, { code: "microphone_refused", message: "No." });
  assert.equal(retryIsDue(state, Infinity), false);
});

test("Escape ends a call when it is pressed twice within five seconds", () => {
  const state = after(afterAll(BEGIN, WELCOME), { type: "escape" }, 5000);
  assert.equal(ESCAPE_MS, 5000);
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
