import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as words from "../../evibridge/web/console/words.js";

const { callerWords, clockOf, endsBadly, endWords, lengthOf, responseWords, secondsOf, shortened } = words;
const { stateIcon, stateTone, stateWord, tagline } = words;
const SAM = { name: "sam" };
const BEGAN = "2026-11-28T09:12:00.000Z";
const OPERATORS = readFileSync(new URL("../../docs/operators.md", import.meta.url), "utf8");

const call = (more) => ({
  call_id: "CA12345f0c", kind: "phone", state: "listening", began_at: BEGAN, lasts_s: 10, caller: "+14155550100",
  paused_by: null, held_by: null, taken_over_by: null, approvals: [], tool: null, end_reason: null, ended: null,
  ...more,
});
const at = (seconds) => Date.parse(BEGAN) + seconds * 1000;

/** What stands in code in the first column of a table of the documentation. */
function documented(heading) {
  const table = OPERATORS.slice(OPERATORS.indexOf(heading)).split("\n\n")[0].split("\n").slice(2);
  assert.ok(table.length > 5, heading);
  return table.flatMap((row) => [...row.split("|")[1].matchAll(/`(\w+)`/g)].map(([, name]) => name));
}

test("each state has its word, drawing and tone", () => {
  for (const [state, word, icon, tone] of [
    ["ringing", "Ringing", "phone", ""],
    ["connecting", "Connecting", "phone", ""],
    ["listening", "Listening", "ear", ""],
    ["caller_speaking", "Caller speaking", "wave", "caller"],
    ["agent_speaking", "Agent speaking", "wave", "agent"],
    ["tool_running", "Tool running", "fn", "agent"],
    ["paused", "Paused", "quiet", ""],
    ["held", "On hold", "hold", ""],
    ["taken_over", "With an operator", "man", "caller"],
    ["reconnecting", "Reconnecting", "link", "bad"],
    ["needs_approval", "Needs approval", "wait", "need"],
    ["ending", "Ending", "end", ""],
    ["ended", "Ended", "end", ""],
  ]) {
    const summary = call({ state });
    assert.deepEqual([stateWord(summary, SAM), stateIcon(summary), stateTone(summary)], [word, icon, tone]);
    assert.equal(tagline(summary, SAM, at(0)), word);
  }
});

test("the documentation has no state without a word", () => {
  for (const state of documented("| `state`, the last")) assert.ok(words.isState(state), state);
});

test("a state of a newer service is told as listening", () => {
  for (const state of ["dreaming", "constructor"]) {
    assert.equal(stateWord(call({ state }), SAM), "Listening");
    assert.equal(words.isState(state), false);
  }
});

test("who has paused or taken over a call is named, and you are you", () => {
  assert.equal(stateWord(call({ state: "paused", paused_by: "Priya" }), SAM), "Paused by Priya");
  assert.equal(stateWord(call({ state: "paused", paused_by: "sam" }), SAM), "Paused by you");
  assert.equal(stateWord(call({ state: "taken_over", taken_over_by: "Priya" }), SAM), "With Priya");
  assert.equal(stateWord(call({ state: "taken_over", taken_over_by: "sam" }), SAM), "With you");
});

test("an approval counts down between two summaries", () => {
  const approvals = [{ expires_in_s: 50 }, { expires_in_s: 45.5 }];
  const summary = call({ state: "needs_approval", approvals });
  assert.equal(tagline(summary, SAM, at(12)), "Needs approval, 44 s");
  assert.equal(tagline(summary, SAM, at(99)), "Needs approval, 0 s");
  assert.equal(tagline(summary, SAM, at(5)), "Needs approval, 46 s");
  assert.equal(words.approvalLeft(call({}), at(0)), null);
});

test("a tool is named, with how long it has run", () => {
  const summary = call({ state: "tool_running", tool: { name: "check_stock", since: BEGAN } });
  assert.equal(tagline(summary, SAM, at(3.9)), "check_stock 3 s");
  assert.equal(tagline(summary, SAM, at(-1)), "check_stock 0 s");
});

test("a caller is his number, his name, or what is known of him", () => {
  assert.deepEqual(callerWords(call({})), { name: "+14155550100", detail: "" });
  assert.deepEqual(callerWords(call({ kind: "browser", caller: "Ann" })), { name: "Ann", detail: "" });
  assert.deepEqual(callerWords(call({ kind: "browser", caller: null })), { name: "Browser guest", detail: "5f0c" });
  assert.deepEqual(callerWords(call({ caller: null })), { name: "Unknown caller", detail: "5f0c" });
  assert.equal(callerWords(call({ caller: " \n " })).name, "Unknown caller");
});

test("each reason of an end has a sentence, and those of faults are bad", () => {
  const ends = {
    caller_hung_up: "Caller hung up",
    agent_hung_up: "Agent hung up",
    operator_hung_up: "Hung up by an operator",
    transferred: "Transferred",
    inactivity: "Nobody spoke for too long",
    max_duration: "Reached the longest time allowed",
    caller_lost: "Connection of the caller was lost",
    caller_stalled: "Carrier took no more sound",
    evi_unreachable: "EVI server could not be reached",
    evi_refused: "EVI server refused the chat",
    evi_lost: "EVI server was lost",
    chat_ended: "Chat was ended elsewhere",
    busy: "Line was busy",
    no_answer: "Nobody answered",
    not_connected: "Carrier could not connect the call",
    shutdown: "Service was stopped",
    fault: "Service failed: its log says why",
  };
  for (const [reason, sentence] of Object.entries(ends)) assert.equal(endWords({ end_reason: reason }), sentence);
  assert.deepEqual(words.END_REASONS, Object.keys(ends));
  const bad = "caller_lost caller_stalled evi_unreachable evi_refused evi_lost not_connected fault";
  assert.equal(words.END_REASONS.filter(endsBadly).join(" "), bad);
});

test("the reasons are those of the documentation, in its order", () => {
  assert.deepEqual(words.END_REASONS, documented("| `end_reason`, why it ended"));
});

test("an end names who hung up, and where the caller was put through to", () => {
  const ended = { by: "Priya", transferred_to: "+442079460100" };
  assert.equal(endWords({ end_reason: "operator_hung_up", ended }), "Hung up by Priya");
  assert.equal(endWords({ end_reason: "transferred", ended }), "Transferred to +442079460100");
  assert.equal(tagline(call({ state: "ended", end_reason: "busy" }), SAM, 0), "Line was busy");
});

test("an end that nobody knows is told as far as it can be", () => {
  assert.equal(endWords({ end_reason: null }), "Ended");
  assert.equal(endWords({ end_reason: "line_was_cut" }), "Ended: line was cut");
  assert.equal(endWords({ end_reason: "constructor" }), "Ended: constructor");
  assert.deepEqual([endsBadly(null), endsBadly("line_was_cut"), endsBadly("constructor")], [false, false, false]);
});

test("times are written in one way", () => {
  assert.deepEqual([0, 9.9, 96, 3599, 3729, -4, NaN].map(lengthOf),
    ["0:00", "0:09", "1:36", "59:59", "1:02:09", "0:00", "0:00"]);
  assert.deepEqual([740, 12_340, null].map(secondsOf), ["0.74 s", "12.34 s", ""]);
  assert.deepEqual([620, 999.4, 999.6, 1090, null].map(responseWords), ["620 ms", "999 ms", "1.00 s", "1.09 s", ""]);
});

test("the clock shows local time", () => {
  const local = new Date(2026, 10, 28, 4, 5, 6);
  assert.equal(clockOf(local.getTime()), "04:05");
  assert.equal(clockOf(local.toISOString(), true), "04:05:06");
  assert.equal(clockOf("never"), "");
});

test("a call that goes on gets longer, and one that has ended does not", () => {
  assert.equal(words.lastsNow(call({}), at(96)), 96);
  assert.equal(words.lastsNow(call({}), at(-9)), 10);
  assert.equal(words.lastsNow(call({ state: "ended" }), at(96)), 10);
});

test("a long name is cut, and never within a character of two units", () => {
  assert.equal(shortened("a".repeat(80)), "a".repeat(80));
  assert.equal(shortened("a".repeat(10_240)), `${"a".repeat(79)}…`);
  for (const text of ["😀".repeat(5000), `a${"😀".repeat(5000)}`]) {
    const cut = shortened(text);
    assert.ok(cut.length <= 80 && cut.length > 76);
    assert.ok(cut.isWellFormed?.() ?? !/[\ud800-\udbff](?![\udc00-\udfff])/.test(cut), cut);
  }
  assert.equal(stateWord(call({ state: "paused", paused_by: "x".repeat(10_240) }), SAM).length, 90);
});

test("a name cannot turn the rest of the sentence round", () => {
  const named = (name) => stateWord(call({ state: "taken_over", taken_over_by: name }), SAM);
  assert.equal(named("\u05d3\u05e0\u05d4"), "With \u2068\u05d3\u05e0\u05d4\u2069");
  assert.equal(named("\u202eevil\nname\u2069"), "With evil name");
  assert.equal(named("Zoë 👩‍🚀"), "With Zoë 👩‍🚀");
});
