import assert from "node:assert/strict";
import { test } from "node:test";

import { storyOfRecord } from "../../evibridge/web/console/call_story.js";
import { BEGAN, event, snapshot, story } from "./console_story_told.js";

const TYPES = `call_dialled call_began chat_opened chat_lost caller_lost caller_returned
  filler_played caller_muted digit_pressed digits_entered hang_up_decided caller_said agent_said
  agent_sounded turn_answered agent_heard agent_interrupted tool_started tool_finished
  tool_delivered approval_wanted approval_given command_given recording_failed digits_sent
  agent_paused agent_resumed call_held call_released call_taken_over call_handed_back
  operator_said server_reported_error gap levels snapshot unheard_of`.split(/\s+/);
const TEXTS = ["Yes.", "Two copies, at the harbour.", "", " ", "<b>", "👩‍👩‍👧", undefined, null, 7, {}, []];
const IDS = ["a", "b", "c", "~unnamed 1", "", undefined, null, 3];
const NUMBERS = [0, 1, 400, 900.5, -3, NaN, Infinity, undefined, null, "12", {}];
const TOLD = ["text", "text_heard", "by", "name", "parameters", "content", "digit", "digits"];
const TRUTHS = ["interim", "typed", "is_spoken", "by_caller", "is_approved"];
const COUNTED = `at_s heard_ms sent_ms response_ms timeout_s expires_in_s duration_ms spoke_ms missed caller
  agent`.split(/\s+/);
const COMMANDS = "say pause hold takeover handback whisper transfer hangup toString".split(" ");

/** Numbers from 0 to 1 that are the same for the same seed. */
function seeded(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function anything(random, atS) {
  const one = (choices) => choices[Math.floor(random() * choices.length)];
  const some = (choices, ...names) => Object.fromEntries(names.map((name) => [name, one(choices)]));
  const texts = () => some(TEXTS, ...TOLD);
  const ids = () => some(IDS, "utterance_id", "tool_call_id");
  const truths = () => some([true, false, undefined, null, "yes"], ...TRUTHS);
  const numbers = () => some(NUMBERS, ...COUNTED);
  const line = () => ({
    ...texts(),
    ...ids(),
    ...numbers(),
    is_over: one([true, false]),
    who: one(["agent", "caller", "operator", 1]),
    scores: one([null, [null, { name: "Joy", score: 1 }], "x"]),
  });
  const lines = one([undefined, null, "x", [line(), null, line(), line()]]);
  const approvals = [{ ...texts(), ...ids(), ...numbers() }, null];
  const state = one(["reconnecting", "held"]);
  return event(one(TYPES), atS, {
    ...texts(),
    ...ids(),
    ...truths(),
    ...numbers(),
    at_s: atS / 2,
    who: one(["agent", "caller"]),
    scores: one([undefined, null, 3, "abc", {}, { Joy: one(NUMBERS), Calm: 0.5 }]),
    outcome: one(["answered", "timeout", null, 3]),
    command: one(COMMANDS),
    reason: one(["transferred", "operator_hung_up", "toString", null]),
    kind: one(["phone", "sidecar", null]),
    why: one(["first", "resumed", "afresh", null]),
    call: one([undefined, null, "x", { lines, approvals, state }]),
    ...(random() < 0.05 ? { at: one(TEXTS) } : {}),
    ...(random() < 0.05 ? { seq: one([0, 1, -3, "12", null, undefined]) } : {}),
  });
}

test("whatever is told in whatever order, rows stay in order and nothing is thrown", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const random = seeded(seed);
    const call = story(snapshot(0, {}));
    const told = [];
    for (let step = 0; step < 200; step += 1) {
      told.push(anything(random, step / 4));
      const before = new Map([...call.rows].map(([key, row]) => [key, JSON.stringify(row)]));
      call.changed.clear();
      call.take(told.at(-1));
      const where = `seed ${seed}, step ${step}: ${JSON.stringify(told.at(-1))}`;
      const keys = [...call.rows.keys()];
      assert.deepEqual(keys, [...keys].sort((one, other) => one - other), where);
      for (const key of new Set([...keys, ...before.keys()])) {
        const isSame = before.get(key) === JSON.stringify(call.rows.get(key));
        assert.ok(isSame || call.changed.has(key), `a change of row ${key} is not told; ${where}`);
      }
      for (const row of call.rows.values()) assert.ok(row.atS >= 0, where);
      const waiting = [...call.rows.values()].filter((row) => row.state === "waiting");
      assert.equal(call.approvals.length, waiting.length, where);
      for (const { fromS, toS } of [...call.timeline.turns, ...call.timeline.tools, ...call.timeline.gaps]) {
        assert.ok(fromS >= 0 && (toS === null || toS >= fromS), `${fromS} to ${toS}; ${where}`);
      }
    }
    call.figures();
    call.take(event("call_ended", 100, { reason: "caller_hung_up" }));
    assert.ok(call.isOver && call.approvals.length === 0);
    const record = { began_at: new Date(BEGAN).toISOString(), turns: told, events: told.slice(100) };
    assert.ok(storyOfRecord(record, "Sam").isOver);
  }
});
