import assert from "node:assert/strict";
import { test } from "node:test";

import { after, IDLE } from "../../evibridge/web/caller/page_state.js";
import { announced, clockOf, lengthOf, shown } from "../../evibridge/web/caller/page_words.js";
import { toolFaces } from "../../evibridge/web/caller/tool_faces.js";

const AGENT = { name: "Harbour Books", about: "Ask where an order is." };
const BEGIN = { type: "begin", microphone: true };
const WELCOME = { type: "welcome" };
const READY = { type: "ready", seq: 1 };
const CLOSED = { type: "entry", entry: "closed" };
const TOOL = { type: "tool", id: "1", state: "running" };

/** What is shown after some events at second 0, at a later one. */
function shownAfter(events, nowMs = 0) {
  const state = events.reduce((before, event) => after(before, event, 0), IDLE);
  return shown(state, nowMs, AGENT);
}

const inCall = (...events) => shownAfter([BEGIN, WELCOME, READY, ...events]);
const failed = (code, message = "", retryAfterS = undefined) =>
  shownAfter([BEGIN, { type: "failed", code, message, retryAfterS }]);

const MICROPHONE_LOST = { type: "error", code: "microphone_lost", message: "It is gone." };

test("before a call the agent is presented", () => {
  const page = shown(IDLE, 0, AGENT);
  assert.equal(page.title, "Harbour Books");
  assert.equal(page.hint, "Ask where an order is.");
  assert.equal(page.actWord, "Start talking");
  assert.equal(page.spoken, "");
  assert.equal(page.isAlone, true);
});

test("connecting can be cancelled", () => {
  const page = shownAfter([BEGIN]);
  assert.deepEqual([page.title, page.actWord, page.hasMeter], ["Connecting", "Cancel", true]);
});

test("a call is connecting until the agent is there", () => {
  const page = shownAfter([BEGIN, WELCOME]);
  assert.deepEqual([page.name, page.actWord], ["connecting", "Cancel"]);
  assert.deepEqual([page.isInCall, page.isAlone, page.clock], [false, true, ""]);
});

test("who is asked for the microphone is told where", () => {
  const allow = "Allow the microphone in your browser.";
  const page = shownAfter([BEGIN, { type: "prompted" }]);
  assert.deepEqual([page.hint, page.spoken], [allow, `Connecting: ${allow}`]);
  assert.equal(inCall({ type: "prompted" }).hint, allow);
});

test("each state of a call has its name and title", () => {
  for (const [events, name, title] of [
    [[], "listening", "Listening"],
    [[{ type: "speaking", speaking: true }], "speaking", "Speaking"],
    [[TOOL], "looking", "Looking something up"],
    [[{ type: "muted", muted: true }], "muted", "You are muted"],
    [[{ type: "paused", by: "you" }], "paused", "Paused"],
    [[MICROPHONE_LOST], "unheard", "The agent cannot hear you"],
    [[{ type: "held" }], "held", "On hold"],
    [[{ type: "away" }], "away", "The agent is away"],
    [[{ type: "state", state: "reconnecting" }], "reconnecting", "Reconnecting"],
  ]) {
    const page = inCall(...events);
    assert.deepEqual([page.name, page.title], [name, title]);
    assert.equal(page.actWord, "End call");
    assert.equal(page.isAlone, false);
  }
});

test("what keeps the agent from answering is said before what the agent does", () => {
  const speaks = { type: "speaking", speaking: true };
  const muted = { type: "muted", muted: true };
  const paused = { type: "paused", by: "you" };
  const lost = { type: "state", state: "reconnecting" };
  assert.equal(inCall(TOOL, speaks).name, "speaking");
  assert.equal(inCall(speaks, muted).name, "muted");
  assert.equal(inCall(muted, MICROPHONE_LOST).name, "unheard");
  assert.equal(inCall(MICROPHONE_LOST, paused).name, "paused");
  assert.equal(inCall(speaks, muted, paused).name, "paused");
  assert.equal(inCall(paused, { type: "away" }).name, "away");
  assert.equal(inCall(paused, { type: "away" }, { type: "held" }).name, "held");
  assert.equal(inCall({ type: "held" }, lost).name, "reconnecting");
});

test("a tool is told in its own words, if they fit", () => {
  const short = inCall({ ...TOOL, words: "Checking the shelves." });
  assert.deepEqual(
    [short.title, short.hint],
    ["Checking the shelves", "The agent is looking something up."],
  );
  const words = "One moment, I am asking the warehouse whether they have it.";
  const long = inCall({ ...TOOL, words });
  assert.deepEqual([long.title, long.hint], ["Looking something up", words.slice(0, -1)]);
});

test("it is told who has paused", () => {
  assert.match(inCall({ type: "paused", by: "you" }).hint, /until you resume/);
  assert.match(inCall({ type: "paused", by: "operator" }).hint, /A person has paused/);
  assert.equal(inCall({ type: "paused", by: "person" }).title, "A person speaks with you");
});

test("who types is told how", () => {
  assert.match(inCall({ type: "type_toggled" }).hint, /Type or talk/);
  const typed = shownAfter([{ type: "begin", microphone: false }, WELCOME, READY]);
  assert.deepEqual([typed.title, typed.name], ["Waiting for you", "listening"]);
  assert.match(inCall({ type: "ending", reason: "x" }).hint, /about to end/);
});

test("the length of the call is shown while it goes on", () => {
  assert.equal(shownAfter([BEGIN, WELCOME, READY], 96_400).clock, "1:36");
  assert.equal(shownAfter([BEGIN, WELCOME, READY, { type: "leave" }], 96_400).clock, "");
});

test("the agent's voice is not talked over", () => {
  assert.equal(inCall({ type: "speaking", speaking: true }).spoken, "");
  assert.equal(inCall().spoken, "Listening");
});

test("whether the agent hears the caller is told in each state", () => {
  const muted = { type: "muted", muted: true };
  for (const events of [
    [],
    [{ type: "speaking", speaking: true }],
    [{ type: "paused", by: "operator" }],
    [{ type: "held" }],
    [{ type: "away" }],
    [{ type: "state", state: "reconnecting" }],
    [MICROPHONE_LOST],
  ]) {
    const [heard, unheard] = [inCall(...events), inCall(...events, muted)];
    assert.equal(announced(heard, unheard), "You are muted");
    assert.equal(announced(unheard, heard), "You are not muted any more");
  }
});

test("what has been announced is not announced again", () => {
  assert.equal(announced(inCall(), inCall()), "");
  assert.equal(announced(shown(IDLE, 0, AGENT), inCall()), "Listening");
  const muted = { type: "muted", muted: true };
  assert.match(announced(inCall(muted), inCall(muted, { type: "leave" })), /^Call ended/);
});

test("Escape asks to be pressed again, for five seconds", () => {
  const events = [BEGIN, WELCOME, READY, { type: "escape" }];
  const page = shownAfter(events, 4999);
  assert.deepEqual([page.hint, page.isUrgent], ["Press Esc again to end the call.", true]);
  assert.equal(shownAfter(events, 5000).isUrgent, false);
});

test("a refusal is shown, and then what was there before", () => {
  const events = [BEGIN, WELCOME, READY, { type: "refused", message: "Not now." }];
  assert.deepEqual([shownAfter(events).hint, shownAfter(events).spoken], ["Not now.", "Not now."]);
  assert.notEqual(shownAfter(events, 6000).hint, "Not now.");
});

test("a lost microphone is an alarm", () => {
  const page = inCall(MICROPHONE_LOST);
  assert.deepEqual([page.alarm, page.hint], ["It is gone.", "It is gone."]);
  assert.equal(page.spoken, "The agent cannot hear you");
});

test("the end is told in a sentence", () => {
  const left = shownAfter([BEGIN, WELCOME, READY, { type: "leave" }, { type: "lines", count: 1 }]);
  assert.equal(left.hint, "You ended the call after 0 s.");
  assert.equal(left.spoken, "Call ended: You ended the call after 0 s.");
  assert.deepEqual([left.actWord, left.offersText], ["Talk again", true]);
  const ended = { type: "ended", reason: "inactivity", sentence: "Nobody spoke.", seconds: 161 };
  assert.equal(inCall(ended).hint, "Nobody spoke.");
  assert.equal(inCall({ ...ended, sentence: "" }).hint, "The call took 2 min 41 s.");
  assert.equal(inCall(ended).offersText, false);
});

test("who has typed may type again, or talk", () => {
  const typed = { type: "begin", microphone: false };
  const page = shownAfter([typed, WELCOME, READY, { type: "leave" }]);
  assert.deepEqual([page.actWord, page.actIcon, page.offers], ["Type again", "keys", "talking"]);
  const busy = shownAfter([typed, { type: "failed", code: "service_full", message: "" }]);
  assert.deepEqual([busy.actWord, busy.offers], ["Try again", "talking"]);
  assert.equal(shownAfter([typed]).offers, "");
});

test("who came by a link is told to open it again for another call", () => {
  const page = inCall(CLOSED, { type: "leave" });
  assert.match(page.hint, /^You ended the call .* Open your link again to call once more\.$/);
  assert.deepEqual([page.act, page.actWord, page.offers], ["none", "", ""]);
  const lost = { type: "state", state: "reconnecting" };
  const gone = inCall(CLOSED, lost, { type: "state", state: "ended" });
  assert.match(gone.hint, /Open your link again/);
  assert.doesNotMatch(gone.hint, /call again/);
  const cancelled = shownAfter([BEGIN, WELCOME, CLOSED, { type: "cancel" }]);
  assert.deepEqual([cancelled.act, cancelled.title], ["none", "Harbour Books"]);
  assert.match(cancelled.hint, /Open your link again/);
  const linked = inCall({ type: "entry", entry: "link" }, { type: "leave" });
  assert.deepEqual([linked.actWord, linked.hint], ["Talk again", "You ended the call after 0 s."]);
});

test("who is not let in is not asked to try again", () => {
  for (const code of ["link_needed", "token_used"]) {
    const page = shownAfter([BEGIN, CLOSED, { type: "failed", code, message: "For operators." }]);
    assert.equal(page.act, "none");
    assert.match(page.hint, /link|Ask for another one/);
    assert.doesNotMatch(page.hint, /operators/);
  }
});

test("the small buttons keep their names while their words change", () => {
  const faces = (...events) => {
    const state = [BEGIN, WELCOME, READY, ...events].reduce((s, event) => after(s, event, 0), IDLE);
    const { mute, pause } = toolFaces(state);
    return [mute, pause].map(({ word, label, isPressed }) => [word, label, isPressed]);
  };
  const pause = ["Pause", "Pause", false];
  assert.deepEqual(faces(), [["Mute", "Mute", false], pause]);
  assert.deepEqual(faces({ type: "muted", muted: true }), [["Unmute", "Mute", true], pause]);
  assert.deepEqual(faces({ type: "paused", by: "you" })[1], ["Resume", "Pause", true]);
  assert.deepEqual(faces({ type: "paused", by: "operator" })[1], ["Paused", "Pause", true]);
  const [talk] = faces(MICROPHONE_LOST);
  assert.deepEqual(talk, ["Talk", "Talk: switch the microphone on", null]);
});

test("a lost call is an alarm", () => {
  const page = inCall({ type: "state", state: "reconnecting" }, { type: "state", state: "ended" });
  assert.deepEqual([page.name, page.title, page.tone], ["lost", "Connection lost", "bad"]);
  assert.match(page.alarm, /Connection lost\. The call could not be restored/);
  assert.equal(page.spoken, "");
});

test("each failure says what to do", () => {
  for (const [code, name, title] of [
    ["microphone_refused", "refused", "The microphone is blocked"],
    ["microphone_missing", "nomic", "No microphone found"],
    ["microphone_busy", "failed", "The microphone is in use"],
    ["insecure_page", "failed", "The microphone is not available"],
  ]) {
    const page = failed(code);
    assert.deepEqual([page.name, page.title, page.offers], [name, title, "typing"]);
    assert.equal(page.actWord, "Try again");
    assert.equal(page.hasSteps, code === "microphone_refused");
  }
  assert.equal(failed("unreachable").offers, "");
  assert.equal(failed("connection_lost").tone, "bad");
});

test("a failure without words of its own is told in the service's", () => {
  assert.deepEqual(
    [failed("odd", "It is odd.").title, failed("odd", "It is odd.").hint],
    ["The call could not begin", "It is odd."],
  );
  assert.equal(failed("constructor", "It is odd.").title, "The call could not begin");
});

test("busy lines count down", () => {
  const events = [BEGIN, { type: "failed", code: "service_full", message: "", retryAfterS: 24 }];
  assert.match(shownAfter(events).hint, /trying again in 24 s/);
  assert.match(shownAfter(events, 23_100).hint, /trying again in 1 s/);
  assert.match(shownAfter(events, 99_000).hint, /trying again in 0 s/);
  assert.equal(shownAfter(events).spoken, shownAfter(events, 9000).spoken);
  assert.equal(failed("draining").title, "The service is restarting");
  const given = { ...after(IDLE, BEGIN, 0), phase: "failed", retryMs: null };
  const tired = shown({ ...given, problem: { code: "service_full", message: "" } }, 0, AGENT);
  assert.match(tired.hint, /Try again in a few minutes/);
  assert.equal(tired.spoken, `${tired.title}: ${tired.hint}`, "nothing is tried any more");
  assert.equal(tired.offersCancel, false);
});

test("to wait for a line can be given up, and each try is no news", () => {
  const busy = { type: "failed", code: "draining", message: "" };
  const waiting = shownAfter([BEGIN, busy]);
  assert.deepEqual([waiting.offersCancel, waiting.actWord], [true, "Try again"]);
  const trying = shownAfter([BEGIN, busy, { ...BEGIN, isRetry: true }]);
  assert.equal(trying.title, "Connecting");
  assert.equal(trying.spoken, waiting.spoken);
});

test("the panel for sound has the one button to itself", () => {
  const page = inCall({ type: "sound_toggled" });
  assert.deepEqual([page.actWord, page.isAlone], ["Done", true]);
});

test("what the bars are is said only where there are some", () => {
  assert.equal(inCall({ type: "lines", count: 1, hasExpression: false }).hasExpression, false);
  assert.equal(inCall({ type: "lines", count: 1, hasExpression: true }).hasExpression, true);
});

test("lengths are written as on a clock, and as in a sentence", () => {
  assert.deepEqual([0, 9.9, 96, 3600, -1].map(clockOf), ["0:00", "0:09", "1:36", "60:00", "0:00"]);
  assert.deepEqual([0, 59, 60, 161, -1].map(lengthOf), [
    "0 s",
    "59 s",
    "1 min 0 s",
    "2 min 41 s",
    "0 s",
  ]);
});
