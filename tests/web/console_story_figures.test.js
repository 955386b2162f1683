import assert from "node:assert/strict";
import { test } from "node:test";

import { MAX_LEVELS, StoryTimeline } from "../../evibridge/web/console/story_timeline.js";
import { clockOf } from "../../evibridge/web/console/words.js";
import {
  agent,
  approvalWanted,
  at,
  BEGAN,
  caller,
  event,
  heard,
  lines,
  operator,
  snapshot,
  story,
  toolFinished,
  toolStarted,
} from "./console_story_told.js";

const spans = (call) =>
  call.timeline.turns.map(({ who, fromS, heardToS, toS }) => [who, fromS, heardToS, toS]);
const facts = (call) => Object.fromEntries(call.figures().facts.map(({ label, value }) => [label, value]));

test("the caller's block goes from the first interim words to the final ones, or is so long", () => {
  const call = story(
    caller(4, "Is", { interim: true }),
    caller(5, "Is there", { interim: true }),
    caller(6, "Is there more?", { spoke_ms: 900 }),
    caller(10, "Yes, please.", { spoke_ms: 1500 }),
    caller(0.5, "Early.", { spoke_ms: 900 }),
  );
  assert.deepEqual(spans(call), [
    ["caller", 4, null, 6],
    ["caller", 8.5, null, 10],
    ["caller", 0, null, 0.5],
  ]);
  call.take(caller(12, "And", { interim: true }));
  assert.equal(call.timeline.turns.at(-1).toS, null);
});

test("the agent's block grows while it plays, and ends where the caller heard the end", () => {
  const call = story(agent(2, "u1", "Yes."));
  assert.deepEqual(spans(call), [["agent", 2, null, null]]);
  call.take(event("turn_answered", 2.4, { response_ms: 600 }));
  call.take(agent(2.5, "u2", "Two."));
  assert.deepEqual(spans(call), [["agent", 2.4, null, null]]);
  call.take(heard(3.4, "u1", "Yes.", 1000));
  assert.equal(call.timeline.turns[0].toS, null);
  call.take(heard(4.4, "u2", "Two.", 1000));
  assert.deepEqual(spans(call), [["agent", 2.4, null, 4.4]]);
  assert.equal(call.timeline.turns[0].rowKey, [...call.rows.keys()][0]);
});

test("sentences that are reported together begin where the first did", () => {
  const call = story(agent(2, "u1", "Yes."), agent(2.1, "u2", "Two."));
  call.take(heard(9, "u1", "Yes.", 3000));
  call.take(heard(9, "u2", "Two.", 2000));
  assert.deepEqual(spans(call), [["agent", 4, null, 9]]);
  const apart = story(agent(1, "u1", "Yes."), agent(1.1, "u2", "Two."));
  apart.take(heard(4, "u1", "Yes.", 2000));
  apart.take(heard(8, "u2", "Two.", 1000));
  assert.deepEqual(spans(apart), [["agent", 2, null, 8]]);
});

test("a row that was announced while another plays begins when that is over", () => {
  const call = story(agent(1, "u1", "One moment."), toolStarted(1.5, "t"), agent(2, "u2", "Two."));
  call.take(heard(5, "u1", "One moment.", 4000));
  assert.deepEqual(spans(call), [
    ["agent", 1, null, 5],
    ["agent", 5, null, null],
  ]);
});

test("a block that has ended goes on with the next sentence of its row", () => {
  const call = story(agent(1, "u1", "Yes."), heard(2, "u1", "Yes.", 1000), agent(3, "u2", "Two."));
  assert.deepEqual(spans(call), [["agent", 1, null, null]]);
});

test("what was cut off goes on unheard after the cut", () => {
  const call = story(agent(2, "u1", "Yes. It should be there."), agent(2.1, "u2", "Soon."));
  call.take(heard(4, "u1", "Yes.", 2000, 3500));
  call.take(heard(4.02, "u2", "", 0, 1000));
  assert.deepEqual(spans(call), [["agent", 2, 4, 6.5]]);
});

test("what was never spoken has no block, and an operator speaks when the agent has spoken", () => {
  const silent = story(agent(2, "u1", "Yes."), heard(2.1, "u1", "", 0, 0));
  assert.deepEqual(spans(silent), []);
  const call = story(
    operator(2, "Hi", { interim: true }),
    operator(3, "Hi."),
    operator(4, "0123456789", { is_spoken: false }),
    operator(4.1, "0123456789", { is_spoken: false }),
  );
  const [spoken, typed, next] = call.timeline.turns;
  assert.deepEqual([spoken.fromS, spoken.toS, typed.fromS], [2, 3, 4]);
  assert.ok(typed.toS > 4.5 && typed.toS < 5);
  assert.equal(next.fromS, typed.toS);
});

test("of a chat whose sound flows elsewhere blocks are as long as their words", () => {
  const call = story(
    event("call_began", 0, { kind: "sidecar", direction: "inbound" }),
    agent(2, "u1", "0123456789"),
    agent(9, "u2", "Well?"),
  );
  assert.deepEqual(lines(call).slice(1), ["agent: 0123456789", "agent: Well?"]);
  assert.ok(Math.abs(call.timeline.turns[0].toS - 2.65) < 0.01);
});

test("tools are spans, and failed ones say so", () => {
  const call = story(toolStarted(1, "t1"), toolStarted(2, "t2"), toolFinished(3, "t1", "timeout"));
  const name = "refund_order";
  assert.deepEqual(call.timeline.tools, [
    { name, fromS: 1, toS: 3, isWaiting: false, isFailed: true },
    { name, fromS: 2, toS: null, isWaiting: false, isFailed: false },
  ]);
});

test("levels stand at their time, and nothing where nobody has measured", () => {
  const call = story();
  const levels = (atS, level) => call.take({ type: "levels", at: at(atS), caller: level, agent: level / 2 });
  for (const [place, level] of [0.1, 0.2, 0.3].entries()) levels(3 + place * 0.05, level);
  levels(3.25, 0.4);
  levels(3.5, 0.5);
  levels(1, 0.9);
  const { levelsFromS, callerLevels, agentLevels } = call.timeline;
  assert.equal(levelsFromS, 3);
  assert.deepEqual(callerLevels, [0.1, 0.2, 0.3, 0.4, 0.4, 0.4, NaN, NaN, NaN, NaN, 0.5]);
  assert.equal(agentLevels.length, callerLevels.length);
  call.take(snapshot(4, {}));
  assert.equal(call.timeline.callerLevels.length, 11);
});

test("levels of more than two hours are dropped from the front", () => {
  const timeline = new StoryTimeline();
  for (let place = 0; place <= MAX_LEVELS; place += 1) timeline.levels(place * 0.05, place, 0);
  assert.ok(timeline.callerLevels.length <= MAX_LEVELS);
  assert.ok(Math.abs(timeline.callerLevels[0] * 0.05 - timeline.levelsFromS) < 1e-6);
  assert.equal(timeline.callerLevels.at(-1), MAX_LEVELS);
  timeline.levels(1e9, 0.5, 0.5);
  assert.deepEqual([timeline.callerLevels, timeline.levelsFromS], [[0.5], 1e9]);
});

test("expressions are the five strongest means of the call, a point for each utterance", () => {
  const scores = (joy) => ({ Joy: joy, A: 0.5, B: 0.4, C: 0.3, D: 0.2, E: 0.1 });
  const call = story(
    caller(1, "One.", { scores: scores(0.9) }),
    caller(2, "Two.", { scores: scores(0.3) }),
    event("agent_sounded", 3, { utterance_id: null, scores: { Calmness: 0.4, Broken: "x" } }),
  );
  const { caller: ofCaller, agent: ofAgent } = call.figures().expression;
  assert.deepEqual(ofCaller.map(({ name }) => name), ["Joy", "A", "B", "C", "D"]);
  assert.deepEqual(ofCaller[0], {
    name: "Joy",
    latest: 0.3,
    points: [
      { atS: 1, score: 0.9 },
      { atS: 2, score: 0.3 },
    ],
  });
  assert.deepEqual(ofAgent, [{ name: "Calmness", latest: 0.4, points: [{ atS: 3, score: 0.4 }] }]);
  assert.deepEqual(story(caller(1, "One.")).figures().expression, { caller: [], agent: [] });
});

test("responses have a median and a 95th percentile, by nearest rank as in the record", () => {
  const call = story();
  for (let ms = 20; ms > 0; ms -= 1) call.take(event("turn_answered", 30 - ms, { response_ms: ms * 100 }));
  const { responses, medianMs, p95Ms } = call.figures();
  assert.deepEqual([medianMs, p95Ms], [1000, 1900]);
  assert.deepEqual(responses[0], { atS: 10, ms: 2000, rowKey: null });
  const none = story().figures();
  assert.deepEqual([none.responses, none.medianMs, none.p95Ms], [[], null, null]);
});

test("facts are those that are known", () => {
  assert.deepEqual(facts(story()), { Started: clockOf(BEGAN, true) });
  const call = story(
    event("chat_opened", 0, { chat_id: "ch-1", why: "first" }),
    agent(1, "u1", "Yes, we have."),
    heard(2, "u1", "Yes,", 900, 2000),
    event("agent_interrupted", 2),
    toolStarted(3, "t1"),
    toolFinished(4, "t1"),
    toolStarted(5, "t2"),
    toolFinished(6, "t2", "timeout"),
    approvalWanted(7, "t3"),
    event("chat_lost", 8),
    event("chat_opened", 9.3, { chat_id: "ch-2", why: "resumed" }),
    event("digit_pressed", 10, { digit: "4" }),
  );
  assert.deepEqual(facts(call), {
    Started: clockOf(BEGAN, true),
    Interrupted: "1 time",
    Tools: "1 done, 1 failed, 1 waiting",
    Reconnects: "1, 1.3 s",
    "Keys pressed": "1",
    "Call id": "CA1",
    "Chat id": "ch-2",
  });
  assert.ok(call.figures().facts.slice(-2).every((fact) => fact.isCode));
});
