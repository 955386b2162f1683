import assert from "node:assert/strict";
import { test } from "node:test";

import { LiveCalls } from "../../evibridge/web/console/live_calls.js";

const T0 = Date.parse("2026-11-28T09:00:00.000Z");
const moment = (seconds) => new Date(T0 + seconds * 1000).toISOString();

const call = (id, state = "listening", more = {}) => ({
  call_id: id, state, began_at: moment(0), agent: "Desk", caller: null, called: null, paused_by: null, held_by: null,
  taken_over_by: null, last_line: null, response_ms: null, approvals: [], tool: null, end_reason: null, ...more,
});

/** Live calls with a clock that the test sets. */
function started(...calls) {
  const clock = { second: 0, heard: () => {}, now: () => T0 + clock.second * 1000 };
  const live = new LiveCalls(clock);
  const tell = (type, told) => live.take({ type, call_id: null, at: moment(clock.second), calls: told });
  tell("snapshot", calls);
  const ids = (question = {}) => live.rows(question).map(({ call_id: id }) => id).join(" ");
  return { live, clock, ids, told: (...calls) => tell("summaries", calls), snapshot: (...calls) => tell("snapshot", calls) };
}

test("calls that need you come first, then broken ones, then those with people, then by start", () => {
  const { ids } = started(
    call("young", "agent_speaking", { began_at: moment(9) }), call("old", "paused", { began_at: moment(1) }),
    call("with", "taken_over"), call("broken", "reconnecting"), call("need", "needs_approval"),
  );
  assert.equal(ids(), "need broken with old young");
});

test("who speaks changes no place", () => {
  const { ids, told } = started(call("a"), call("b"), call("c"));
  for (const state of ["caller_speaking", "agent_speaking", "tool_running", "paused", "held"]) {
    told(call("b", state));
    assert.equal(ids(), "a b c");
  }
  told(call("b", "needs_approval"));
  assert.equal(ids(), "b a c");
});

test("whatever happens, the order is that of state and start, and frozen while it is held", () => {
  const states = ["listening", "agent_speaking", "needs_approval", "reconnecting", "taken_over", "unheard_of"];
  const rank = { needs_approval: 0, reconnecting: 1, taken_over: 2 };
  let seed = 7;
  const dice = (sides) => (seed = (seed * 48_271) % 2_147_483_647) % sides;
  const { live, told } = started();
  let before = [];
  let isHeld = false;
  for (let step = 0; step < 400; step += 1) {
    const number = dice(30);
    told(call(`call${number}`, states[dice(states.length)], { began_at: moment(number % 7) }));
    if (dice(8) === 0) live.holdOrder((isHeld = !isHeld) ? `call${number}` : null);
    const rows = live.rows({});
    const ids = rows.map(({ call_id: id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    if (isHeld) assert.deepEqual(ids.slice(0, before.length), before, `step ${step}`);
    const places = rows.map(({ state, began_at: began, call_id: id }) => [rank[state] ?? 3, began, id].join());
    if (!isHeld) assert.deepEqual(places, [...places].sort(), `step ${step}`);
    before = ids;
  }
  assert.ok(before.length > 20);
});

test("a state that nobody knows is shown as listening", () => {
  const { live } = started(call("a", "dreaming"));
  assert.equal(live.get("a").state, "listening");
});

test("a call that has ended stays in its place for three seconds", () => {
  const { live, clock, ids, told } = started(call("need", "needs_approval"), call("a"));
  told(call("need", "ended", { end_reason: "caller_hung_up" }));
  assert.equal(ids(), "need a");
  assert.deepEqual(live.counts(), { all: 1, needsYou: 0, slow: 0 });
  clock.second = 2.9;
  assert.equal(live.sweep(), false);
  clock.second = 3;
  assert.equal(live.sweep(), true);
  assert.deepEqual([ids(), live.get("need"), live.changed.has("need")], ["a", undefined, false]);
});

test("no row moves under the pointer although calls have ended, for a minute", () => {
  const { live, clock, ids, told } = started(call("a"), call("b"));
  ids();
  live.holdOrder("b");
  told(call("a", "ended"), call("b", "ended"));
  clock.second = 9;
  live.sweep();
  assert.equal(ids(), "a b");
  clock.second = 61;
  live.sweep();
  assert.equal(ids(), "b");
  live.holdOrder(null);
  live.sweep();
  assert.equal(ids(), "");
});

test("a snapshot voids what was known; who is missing has ended unseen", () => {
  const { live, clock, ids, snapshot } = started(call("a"), call("b"));
  snapshot(call("b", "paused"), call("c"));
  assert.deepEqual([live.get("a").state, live.get("b").state, ids()], ["ended", "paused", "a b c"]);
  assert.equal(live.counts().all, 2);
  clock.second = 3;
  live.sweep();
  assert.equal(ids(), "b c");
});

test("filters leave in what they name", () => {
  const { live, ids } = started(
    call("a", "needs_approval"), call("b", "listening", { response_ms: 801 }),
    call("c", "listening", { response_ms: 800, agent: "Orders" }), call("d", "paused", { agent: null }),
  );
  assert.equal(ids({ filter: "all" }), "a b c d");
  assert.equal(ids({ filter: "needs_you" }), "a");
  assert.equal(ids({ filter: "slow" }), "b");
  assert.equal(ids({ filter: "Orders" }), "c");
  assert.deepEqual(live.counts(), { all: 4, needsYou: 1, slow: 1 });
  assert.deepEqual(live.agents(), ["Desk", "Orders"]);
});

test("a search finds callers, ids, agents, last words, tools and people, all its words at once", () => {
  const { ids } = started(
    call("CA1", "tool_running", { caller: "+447700900142", tool: { name: "check_stock", since: moment(0) } }),
    call("CA2", "taken_over", { taken_over_by: "Priya", last_line: { who: "caller", text: "The INVOICE is wrong" } }),
    call("CA3", "needs_approval", { approvals: [{ name: "refund_order", expires_in_s: 9 }] }),
  );
  for (const [query, found] of [
    ["7700 0142", "CA1"], ["stock", "CA1"], ["priya", "CA2"], ["invoice wrong", "CA2"], ["refund", "CA3"],
    ["ca2", "CA2"], [" ", "CA3 CA2 CA1"], ["invoice right", ""],
  ]) assert.equal(ids({ query }), found, query);
  assert.equal(ids({ query: "parcel", found: new Set(["CA1"]) }), "CA1");
});

test("no row leaves by a filter while pointer or focus is in the list", () => {
  const { live, ids, told } = started(call("a", "needs_approval"), call("b"));
  const question = { filter: "needs_you" };
  assert.equal(ids(question), "a");
  live.holdOrder("a");
  told(call("a"), call("b", "needs_approval"));
  assert.equal(ids(question), "a b");
  assert.equal(ids({ filter: "slow" }), "");
  live.holdOrder(null);
  assert.equal(ids(question), "b");
});

test("rows are computed anew only when something has changed", () => {
  const { live, clock, told } = started(...Array.from({ length: 600 }, (_, index) => call(`c${index}`)));
  const rows = live.rows({});
  assert.equal(rows.length, 600);
  assert.equal(live.rows({ filter: "all" }), rows);
  clock.second = 60;
  live.sweep();
  assert.equal(live.rows({}), rows);
  live.changed.clear();
  told(call("c7", "paused"));
  assert.notEqual(live.rows({}), rows);
  assert.deepEqual([...live.changed], ["c7"]);
});

test("the last minute tells who spoke when", () => {
  const { live, clock, told } = started(call("a"));
  for (const [second, state] of [[10, "caller_speaking"], [12.5, "listening"], [14, "agent_speaking"]]) {
    clock.second = second;
    told(call("a", state));
  }
  clock.second = 16;
  const { caller, agent } = live.activity("a");
  assert.deepEqual([caller.length, agent.length], [60, 60]);
  assert.deepEqual(caller.slice(-7), [0, 1, 1, 0.5, 0, 0, 0]);
  assert.deepEqual(agent.slice(-3), [0, 1, 1]);
  clock.second = 80;
  assert.ok(live.activity("a").caller.every((share) => share === 0));
  assert.ok(live.activity("nobody").agent.every((share) => share === 0));
});

test("what nobody has seen is not drawn as speech", () => {
  const { live, clock, told, snapshot } = started(call("a"));
  told(call("a", "agent_speaking"));
  clock.second = 5;
  told(call("b"));
  clock.second = 20;
  snapshot(call("a", "agent_speaking"));
  clock.second = 21;
  const spoken = live.activity("a").agent.reduce((sum, share) => sum + share, 0);
  assert.equal(spoken, 6);
});

test("messages that are no summaries, and what is no call in them, are passed over", () => {
  const { live, ids } = started(call("a"));
  live.take({ type: "gap", call_id: null, at: moment(0), missed: 4 });
  live.take({ type: "snapshot", call_id: "a", at: moment(0), call: call("b") });
  live.take({ type: "summaries", call_id: null, at: moment(0), calls: [null, {}, call("c", "held", { approvals: undefined })] });
  assert.equal(ids(), "a c");
  assert.deepEqual(live.get("c").approvals, []);
});
