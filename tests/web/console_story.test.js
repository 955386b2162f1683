import assert from "node:assert/strict";
import { test } from "node:test";

import { storyOfRecord } from "../../evibridge/web/console/call_story.js";
import { MAX_ROWS } from "../../evibridge/web/console/story_rows.js";
import {
  agent,
  approvalWanted,
  at,
  caller,
  command,
  event,
  heard,
  lines,
  operator,
  snapshot,
  story,
  toolStarted,
} from "./console_story_told.js";

const first = ([row]) => row;
const rowsOf = (call) => [...call.rows.values()];

test("interim words are replaced in place, and the final ones stay where the first stood", () => {
  const call = story(
    caller(4, "Is there", { interim: true }),
    event("filler_played", 4.5),
    caller(5, "Is there another", { interim: true }),
  );
  assert.deepEqual(lines(call), ["caller: (Is there another)", "wait: Caller was told to wait."]);
  call.take(caller(6, "Is there another copy?"));
  call.take(caller(9, "And", { interim: true }));
  assert.deepEqual(lines(call), [
    "caller: Is there another copy?",
    "wait: Caller was told to wait.",
    "caller: (And)",
  ]);
  assert.deepEqual(rowsOf(call).map((row) => row.atS), [4, 4.5, 9]);
});

test("interim words that came to nothing are gone, and told as changed", () => {
  const call = story(caller(1, "Hm", { interim: true }));
  const key = first([...call.rows.keys()]);
  call.changed.clear();
  call.take(caller(2, " "));
  assert.deepEqual([lines(call), [...call.changed], call.timeline.turns], [[], [key], []]);
});

test("what is typed is a row of its own, and is no voice", () => {
  const call = story(
    caller(1, "Is there", { interim: true }),
    caller(2, "HB-10482", { typed: true }),
    caller(3, "Is there more?"),
  );
  assert.deepEqual(lines(call), ["caller: Is there more?", "caller: HB-10482"]);
  assert.deepEqual(rowsOf(call).map((row) => row.isTyped), [false, true]);
  assert.equal(call.timeline.turns.length, 1);
  const forHim = story(caller(1, "Refund it.", { typed: true, by_caller: false }));
  assert.equal(first(rowsOf(forHim)).isTyped, true);
});

test("sentences of one turn stand in one row until something else comes between", () => {
  const call = story(
    agent(1, "u1", "Yes."),
    agent(1.2, "u2", "Two copies."),
    caller(1.5, "mm", { interim: true }),
    agent(1.8, "u3", "At the harbour."),
    caller(6, "Good."),
    agent(7, "u4", "Fine."),
    toolStarted(7.1, "t1"),
    agent(7.2, "u5", "One moment."),
  );
  assert.deepEqual(lines(call), [
    "agent: Yes. Two copies. At the harbour.",
    "caller: Good.",
    "agent: Fine.",
    "tool refund_order running",
    "agent: One moment.",
  ]);
});

test("after a silence the agent begins another row, unless something of the last is still due", () => {
  const yes = [agent(1, "u1", "Yes."), heard(2, "u1", "Yes.", 900)];
  assert.equal(story(...yes, agent(4, "u2", "Well?")).rows.size, 1);
  assert.equal(story(...yes, agent(6, "u2", "Well?")).rows.size, 2);
  assert.equal(story(agent(1, "u1", "Yes."), agent(6, "u2", "Well?")).rows.size, 1);
});

test("a speech without an end begins another row now and then", () => {
  const call = story();
  for (let place = 0; place < 250; place += 1) call.take(agent(place, `u${place}`, "More."));
  assert.equal(call.rows.size, 3);
});

test("what was not heard is struck, and what is not reported yet counts as heard", () => {
  const call = story(
    agent(1, "u1", "It left on the  seventh."),
    agent(1.1, "u2", "It should arrive soon."),
    agent(1.2, "u3", "I can text you."),
    heard(4, "u1", "It left on the  seventh.", 2900),
  );
  assert.deepEqual(lines(call), ["agent: It left on the  seventh. It should arrive soon. I can text you."]);
  call.take(heard(5, "u2", "It should", 1000, 2000));
  call.take(heard(5, "u3", "", 0, 500));
  assert.deepEqual(lines(call), [
    "agent: It left on the  seventh. It should [arrive soon. I can text you.]",
  ]);
  call.take(agent(5.1, "u4", "Again."));
  assert.equal(call.rows.size, 2);
});

test("an utterance may come in several sentences, also around a tool", () => {
  const call = story(agent(1, "u1", "Yes."), toolStarted(1.1, "t"), agent(1.2, "u1", "Two copies."));
  call.take(heard(3, "u1", "Yes. Two", 1500, 2000));
  assert.deepEqual(lines(call), ["agent: Yes.", "tool refund_order running", "agent: Two [copies.]"]);
});

test("an utterance without a name is found by the id of its sound", () => {
  const call = story(agent(1, "~unnamed 1", "Good afternoon."), heard(2, "u9", "Good", 400, 900));
  assert.deepEqual(lines(call), ["agent: Good [afternoon.]"]);
});

test("how long the caller waited stands in the first row of the answer, whichever is told first", () => {
  const responses = (call) => rowsOf(call).map((row) => row.responseMs ?? null);
  const call = story(
    caller(1, "Is it?"),
    agent(2, "u1", "One moment."),
    toolStarted(2.1, "t"),
    agent(2.2, "u2", "Yes."),
    event("turn_answered", 2.6, { response_ms: 620 }),
  );
  assert.deepEqual(responses(call), [null, 620, null, null]);
  assert.equal(call.figures().responses[0].rowKey, rowsOf(call)[1].key);
  const early = story(
    caller(1, "Is it?"),
    event("turn_answered", 1.9, { response_ms: 540 }),
    agent(2, "u1", "Yes."),
  );
  assert.deepEqual(responses(early), [null, 540]);
  early.take(event("turn_answered", 2.1, { response_ms: 999 }));
  early.take(caller(5, "And now?"));
  early.take(agent(6, "u2", "No."));
  early.take(event("turn_answered", 6.1, { response_ms: 700 }));
  assert.deepEqual(responses(early), [null, 540, null, 700]);
});

test("an operator's words are his own, one interim row for each of them", () => {
  const call = story(
    operator(1, "Good", { interim: true }),
    operator(1.2, "Hi", { interim: true, by: "Sam" }),
    operator(2, "Good afternoon."),
    operator(3, "In writing.", { is_spoken: false }),
    operator(4, "", { by: "Sam" }),
  );
  assert.deepEqual(lines(call), ["operator: Good afternoon.", "operator: In writing."]);
  assert.deepEqual(rowsOf(call).map((row) => [row.by, row.isTyped]), [["Priya", false], ["Priya", true]]);
  assert.deepEqual(call.timeline.turns.map((turn) => turn.who), ["operator", "operator"]);
});

test("how a voice sounded is of the row that has the utterance", () => {
  const call = story(
    caller(1, "Hello.", { scores: { Calmness: 0.4, Broken: null } }),
    agent(2, "u1", "Hello."),
    event("agent_sounded", 2.1, { utterance_id: "u1", scores: { Interest: 0.3 } }),
  );
  assert.deepEqual(rowsOf(call).map((row) => row.scores), [{ Calmness: 0.4 }, { Interest: 0.3 }]);
});

test("what was told already is passed over, and so is what is not known", () => {
  const said = caller(1, "Hello.");
  const call = story(said, caller(2, "Anybody?"), said, event("weather_changed", 3), event("constructor", 3));
  assert.deepEqual(lines(call), ["caller: Hello.", "caller: Anybody?"]);
});

test("a row is never before the call's beginning, and one without a moment is where the call was", () => {
  const call = story(caller(-5, "Early."), caller(3, "Hello."), { ...caller(4, "When?"), at: "soon" });
  assert.deepEqual(rowsOf(call).map((row) => row.atS), [0, 3, 3]);
});

test("texts stay as they are: markup, emoji, and from right to left", () => {
  const texts = ["<img src=x onerror=alert(1)>", "👩‍👩‍👧 fine", "שלום <b>"];
  assert.deepEqual(lines(story(...texts.map((text, place) => caller(place, text)))), [
    ...texts.map((text) => `caller: ${text}`),
  ]);
  const cut = story(agent(1, "u", "👩‍👩‍👧 and שלום עולם"), heard(2, "u", "👩‍👩‍👧 and שלום", 500, 900));
  assert.deepEqual(lines(cut), ["agent: 👩‍👩‍👧 and שלום [עולם]"]);
});

test("a snapshot makes void what was known, and tells how things stand", () => {
  const call = story(caller(1, "Old."), approvalWanted(2, "t0"));
  const before = [...call.rows.keys()];
  call.changed.clear();
  const spoken = { utterance_id: "u1", sent_ms: 2000, heard_ms: 1000, is_over: true };
  const now = {
    call_id: "CA1",
    chat_id: "ch-1",
    state: "needs_approval",
    digits: "42",
    lines: [
      { who: "caller", at_s: 1, text: "Hello.", text_heard: "Hello." },
      { who: "agent", at_s: 2, text: "Good afternoon.", text_heard: "Good", ...spoken },
      { who: "operator", at_s: 5, text: "Priya here.", text_heard: "Priya here.", by: "Priya" },
      { who: "agent", at_s: 9, text: "On it", text_heard: "", utterance_id: "u2", is_over: false },
    ],
    approvals: [{ tool_call_id: "t1", name: "refund_order", parameters: "{}", expires_in_s: 44 }],
  };
  call.take(snapshot(10, now));
  assert.deepEqual(lines(call), [
    "caller: Hello.",
    "agent: Good [afternoon.]",
    "operator: Priya here.",
    "agent: On it",
    "tool refund_order waiting",
  ]);
  assert.deepEqual([...call.changed].slice(0, before.length), before);
  assert.equal(call.approvals.length, 1);
  assert.equal(call.approvals[0].expiresAt, Date.parse(at(54)));
  call.take(heard(11, "u2", "On it", 900));
  assert.deepEqual(call.timeline.turns.map((turn) => turn.toS === null), [false, false, false, false]);
});

test("updates that were skipped are told, also after the snapshot that follows", () => {
  const call = story(caller(1, "Old."), { type: "gap", call_id: "CA1", missed: 12 });
  assert.deepEqual(lines(call), ["caller: Old.", "link: Updates skipped. | 12"]);
  call.take(snapshot(5, { lines: [{ who: "caller", at_s: 1, text: "Old." }] }));
  assert.deepEqual(lines(call), ["caller: Old.", "link: Updates skipped. | 12"]);
  call.take(snapshot(6, {}));
  assert.deepEqual(lines(call), []);
});

test("a snapshot of an older process is taken, and so are the events after it", () => {
  const call = story(caller(1, "Old."), { ...snapshot(2, {}), seq: 1 }, { ...caller(3, "New."), seq: 2 });
  assert.deepEqual(lines(call), ["caller: New."]);
});

test("one's own row stands at the present, or where one wants it", () => {
  const call = story(caller(7, "Hello."));
  call.note("x", "The agent is paused: resume it first.", "");
  call.note("x", "Later.", "", 9);
  assert.deepEqual(rowsOf(call).map((row) => row.atS), [7, 7, 9]);
  assert.equal(lines(call)[1], "x: The agent is paused: resume it first.");
});

test("of a very long call the oldest rows are forgotten, and told as changed", () => {
  const call = story();
  for (let place = 0; place < MAX_ROWS; place += 1) call.take(caller(place, `${place}`));
  const oldest = first([...call.rows.keys()]);
  call.changed.clear();
  call.take(caller(MAX_ROWS, "One more."));
  assert.equal(call.rows.size, MAX_ROWS);
  assert.equal(call.rows.has(oldest), false);
  assert.ok(call.changed.has(oldest));
});

test("when the call ends nothing is open any more", () => {
  const call = story(
    caller(1, "And then", { interim: true }),
    agent(1.5, "u1", "Well"),
    approvalWanted(2, "t1"),
    event("chat_lost", 3, { code: 1006, error: null }),
    event("call_ended", 4, { reason: "caller_hung_up" }),
  );
  assert.equal(call.isOver, true);
  assert.deepEqual(lines(call), [
    "caller: And then",
    "agent: Well",
    "tool refund_order failed",
    "link: EVI server lost.",
    "end: Caller hung up.",
  ]);
  assert.deepEqual(call.approvals, []);
  const { turns, tools, gaps } = call.timeline;
  assert.ok([...turns, ...tools, ...gaps].every((span) => span.toS !== null));
});

test("the record of a whole call tells the same story as its stream", () => {
  const events = [
    event("call_began", 0, { kind: "phone", direction: "inbound" }),
    event("chat_opened", 0.2, { chat_id: "ch-1", chat_group_id: "g", why: "first" }),
    agent(0.5, "u1", "Hello."),
    heard(1.5, "u1", "Hello.", 900),
    caller(3, "Bye."),
    event("call_ended", 4, { reason: "caller_hung_up" }),
  ];
  const turns = [{ who: "agent", at_s: 0.5, text: "Twice?", text_heard: "Twice?" }];
  const told = storyOfRecord({ call_id: "CA1", began_at: at(0), events, turns }, "Sam");
  assert.deepEqual(lines(told), lines(story(...events)));
  assert.deepEqual(told.timeline, story(...events).timeline);
});

test("of a long call the rows before its first event come from the record's turns", () => {
  const agentTurn = { who: "agent", utterance_id: "u1", sent_ms: 900, heard_ms: 400, response_ms: 700 };
  const record = {
    call_id: "CA1",
    began_at: at(0),
    kind: "phone",
    events: [caller(60, "Later."), command(61, "hangup", "Sam")],
    turns: [
      { who: "caller", at_s: 2, text: "Hi.", is_typed: true, scores: [{ name: "Joy", score: 0.5 }] },
      { ...agentTurn, at_s: 3, text: "Good day.", text_heard: "Good" },
      { who: "caller", at_s: 60, text: "Later.", text_heard: "Later." },
    ],
  };
  const call = storyOfRecord(record, "Sam");
  assert.deepEqual(lines(call), ["caller: Hi.", "agent: Good [day.]", "caller: Later.", "end: You hung up."]);
  assert.deepEqual(rowsOf(call)[0].scores, { Joy: 0.5 });
  assert.equal(rowsOf(call)[0].isTyped, true);
  assert.equal(rowsOf(call)[1].responseMs, 700);
  assert.equal(call.isOver, true);
});

test("what one was told on this page alone stays in its place, whoever tells the rest anew", () => {
  const events = [caller(1, "Hello?"), agent(3, "u1", "Good day."), heard(4, "u1", "Good day.", 900)];
  const call = story(events[0]);
  call.note("x", "Too many commands: wait a moment.", "");
  for (const each of events.slice(1)) call.take(each);
  const expected = ["caller: Hello?", "x: Too many commands: wait a moment.", "agent: Good day."];
  assert.deepEqual(lines(call), expected);
  const record = { call_id: "CA1", began_at: at(0), events, turns: [] };
  assert.deepEqual(lines(storyOfRecord(record, "Sam", call)), expected);
  const turns = [
    { who: "caller", at_s: 1, text: "Hello?" },
    { who: "agent", at_s: 3, utterance_id: "u1", text: "Good day.", text_heard: "Good day.", is_over: true },
  ];
  call.take(snapshot(5, { lines: turns }));
  assert.deepEqual(lines(call), expected);
  call.take(snapshot(6, { lines: turns }));
  assert.deepEqual(lines(call), expected);
});

test("the record's story is as loud as the stream's was", () => {
  const call = story();
  call.take({ type: "levels", call_id: "CA1", at: at(2), caller: 0.5, agent: 0 });
  const record = { call_id: "CA1", began_at: at(0), events: [caller(1, "Hello?")], turns: [] };
  const { timeline } = storyOfRecord(record, "Sam", call);
  assert.deepEqual([timeline.levelsFromS, timeline.callerLevels], [2, [0.5]]);
});

test("facts that stand alone are sentences", () => {
  const call = story(event("call_began", 0, { kind: "phone", direction: "inbound" }));
  assert.deepEqual(lines(call), ["phone: Call answered."]);
});

test("a call that is over without a word tells through whom, as far as it is known", () => {
  const call = story(command(1, "hangup", "Priya"));
  call.end();
  assert.deepEqual([call.isOver, call.ending], [true, { by: "Priya", transferred_to: null }]);
});
