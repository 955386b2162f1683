import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { silenceWords } from "../../evibridge/web/console/call_end.js";
import { OpenCall } from "../../evibridge/web/console/open_call.js";
import { nearestOf } from "../../evibridge/web/console/transcript_view.js";
import { at, BEGAN, caller, event } from "./console_story_told.js";

const CALL = { call_id: "CA1", state: "listening", began_at: at(0), lasts_s: 0, ended: null };
const NOT_YET = Object.assign(new Error("There is no record."), { status: 404, code: "record_not_found" });
const RECORD = { call_id: "CA1", began_at: at(0), events: [caller(1, "Hello?")], turns: [] };

/** All that is due is done. */
const settled = async () => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout"] });
  globalThis.window = new EventTarget();
  const page = { hidden: false, baseURI: "https://desk.example/console" };
  globalThis.document = Object.assign(new EventTarget(), page);
});
afterEach(() => mock.timers.reset());

/** A call that is opened, in a page whose sockets and service the test plays. */
async function opened({ known = CALL, record = async () => RECORD, call: one = async () => CALL } = {}) {
  const asked = [];
  const page = { known, isStale: false, call: one };
  const sockets = [];
  const missing = [];
  const states = [];
  const stories = [];
  globalThis.WebSocket = class extends EventTarget {
    constructor() {
      super();
      sockets.push(this);
    }
    close() {}
  };
  const api = {
    call: (id) => asked.push(`call ${id}`) && page.call(),
    record: (id) => asked.push(`record ${id}`) && record(),
  };
  const call = new OpenCall("CA1", {
    api,
    token: null,
    me: async () => "Sam",
    live: () => page.known,
    isStale: () => page.isStale,
    now: () => BEGAN,
    onStory: () => stories.push(call.story),
    onTold: () => states.push(call.summary().state),
    onMissing: (sentence) => missing.push(sentence),
  });
  await settled();
  const pass = async (ms) => {
    mock.timers.tick(ms);
    await settled();
  };
  const says = (told) => {
    const data = JSON.stringify(told);
    sockets.at(-1).dispatchEvent(new MessageEvent("message", { data }));
  };
  const ends = async () => {
    says(event("call_ended", 4, { reason: "caller_hung_up" }));
    await settled();
  };
  const opens = () => sockets.at(-1).dispatchEvent(new Event("open"));
  const loses = () => sockets.at(-1).dispatchEvent(Object.assign(new Event("close"), { code: 1006 }));
  return { call, page, asked, missing, states, stories, pass, says, ends, opens, loses };
}

test("a record is asked for when it is likely to be there, not before", async () => {
  const { call, asked, ends, pass } = await opened();
  await ends();
  await pass(299);
  assert.deepEqual(asked, []);
  await pass(1);
  assert.deepEqual(asked, ["record CA1", "call CA1"]);
  assert.equal(call.record, RECORD);
});

test("the end is told at once, and through whom it came", async () => {
  const { call, states, says, ends } = await opened();
  says(event("command_given", 3, { command: "hangup", by: "Priya" }));
  await ends();
  assert.equal(states.at(-1), "ended");
  assert.equal(call.summary().ended.by, "Priya");
});

test("a record that never comes is given up with a sentence", async () => {
  const { call, ends, pass } = await opened({ record: () => Promise.reject(NOT_YET) });
  await ends();
  assert.equal(silenceWords(call.record, call.whyNoRecord), "The record is being written.");
  for (let second = 0; second < 31; second += 1) await pass(1000);
  assert.equal(silenceWords(call.record, call.whyNoRecord), "No record was written of this call.");
});

test("a call that has ended is shown before its record is there", async () => {
  const ended = { ...CALL, state: "ended" };
  const { call, stories, pass } = await opened({ known: ended, record: () => Promise.reject(NOT_YET) });
  assert.equal(stories.length, 1);
  assert.deepEqual([call.summary().state, call.story.isOver], ["ended", true]);
  await pass(1000);
  assert.equal(stories.length, 1);
});

test("who waits for a call for long is told so", async () => {
  const { missing, pass } = await opened({ known: null, call: () => new Promise(() => {}) });
  await pass(999);
  assert.deepEqual(missing, []);
  await pass(1);
  assert.deepEqual(missing, ["Looking for this call."]);
});

test("a stream that is lost is known to be, until it is back", async () => {
  const { call, opens, loses, pass } = await opened();
  opens();
  assert.equal(call.lostAt, null);
  loses();
  assert.equal(call.lostAt, BEGAN);
  await pass(1000);
  opens();
  assert.equal(call.lostAt, null);
});

test("while the list does not come, what happens in the call is asked for", async () => {
  const { call, page, asked, says } = await opened();
  says(caller(1, "Hello?"));
  await settled();
  assert.deepEqual(asked, []);
  page.isStale = true;
  page.call = async () => ({ ...CALL, paused_by: "sam", state: "paused" });
  says(event("agent_paused", 2));
  says(caller(2, "Hel", { interim: true }));
  await settled();
  assert.deepEqual([asked, call.summary().paused_by], [["call CA1"], "sam"]);
  page.isStale = false;
  assert.equal(call.summary().paused_by, undefined, "the list knows it better");
});

test("the line where one was is found in another story by its time and kind", () => {
  const told = [[1, "utterance"], [3, "utterance"], [3.01, "tool"]];
  const rows = told.map(([atS, kind], key) => ({ key, atS, kind }));
  assert.equal(nearestOf(rows, 3.004, "tool").key, 2);
  assert.equal(nearestOf(rows, 3.004, "utterance").key, 1);
  assert.equal(nearestOf(rows, 0, "event").key, 0);
  assert.equal(nearestOf([], 0, "event"), null);
});
