/** Builders of what a call's stream tells. */

import { CallStory } from "../../evibridge/web/console/call_story.js";

export const BEGAN = Date.parse("2026-11-28T14:30:32.000Z");

let seq = 0;

/** The moment so many seconds after the call's beginning. */
export const at = (seconds) => new Date(BEGAN + seconds * 1000).toISOString();

/** An event of the call, newer than all before it. */
export const event = (type, atS, members = {}) => ({
  type,
  call_id: "CA1",
  seq: (seq += 3),
  at: at(atS),
  ...members,
});

export const caller = (atS, text, more = {}) =>
  event("caller_said", atS, { text, interim: false, typed: false, scores: null, by_caller: true, ...more });

export const agent = (atS, id, text) => event("agent_said", atS, { utterance_id: id, text });

export const heard = (atS, id, text, heardMs, sentMs = heardMs) =>
  event("agent_heard", atS, { utterance_id: id, text_heard: text, heard_ms: heardMs, sent_ms: sentMs });

export const operator = (atS, text, more = {}) =>
  event("operator_said", atS, { text, by: "Priya", interim: false, is_spoken: true, ...more });

export const command = (atS, name, by, text = null) =>
  event("command_given", atS, { command: name, by, text });

export const toolStarted = (atS, id, name = "refund_order") =>
  event("tool_started", atS, { tool_call_id: id, name, parameters: '{"id": 1}', path: "socket" });

export const toolFinished = (atS, id, outcome = "answered", content = "ok") =>
  event("tool_finished", atS, { tool_call_id: id, name: "refund_order", outcome, content, duration_ms: 400 });

export const approvalWanted = (atS, id, timeoutS = 60) =>
  event("approval_wanted", atS, {
    tool_call_id: id,
    name: "refund_order",
    parameters: '{"id": 1}',
    timeout_s: timeoutS,
  });

export const approvalGiven = (atS, id, isApproved, by) =>
  event("approval_given", atS, { tool_call_id: id, name: "refund_order", is_approved: isApproved, by });

export const snapshot = (atS, call) => event("snapshot", atS, { call });

/** The story of a call in which this was told; Sam reads it. */
export function story(...told) {
  const call = new CallStory(BEGAN, "Sam");
  for (const each of told) call.take(each);
  return call;
}

/** Rows as short texts: who, what, [what was not heard], (interim). */
export function lines(call) {
  return [...call.rows.values()].map((row) => {
    if (row.kind === "tool") return `tool ${row.name} ${row.state}`;
    if (row.kind === "event") return `${row.icon}: ${[row.fact, row.rest].filter(Boolean).join(" | ")}`;
    const text = row.text + (row.unheard && ` [${row.unheard}]`) + (row.interim && `(${row.interim})`);
    return `${row.who}: ${text.trim()}`;
  });
}
