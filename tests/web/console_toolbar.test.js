import assert from "node:assert/strict";
import { test } from "node:test";

import { headWords, partiesOf } from "../../evibridge/web/console/call_header.js";
import { recordFileName, silenceWords } from "../../evibridge/web/console/call_end.js";
import { composerFor, voiceWords } from "../../evibridge/web/console/composer.js";
import { nextOf } from "../../evibridge/web/console/one_tab_stop.js";
import { controlsFor, toggleOf } from "../../evibridge/web/console/toolbar.js";

const SAM = { name: "Sam", scope: "control" };
const WALL = { name: "wall", scope: "read" };
const IDLE = { isPending: () => false, hearing: "off", isSpeaking: false };

const call = (more = {}) => ({
  call_id: "c_7Hq2mZ0d",
  kind: "phone",
  direction: "inbound",
  state: "listening",
  began_at: "2026-11-28T14:30:32.000Z",
  lasts_s: 96,
  agent: "Desk",
  caller: "+447700900142",
  called: "+442079460100",
  paused_by: null,
  held_by: null,
  taken_over_by: null,
  end_reason: null,
  approvals: [],
  tool: null,
  ended: null,
  ...more,
});

/** Buttons by name. */
const buttons = (summary, me = SAM, doing = {}) =>
  Object.fromEntries(controlsFor(summary, me, { ...IDLE, ...doing }).map((one) => [one.name, one]));
const words = (summary, me, doing) => Object.values(buttons(summary, me, doing)).map(({ word }) => word);
const able = (summary, me, doing) =>
  Object.values(buttons(summary, me, doing)).flatMap(({ word, isDisabled }) => (isDisabled ? [] : word));

test("a phone call has every button, in one order, and each names its key", () => {
  assert.deepEqual(words(call()), ["Listen", "Pause", "Hold", "Take over", "Transfer", "Hang up"]);
  assert.deepEqual(able(call()), words(call()));
  const titles = Object.values(buttons(call())).map(({ title }) => title);
  assert.deepEqual(titles, ["Listen (L)", "Pause (P)", "Hold (H)", "Take over (O)", "Transfer (F)",
    "Hang up (Shift+X)"]);
});

test("a call from a browser cannot be transferred, a sidecar can only be paused", () => {
  assert.deepEqual(words(call({ kind: "browser" })), ["Listen", "Pause", "Hold", "Take over", "Hang up"]);
  assert.deepEqual(words(call({ kind: "sidecar" })), ["Pause"]);
});

test("a call that is paused or held shows what undoes it", () => {
  const { pause, hold } = buttons(call({ state: "paused", paused_by: "Priya", held_by: "Sam" }));
  assert.deepEqual([pause.word, pause.isPressed, pause.icon], ["Resume", true, "play"]);
  assert.deepEqual([hold.word, hold.isPressed], ["Release", true]);
  assert.equal(buttons(call()).pause.isPressed, false);
});

test("while a call rings it can be hung up, and while it ends, at once", () => {
  const ringing = buttons(call({ state: "ringing" }));
  assert.deepEqual(able(call({ state: "ringing" })), ["Hang up"]);
  assert.equal(ringing.pause.title, "Nobody has answered yet.");
  assert.equal(ringing.listen.title, "Nobody has answered yet.");
  const ending = buttons(call({ state: "ending" }));
  assert.deepEqual(able(call({ state: "ending" })), ["Hang up"]);
  assert.equal(ending.hangUp.title, "Hang up at once (Shift+X)");
  assert.equal(ending.hold.title, "The call is ending.");
  assert.deepEqual(controlsFor(call({ state: "ended" }), SAM, IDLE), []);
});

test("whoever may only read can listen", () => {
  assert.deepEqual(able(call(), WALL), ["Listen"]);
  const { pause, hangUp } = buttons(call(), WALL);
  assert.equal(pause.title, "You can watch, not act.");
  assert.equal(hangUp.title, "You can watch, not act.");
});

test("my call is handed back, somebody else's says with whom it is", () => {
  const mine = call({ state: "taken_over", taken_over_by: "Sam", paused_by: "Sam" });
  assert.deepEqual(words(mine), ["Listen", "Hold", "Hand back", "Transfer", "Hang up"]);
  assert.equal(buttons(mine).takeOver.isPressed, true);
  const hers = buttons(call({ state: "taken_over", taken_over_by: "Priya" }));
  assert.deepEqual([hers.takeOver.word, hers.takeOver.title], ["Hand back", "With Priya"]);
  assert.notEqual(hers.takeOver.isPressed, true);
  assert.equal(hers.takeOver.isDisabled, false);
  assert.equal(hers.pause, undefined);
});

test("listening can always be stopped, and is not offered while one speaks", () => {
  const on = buttons(call({ state: "ending" }), SAM, { hearing: "on" }).listen;
  assert.deepEqual([on.isPressed, on.isDisabled, on.title], [true, false, "Stop listening (L)"]);
  assert.equal(buttons(call(), SAM, { hearing: "connecting" }).listen.isPending, true);
  assert.equal(buttons(call(), SAM, { hearing: "failed" }).listen.isPressed, false);
  const speaking = buttons(call(), SAM, { isSpeaking: true }).listen;
  assert.deepEqual([speaking.isDisabled, speaking.title], [true, "You hear the caller while you speak."]);
});

test("only the control whose command is on its way turns", () => {
  const { pause, hold } = buttons(call(), SAM, { isPending: (name) => name === "pause" });
  assert.deepEqual([pause.isPending, hold.isPending], [true, false]);
});

test("a button with two states asks for the other one, and waits until it is seen", () => {
  let now = call();
  const takeOver = toggleOf("takeOver", () => now);
  assert.equal(takeOver.path, "takeover");
  assert.equal(takeOver.until(), false);
  now = call({ taken_over_by: "Sam", paused_by: "Sam", held_by: "Sam" });
  assert.equal(takeOver.until(), true);
  const paths = ["takeOver", "pause", "hold"].map((name) => toggleOf(name, () => now).path);
  assert.deepEqual(paths, ["handback", "resume", "release"]);
});

test("arrows go round in a row, and other keys nowhere", () => {
  assert.equal(nextOf("ArrowRight", 2, 3), 0);
  assert.equal(nextOf("ArrowLeft", 0, 3), 2);
  assert.equal(nextOf("End", 0, 3), 2);
  assert.equal(nextOf("Home", 2, 3), 0);
  assert.equal(nextOf("x", 1, 3), -1);
  assert.equal(nextOf("ArrowRight", -1, 3), -1);
});

test("arrows of a list end with its last row", () => {
  assert.equal(nextOf("ArrowDown", 2, 3, false), 2);
  assert.equal(nextOf("ArrowUp", 0, 3, false), 0);
  assert.equal(nextOf("ArrowDown", 0, 3, false), 1);
});

test("the placeholder tells who hears it", () => {
  assert.equal(composerFor(call(), SAM, true, "say").hint, "The agent says this to the caller");
  assert.equal(composerFor(call(), SAM, true, "whisper").hint, "Only the agent reads this");
  assert.deepEqual(composerFor(call(), SAM, true, "say").modes, ["say", "whisper"]);
});

test("the microphone is there for who has the call alone, where the service takes it", () => {
  const mine = call({ state: "taken_over", taken_over_by: "Sam", paused_by: "Sam" });
  assert.deepEqual(composerFor(mine, SAM, true, "speak").modes, ["say", "whisper", "speak"]);
  assert.equal(composerFor(mine, SAM, true, "speak").mode, "speak");
  assert.equal(composerFor(mine, SAM, false, "speak").mode, "say");
  assert.equal(composerFor(call({ taken_over_by: "Priya" }), SAM, true, "speak").mode, "say");
  assert.equal(composerFor(call(), SAM, true, "speak").mode, "say");
});

test("what the caller would not hear cannot be said, and the field tells why", () => {
  const whyNot = (more, mode = "say", me = SAM) => composerFor(call(more), me, true, mode).whyNot;
  assert.match(whyNot({ paused_by: "Priya" }), /^The agent is paused\. Resume it, or take over/);
  assert.match(whyNot({ held_by: "Priya" }), /on hold/);
  assert.match(whyNot({ taken_over_by: "Priya", paused_by: "Priya" }), /with Priya/);
  assert.equal(whyNot({ taken_over_by: "Sam", paused_by: "Sam" }), "");
  assert.match(whyNot({ taken_over_by: "Sam", held_by: "Sam" }, "speak"), /on hold/);
  assert.equal(whyNot({ paused_by: "Priya", held_by: "Priya" }, "whisper"), "");
  assert.equal(whyNot({ state: "ending" }, "whisper"), "The call is ending.");
  assert.equal(whyNot({}, "whisper", WALL), "You can watch, not act.");
});

test("the title tells the state, and who has a call that waits for an approval as well", () => {
  const now = Date.parse("2026-11-28T14:32:08.000Z");
  const head = (more) => headWords(call(more), SAM, now);
  assert.deepEqual(head({ state: "needs_approval" }), { word: "Needs approval", tone: "now" });
  assert.deepEqual(head({ state: "agent_speaking" }), { word: "Agent speaking", tone: "now calm" });
  assert.deepEqual(head({ state: "reconnecting" }), { word: "Reconnecting", tone: "now bad" });
  const mine = { word: "With you", tone: "now off" };
  assert.deepEqual(head({ state: "taken_over", taken_over_by: "Sam" }), mine);
  assert.deepEqual(head({ state: "needs_approval", taken_over_by: "Sam" }), mine);
  const ended = head({ state: "ended", end_reason: "caller_hung_up" });
  assert.deepEqual(ended, { word: "Caller hung up", tone: "now off" });
  assert.equal(head({ state: "ended", end_reason: "caller_lost" }).tone, "now bad");
});

test("the title tells whom a call is for, or from whom it was made", () => {
  assert.deepEqual(partiesOf(call()), ["to Desk"]);
  assert.deepEqual(partiesOf(call({ agent: null })), ["to +442079460100"]);
  assert.deepEqual(partiesOf(call({ direction: "outbound" })), ["from Desk"]);
  assert.deepEqual(partiesOf(call({ caller: null, agent: null, called: null })), ["mZ0d"]);
});

test("an ended call has its recording, or says why it has none", () => {
  assert.equal(silenceWords(null), "The record is being written.");
  assert.equal(silenceWords({ recording: null }), "This call was not recorded.");
  const failure = "The disk was full.";
  assert.equal(silenceWords({ recording: { file: null, failure } }), failure);
  assert.equal(silenceWords({ recording: { file: "a.wav", failure } }), "");
});

test("a record is saved under a name that every system takes", () => {
  assert.equal(recordFileName("CA4f0c"), "evibridge-CA4f0c.json");
  assert.equal(recordFileName("a/../b:c"), "evibridge-a_.._b_c.json");
});

test("while the microphone is on nothing is said in the agent's voice, and one can whisper", () => {
  const mine = call({ state: "taken_over", taken_over_by: "Sam", paused_by: "Sam" });
  assert.match(composerFor(mine, SAM, true, "say", true).whyNot, /^The caller hears you\. Stop speaking/);
  assert.equal(composerFor(mine, SAM, true, "whisper", true).whyNot, "");
  assert.equal(composerFor(mine, SAM, true, "speak", true).whyNot, "");
});

test("who speaks by microphone reads whether the caller hears him", () => {
  const free = { held_by: null };
  assert.equal(voiceWords(free, "on", ""), "The caller hears you");
  assert.equal(voiceWords({ held_by: "sam" }, "on", ""), "On hold: the caller does not hear you");
  assert.equal(voiceWords(free, "connecting", "no"), "Connecting your microphone");
  assert.equal(voiceWords(free, "off", "The call is on hold."), "The call is on hold.");
  assert.equal(voiceWords(free, "failed", ""), "Your microphone is off");
});
