import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Announcer } from "../../evibridge/web/shared/announcer.js";
import { Alarms, announcement, Reading, titleWords } from "../../evibridge/web/console/spoken.js";

const SAM = { name: "Sam", scope: "control" };
const BEGAN = Date.parse("2026-11-28T14:30:00.000Z");
/** By the server's clock, so many seconds after the call began. */
const at = (seconds) => BEGAN + seconds * 1000;

const call = (more = {}) => ({
  call_id: "c1",
  kind: "phone",
  state: "listening",
  began_at: "2026-11-28T14:30:00.000Z",
  lasts_s: 60,
  caller: "Margaret Ellis",
  paused_by: null,
  held_by: null,
  taken_over_by: null,
  end_reason: null,
  approvals: [],
  ended: null,
  ...more,
});
const approval = (id, expires_in_s, name = "refund_order") => ({ tool_call_id: id, name, expires_in_s });

test("the title says what matters in a tab that is not seen", () => {
  assert.equal(titleWords({ all: 8, needsYou: 1 }), "1 needs you, 8 live: evibridge console");
  assert.equal(titleWords({ all: 8, needsYou: 2 }), "2 need you, 8 live: evibridge console");
  assert.equal(titleWords({ all: 8, needsYou: 0 }), "8 live: evibridge console");
  assert.equal(titleWords({ all: 0, needsYou: 0 }), "evibridge console");
});

test("changes of the open call are told, who speaks is not", () => {
  const told = (after, before = {}) => announcement(call(before), call(after), SAM);
  assert.equal(told({ state: "paused", paused_by: "Priya" }), "Paused");
  assert.equal(told({}, { paused_by: "Priya" }), "Resumed");
  assert.equal(told({ state: "held", held_by: "Sam" }), "On hold");
  assert.equal(told({}, { held_by: "Sam" }), "Released");
  assert.equal(told({ taken_over_by: "Sam", paused_by: "Sam" }), "With you");
  assert.equal(told({ taken_over_by: "Priya" }), "With Priya");
  assert.equal(told({}, { taken_over_by: "Sam", paused_by: "Sam" }), "Handed back to the agent");
  assert.equal(told({ state: "reconnecting" }), "Reconnecting");
  assert.equal(told({}, { state: "reconnecting" }), "Connected again");
  assert.equal(told({ state: "agent_speaking" }), "");
  assert.equal(told({ state: "needs_approval" }), "");
});

test("the end is told once, with its reason", () => {
  const ended = { state: "ended", end_reason: "caller_hung_up" };
  assert.equal(announcement(call(), call(ended), SAM), "Call ended: caller hung up");
  assert.equal(announcement(call(ended), call(ended), SAM), "");
  const evi = { state: "ended", end_reason: "evi_lost" };
  assert.equal(announcement(call(), call(evi), SAM), "Call ended: EVI server was lost");
});

test("a tool that waits is told once, and again when ten seconds are left", () => {
  const alarms = new Alarms();
  alarms.take(call({ approvals: [approval("t1", 45)] }));
  assert.equal(alarms.due(SAM, at(60)), "Margaret Ellis: refund_order needs your approval");
  alarms.take(call({ lasts_s: 62, approvals: [approval("t1", 43)] }));
  assert.equal(alarms.due(SAM, at(94)), "");
  assert.equal(alarms.due(SAM, at(95)), "Margaret Ellis: refund_order needs your approval, 10 s left");
  assert.equal(alarms.due(SAM, at(96)), "");
});

test("a tool that has little time from the start is told once", () => {
  const alarms = new Alarms();
  alarms.take(call({ approvals: [approval("t1", 8)] }));
  assert.equal(alarms.due(SAM, at(60)), "Margaret Ellis: refund_order needs your approval, 8 s left");
  assert.equal(alarms.due(SAM, at(63)), "");
});

test("what was decided, or belongs to an ended call, is told no more", () => {
  const alarms = new Alarms();
  alarms.take(call({ approvals: [approval("t1", 45)] }));
  alarms.due(SAM, at(60));
  alarms.take(call());
  assert.equal(alarms.due(SAM, at(96)), "");
  alarms.take(call({ state: "ended", approvals: [approval("t2", 45)] }));
  assert.equal(alarms.due(SAM, at(60)), "");
  alarms.take(call({ approvals: [approval("t3", 0)] }));
  assert.equal(alarms.due(SAM, at(60)), "");
});

test("another tool of the same call is told as well", () => {
  const alarms = new Alarms();
  alarms.take(call({ approvals: [approval("t1", 45)] }));
  alarms.due(SAM, at(60));
  alarms.take(call({ approvals: [approval("t1", 45), approval("t2", 45, "close_account")] }));
  assert.equal(alarms.due(SAM, at(60)), "Margaret Ellis: close_account needs your approval");
});

test("many at once are one sentence, and none is told again", () => {
  const alarms = new Alarms();
  for (const id of ["c1", "c2", "c3"]) alarms.take(call({ call_id: id, approvals: [approval("t1", 45)] }));
  assert.equal(alarms.due(SAM, at(60)), "3 tools need approval");
  assert.equal(alarms.due(SAM, at(61)), "");
});

test("whoever may only read is not asked for an approval", () => {
  const alarms = new Alarms();
  alarms.take(call({ approvals: [approval("t1", 45)] }));
  const wall = { name: "wall", scope: "read" };
  assert.equal(alarms.due(wall, at(60)), "Margaret Ellis: refund_order needs approval");
});

const utterance = (key, who, text, more = {}) =>
  ({ kind: "utterance", key, who, text, by: null, interim: "", unheard: "", ...more });

test("final lines are read once, speaker first", () => {
  const reading = new Reading();
  const rows = [
    utterance(1, "caller", "Where is it?"),
    { kind: "event", key: 2 },
    utterance(3, "agent", "In Leeds."),
    utterance(4, "operator", "I am here.", { by: "Priya" }),
  ];
  assert.deepEqual(reading.take(rows), ["Caller: Where is it?", "Agent: In Leeds.", "Priya: I am here."]);
  assert.deepEqual(reading.take(rows), []);
});

test("what is not final waits until it is, although later lines were read", () => {
  const reading = new Reading();
  const agent = utterance(2, "agent", "Yes.");
  assert.deepEqual(reading.take([utterance(1, "caller", "", { interim: "Is it" }), agent]), ["Agent: Yes."]);
  assert.deepEqual(reading.take([utterance(1, "caller", "Is it there?"), agent]), ["Caller: Is it there?"]);
});

test("of a line that grows the rest is read, and of one that was cut off nothing again", () => {
  const reading = new Reading();
  reading.take([utterance(1, "agent", "Yes. ")]);
  assert.deepEqual(reading.take([utterance(1, "agent", "Yes. Two copies.")]), ["Agent: Two copies."]);
  assert.deepEqual(reading.take([utterance(1, "agent", "Yes. Two")]), []);
});

test("an end whose reason nobody knows is told without one", () => {
  assert.equal(announcement(call(), call({ state: "ended" }), SAM), "Call ended");
});

test("of alarms that come one upon the other none is lost, and of other news the last one wins", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const [status, alarm] = [{ textContent: "" }, { textContent: "" }];
  const [says, alerts] = [new Announcer(status), new Announcer(alarm, 3000)];
  for (const sentence of ["One.", "Two.", "Three"]) {
    says.say(sentence);
    alerts.say(sentence);
  }
  assert.deepEqual([status.textContent, alarm.textContent], ["One.", "One."]);
  mock.timers.tick(1000);
  assert.deepEqual([status.textContent, alarm.textContent], ["Three", "One."]);
  mock.timers.tick(2000);
  assert.equal(alarm.textContent, "Two. Three");
  mock.timers.reset();
});
