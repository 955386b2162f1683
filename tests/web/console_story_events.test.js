import assert from "node:assert/strict";
import { test } from "node:test";

import {
  agent,
  approvalGiven,
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
  toolFinished,
  toolStarted,
} from "./console_story_told.js";

const tool = (call) => [...call.rows.values()].find((row) => row.kind === "tool");
const interrupted = (atS) => event("agent_interrupted", atS);

test("a caller who interrupts is told with what was heard until then", () => {
  const call = story(
    agent(1, "u1", "It left on the seventh."),
    agent(1.1, "u2", "It should arrive."),
    heard(7, "u1", "It left on the seventh.", 4000),
    caller(7.5, "Hm"),
    heard(8, "u2", "It should", 1800, 4100),
    heard(8, "u3", "", 0, 0),
    interrupted(8),
    caller(8, "No,", { interim: true }),
  );
  assert.deepEqual(lines(call).slice(2), [
    "cutin: Caller interrupted. | 1.8 of 4.1 s heard",
    "caller: (No,)",
  ]);
  assert.deepEqual(call.timeline.interruptions, [8]);
});

test("an interruption by a pause, a hold or a take over is not the caller's", () => {
  const cut = (atS) => [heard(atS, "u1", "Yes", 400, 900), interrupted(atS)];
  const call = story(
    agent(1, "u1", "Yes, we have."),
    command(2, "pause", "Sam"),
    ...cut(2),
    event("agent_paused", 2),
    command(3, "resume", "Sam"),
    event("agent_resumed", 3),
    command(4, "hold", "Priya"),
    ...cut(4),
    event("call_held", 4),
    command(5, "release", "Priya"),
    event("call_released", 5),
    ...cut(6),
    event("agent_paused", 6),
  );
  assert.deepEqual(lines(call).slice(1), [
    "quiet: You paused the agent.",
    "play: You resumed the agent.",
    "hold: Priya put the call on hold.",
    "play: Priya took the call off hold.",
    "quiet: Agent paused.",
  ]);
  assert.deepEqual(call.timeline.interruptions, []);
  assert.deepEqual(call.timeline.gaps, [{ why: "On hold", fromS: 4, toS: 5 }]);
});

test("a pause long after an interruption, or a command, has nothing to do with it", () => {
  const call = story(
    agent(1, "u1", "Yes, we have."),
    heard(2, "u1", "Yes,", 900, 2000),
    interrupted(2),
    caller(3, "No."),
    command(4, "pause", "Sam"),
    event("agent_paused", 4),
    caller(5, "Hello?"),
    event("agent_paused", 6),
  );
  assert.deepEqual(lines(call).slice(1), [
    "cutin: Caller interrupted. | 0.9 of 2.0 s heard",
    "caller: No.",
    "quiet: You paused the agent.",
    "caller: Hello?",
    "quiet: Agent paused.",
  ]);
});

test("who takes a call over is told once, with all that it does to the agent", () => {
  const call = story(
    command(1, "takeover", "Sam"),
    interrupted(1),
    event("agent_paused", 1),
    event("call_released", 1),
    event("call_taken_over", 1, { by: "Sam" }),
    command(2, "say", "Sam", "Good afternoon."),
    operator(2, "Good afternoon.", { by: "Sam", is_spoken: false }),
    command(3, "handback", "Priya"),
    event("call_handed_back", 3, { by: "Priya" }),
    event("agent_resumed", 3),
    event("call_taken_over", 4, { by: "Priya" }),
    event("call_handed_back", 64, { by: null }),
    event("agent_resumed", 64),
    command(65, "say", "Sam", "Bye."),
  );
  assert.deepEqual(lines(call), [
    "man: You took over. | The agent is paused.",
    "operator: Good afternoon.",
    "man: Priya handed back. | The agent goes on.",
    "man: Priya took over. | The agent is paused.",
    "man: Handed back: | nothing was seen of Priya for a minute.",
    "send: You had this said | “Bye.”",
  ]);
});

test("a caller who pauses is told as the caller", () => {
  const call = story(command(1, "pause", "the caller"), event("agent_paused", 1));
  assert.deepEqual(lines(call), ["quiet: The caller paused the agent."]);
});

test("what operators ask for is told with their names", () => {
  const call = story(
    command(1, "whisper", "Sam", "Refund the postage too."),
    command(2, "context", "Priya", "She is a regular."),
    command(3, "context", "Priya"),
    command(4, "variables", "Sam", "name, city"),
    command(5, "inject", "Priya", "Refund it."),
    command(6, "send", "Sam", "session_settings"),
    command(7, "transfer", "Priya", "+442079460100"),
    event("hang_up_decided", 7, { reason: "transferred" }),
    event("call_ended", 8, { reason: "transferred" }),
  );
  assert.deepEqual(lines(call), [
    "note: You whispered | “Refund the postage too.”",
    "note: Priya gave context | “She is a regular.”",
    "note: Priya took back the context.",
    "note: You set variables. | name, city",
    "send: Priya wrote for the caller | “Refund it.”",
    "send: You sent a message to the chat. | session_settings",
    "fwd: Priya transferred the call | to +442079460100",
    "end: Transferred to +442079460100.",
  ]);
});

test("the end of a call names the operator who hung up", () => {
  const end = (by) => story(command(1, "hangup", by), event("call_ended", 2, { reason: "operator_hung_up" }));
  assert.deepEqual(lines(end("Priya")), ["end: Priya hung up.", "end: Hung up by Priya."]);
  assert.deepEqual(lines(end("Sam")), ["end: You hung up.", "end: Hung up by you."]);
});

test("an agent that ends the call by itself is told", () => {
  const decided = (reason) => lines(story(event("hang_up_decided", 1, { reason })));
  assert.deepEqual(decided("agent_hung_up"), ["end: Agent hangs up | after its last words"]);
  assert.deepEqual(decided("transferred"), ["fwd: Agent transfers the call."]);
  assert.deepEqual(decided("max_duration"), []);
});

test("a lost side is one row, which tells how long it was away once it is back", () => {
  const call = story(
    event("chat_opened", 0, { chat_id: "ch-1", why: "first" }),
    event("chat_lost", 10, { code: 1006, error: null }),
    caller(10.5, "Hello?"),
  );
  assert.deepEqual(lines(call), ["link: EVI server lost. | Reconnecting", "caller: Hello?"]);
  assert.equal(call.timeline.gaps[0].toS, null);
  call.take(event("chat_opened", 11.3, { chat_id: "ch-2", why: "resumed" }));
  call.take(event("caller_lost", 20));
  call.take(event("caller_returned", 22));
  call.take(event("chat_opened", 30, { chat_id: "ch-3", why: "renewed" }));
  call.take(event("chat_lost", 40));
  call.take(event("chat_opened", 42.5, { chat_id: "ch-4", why: "afresh" }));
  assert.deepEqual(lines(call), [
    "link: Reconnected. | 1.3 s",
    "caller: Hello?",
    "link: Reconnected. | 2.0 s",
    "link: Reconnected. | 2.5 s, to a new chat",
  ]);
  assert.deepEqual(call.timeline.gaps.map((gap) => gap.why), Array(3).fill("Reconnecting"));
});

test("keys are one row until the model was told", () => {
  const press = (atS, digit) => event("digit_pressed", atS, { digit });
  const call = story(press(1, "1"));
  assert.deepEqual(lines(call), ["keys: 1 key pressed. | 1"]);
  for (const each of [press(2, "2"), press(2.5, "#")]) call.take(each);
  call.take(event("digits_entered", 3, { digits: "12#" }));
  call.take(press(4, "9"));
  call.take(caller(5, "Nine."));
  call.take(press(6, "8"));
  assert.deepEqual(lines(call), [
    "keys: 3 keys pressed. | 12#",
    "keys: 1 key pressed. | 9",
    "caller: Nine.",
    "keys: 1 key pressed. | 8",
  ]);
});

test("the rest of what happens is told in words", () => {
  const call = story(
    event("call_dialled", 0, { to: "+4420", by: "Sam" }),
    event("call_began", 4, { kind: "phone", direction: "outbound" }),
    event("caller_muted", 5, { is_muted: true }),
    event("caller_muted", 6, { is_muted: false }),
    event("digits_sent", 7, { digits: "1#" }),
    event("recording_failed", 8, { why: "The disk is full." }),
    event("server_reported_error", 9, { code: "E0714", slug: "quota", text: "No credits." }),
  );
  assert.deepEqual(lines(call), [
    "phone: You called | +4420",
    "phone: Answered.",
    "micoff: Caller muted.",
    "mic: Caller unmuted.",
    "keys: Keys sent. | 1#",
    "x: Recording failed. | The disk is full.",
    "x: EVI server error. | No credits.",
  ]);
});

test("a tool stays in its row from call to answer", () => {
  const call = story(toolStarted(1, "t1"), agent(1.5, "u1", "One moment."));
  assert.deepEqual([tool(call).state, tool(call).parameters], ["running", '{"id": 1}']);
  call.changed.clear();
  call.take(toolFinished(2, "t1", "answered", '{"held": true}'));
  assert.deepEqual([...call.changed], [tool(call).key]);
  assert.deepEqual(lines(call), ["tool refund_order done", "agent: One moment."]);
  const { result, durationMs, path } = tool(call);
  assert.deepEqual([result, durationMs, path], ['{"held": true}', 400, "socket"]);
  call.take(event("tool_delivered", 5, { tool_call_id: "t1", name: "refund_order", outcome: "failed" }));
  assert.deepEqual([tool(call).state, tool(call).outcome], ["failed", "failed"]);
});

test("a tool that was called before the story began has its row when it is over", () => {
  const call = story(toolFinished(9, "t0", "timeout", null));
  assert.deepEqual([tool(call).state, tool(call).atS, tool(call).outcome], ["failed", 8.6, "timeout"]);
});

test("a tool that needs approval waits until somebody has decided", () => {
  const call = story(toolStarted(1, "t1"), approvalWanted(1, "t1", 44), approvalWanted(1.1, "t2", 9));
  assert.deepEqual(call.approvals[0], {
    toolCallId: "t1",
    name: "refund_order",
    parameters: '{"id": 1}',
    expiresAt: Date.parse(at(45)),
    timeoutS: 44,
  });
  assert.deepEqual(lines(call), ["tool refund_order waiting", "tool refund_order waiting"]);
  assert.equal(call.timeline.tools[0].isWaiting, true);
  call.take(approvalGiven(5, "t1", true, "Priya"));
  assert.deepEqual([tool(call).state, tool(call).decision], ["running", "Approved by Priya"]);
  assert.equal(call.timeline.tools[0].isWaiting, false);
  assert.deepEqual(call.lastDecision, { name: "refund_order", isApproved: true, by: "Priya", atS: 5 });
  assert.deepEqual(call.approvals.map((each) => each.toolCallId), ["t2"]);
  call.take(approvalGiven(6, "t2", false, "Sam"));
  assert.deepEqual([...call.rows.values()][1].decision, "Declined by you");
  assert.deepEqual(call.approvals, []);
});

test("nobody is asked any more about a tool that is over, nor when the call is", () => {
  const superseded = story(approvalWanted(1, "t1"), toolFinished(2, "t1", "superseded", null));
  assert.deepEqual([superseded.approvals, tool(superseded).state], [[], "failed"]);
  const ended = story(approvalWanted(1, "t1"), event("call_ended", 2, { reason: "caller_hung_up" }));
  assert.deepEqual(ended.approvals, []);
});

test("another chat may give its own tools the ids of the last one", () => {
  const call = story(toolStarted(1, "t1"), toolFinished(2, "t1"), toolStarted(3, "t1"));
  assert.deepEqual(lines(call), ["tool refund_order done", "tool refund_order running"]);
});

test("a call that is on hold, or taken over, when one looks is so until that is told to end", () => {
  const held = story(snapshot(10, { held_by: "Sam" }), event("call_released", 12));
  assert.deepEqual(held.timeline.gaps, [{ why: "On hold", fromS: 10, toS: 12 }]);
  const taken = story(snapshot(10, { taken_over_by: "Sam" }), command(11, "say", "Sam", "Hi."));
  assert.deepEqual(lines(taken), []);
});

test("a call that is being reconnected when one looks says so when it is back", () => {
  const call = story(snapshot(10, { state: "reconnecting", caller_is_away: true, lines: [] }));
  assert.deepEqual(lines(call), ["link: Caller’s line lost. | Reconnecting"]);
  call.take(event("caller_returned", 12));
  assert.deepEqual(lines(call), ["link: Reconnected. | 2.0 s"]);
});
