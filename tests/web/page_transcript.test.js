import assert from "node:assert/strict";
import { test } from "node:test";

import { MAX_ROWS, textOf, toolWords, Transcript } from "../../evibridge/web/caller/transcript.js";
import { fileName, transcriptText } from "../../evibridge/web/caller/transcript_text.js";

const caller = (text, more = {}) => ({ type: "transcript", by: "caller", text, ...more });
const agent = (id, text, more = {}) => ({ type: "transcript", by: "agent", id, text, ...more });
const heard = (id, text, complete) => ({ type: "heard", id, text, complete });
const tool = (id, state, words) => ({ type: "tool", id, name: "look_up", state, words });

/** A conversation in which this was told. */
function told(...messages) {
  const transcript = new Transcript();
  for (const message of messages) transcript.take(message);
  return transcript;
}

const lines = (transcript) => [...transcript.rows.values()].map(textOf);

test("an interim transcript is replaced in place by a later one", () => {
  const transcript = told(
    caller("Is there", { interim: true, at_s: 4 }),
    caller("Is there another", { interim: true, at_s: 5 }),
    caller("Is there another copy?", { at_s: 6 }),
    caller("And", { interim: true, at_s: 9 }),
  );
  assert.deepEqual(lines(transcript), [
    { final: "Is there another copy?", due: "" },
    { final: "", due: "And" },
  ]);
  assert.deepEqual([...transcript.rows.values()].map((row) => row.atS), [4, 9]);
});

test("an interim transcript that came to nothing is gone", () => {
  assert.deepEqual(lines(told(caller("Hm", { interim: true }), caller(""))), []);
  const transcript = told(caller("Hm", { interim: true }), caller(" "), caller("Yes."));
  assert.deepEqual(lines(transcript), [{ final: "Yes.", due: "" }]);
});

test("what was typed does not replace what is being said", () => {
  const transcript = told(
    caller("Is there", { interim: true }),
    caller("HB-10482", { typed: true }),
    caller("Is there more?"),
  );
  assert.deepEqual(
    lines(transcript).map((line) => line.final),
    ["Is there more?", "HB-10482"],
  );
});

test("sentences of one turn stand together, and are due until they were heard", () => {
  const transcript = told(agent("1", "Yes."), agent("2", "Two copies."), heard("1", "Yes.", true));
  assert.deepEqual(lines(transcript), [{ final: "Yes.", due: "Two copies." }]);
});

test("an utterance may come in several sentences", () => {
  const transcript = told(agent("1", "Yes."), agent("1", "Two copies."));
  transcript.take(heard("1", "Yes. Two", false));
  assert.deepEqual(lines(transcript), [{ final: "Yes. Two —", due: "" }]);
});

test("after a silence, a word of the caller or a tool the agent begins anew", () => {
  const yes = [agent("1", "Yes.", { at_s: 1 }), { ...heard("1", "Yes.", true), at_s: 2 }];
  assert.equal(told(...yes, agent("2", "Well?", { at_s: 4 })).rows.size, 1);
  assert.equal(told(...yes, agent("2", "Well?", { at_s: 5 })).rows.size, 2);
  assert.equal(told(...yes, caller("No."), agent("2", "Well?", { at_s: 3 })).rows.size, 3);
  assert.equal(told(...yes, tool("t", "done"), agent("2", "Well?", { at_s: 3 })).rows.size, 3);
});

test("a sentence that was not heard to its end finishes with a dash", () => {
  const transcript = told(agent("1", "It should be there."), heard("1", "It should ", false));
  assert.deepEqual(lines(transcript), [{ final: "It should —", due: "" }]);
});

test("a sentence that was not heard at all is not there", () => {
  const one = told(agent("1", "Yes."), agent("2", "And."), heard("2", "", false));
  assert.deepEqual(lines(one), [{ final: "", due: "Yes." }]);
  assert.deepEqual(lines(told(agent("1", "Yes."), heard("1", undefined, false))), []);
});

test("what was heard of something unknown changes nothing", () => {
  const transcript = told(agent("1", "Yes."), heard("9", "No.", true));
  assert.deepEqual(lines(transcript), [{ final: "", due: "Yes." }]);
});

test("expression comes with the caller's words, and after the agent's", () => {
  const calm = [{ name: "Calmness", score: 0.5 }];
  const joy = [{ name: "Joy", score: 0.4 }];
  const transcript = told(
    caller("Hello.", { expression: joy }),
    agent("1", "Yes.", { expression: joy }),
    { type: "expression", id: "1", expression: calm },
    { type: "expression", id: "9", expression: joy },
    { type: "expression", id: "1", expression: [] },
  );
  assert.deepEqual(
    [...transcript.rows.values()].map((row) => row.expression),
    [joy, calm],
  );
  assert.equal(transcript.hasExpression, true);
  assert.equal(told(caller("Hello.")).hasExpression, false);
});

test("expression without an utterance belongs to the agent's last", () => {
  const calm = [{ name: "Calmness", score: 0.5 }];
  const transcript = told(agent("1", "Yes."), caller("Well."), {
    type: "expression",
    expression: calm,
  });
  assert.deepEqual([...transcript.rows.values()][0].expression, calm);
});

test("a tool has one line, with its words", () => {
  const transcript = told(tool("1", "running", "Checking the shelves."), tool("1", "done"));
  const [row] = transcript.rows.values();
  assert.equal(transcript.rows.size, 1);
  assert.equal(toolWords(row.tool), "Checking the shelves");
});

test("a tool is told in words, whatever became of it", () => {
  assert.equal(toolWords({ id: "", state: "running", words: "" }), "Looking something up");
  assert.equal(toolWords({ id: "", state: "done", words: "" }), "Looked something up");
  assert.equal(toolWords({ id: "", state: "failed", words: "" }), "Looking it up did not work");
  assert.equal(
    toolWords({ id: "", state: "failed", words: "Checking." }),
    "Checking: it did not work",
  );
});

test("only what is final is given to be read aloud", () => {
  const transcript = new Transcript();
  assert.equal(transcript.take(caller("Hel", { interim: true })), null);
  assert.deepEqual(transcript.take(caller("Hello.")), { by: "caller", text: "Hello." });
  assert.deepEqual(transcript.take(agent("1", "Yes.")), { by: "agent", text: "Yes." });
  for (const message of [heard("1", "Yes.", true), tool("1", "done"), { type: "paused" }]) {
    assert.equal(transcript.take(message), null);
  }
});

test("what is told again after a lost connection is taken once", () => {
  const transcript = told(
    caller("Hello.", { seq: 3 }),
    caller("Hello.", { seq: 3 }),
    caller("Old.", { seq: 2 }),
    caller("Again.", { seq: 4 }),
  );
  assert.deepEqual(
    lines(transcript).map((line) => line.final),
    ["Hello.", "Again."],
  );
});

test("it is known which rows have changed or gone", () => {
  const transcript = told(caller("Hm", { interim: true }));
  assert.equal(transcript.changed.size, 1);
  transcript.changed.clear();
  transcript.take({ type: "resumed" });
  assert.equal(transcript.changed.size, 0);
  transcript.take(caller(""));
  assert.equal(transcript.changed.size, 1);
});

test("another call begins with an empty conversation", () => {
  const transcript = told(caller("Hello.", { seq: 7, expression: [{ name: "Joy", score: 1 }] }));
  transcript.changed.clear();
  transcript.clear();
  assert.equal(transcript.rows.size, 0);
  assert.equal(transcript.changed.size, 1);
  assert.equal(transcript.hasExpression, false);
  transcript.take(caller("Hello again.", { seq: 1 }));
  assert.equal(transcript.rows.size, 1);
});

test("a conversation that never ends drops its oldest rows", () => {
  const transcript = new Transcript();
  for (let index = 0; index <= MAX_ROWS; index += 1) transcript.take(caller(`Line ${index}`));
  assert.equal(transcript.rows.size, MAX_ROWS);
  assert.equal(transcript.dropped, 1);
  assert.equal(lines(transcript)[0].final, "Line 1");
  assert.match(transcriptText([], "A", new Date(), 1), /1 earlier lines are not kept/);
});

test("a conversation is saved as it was heard", () => {
  const transcript = told(
    agent("1", "Good\nafternoon.", { at_s: 1 }),
    heard("1", "Good\nafternoon.", true),
    caller("Hello.", { at_s: 66 }),
    { ...tool("t", "done", "Checking the shelves."), at_s: 70 },
    agent("2", "It should be there.", { at_s: 71 }),
    heard("2", "It should", false),
  );
  const text = transcriptText(transcript.rows.values(), "Harbour Books", new Date(), 0);
  assert.deepEqual(text.split("\n").slice(2), [
    " 0:01  Harbour Books: Good afternoon.",
    " 1:06  You: Hello.",
    " 1:10  [Checking the shelves]",
    " 1:11  Harbour Books: It should —",
    "",
  ]);
});

test("when the call is over nothing is due any more", () => {
  const transcript = told(
    agent("1", "Yes."),
    heard("1", "Yes.", true),
    agent("2", "There is one here."),
    agent("3", "Four are at the warehouse."),
    tool("t", "running"),
    agent("4", "Which one?", { at_s: 9 }),
    caller("The one", { interim: true, at_s: 10 }),
  );
  transcript.changed.clear();
  transcript.settle();
  assert.deepEqual(lines(transcript), [
    { final: "Yes. There is one here. — (not heard: Four are at the warehouse.)", due: "" },
    { final: "", due: "" },
    { final: "(not heard: Which one?)", due: "" },
    { final: "The one —", due: "" },
  ]);
  assert.equal(transcript.changed.size, 4);
  const { tool: left } = [...transcript.rows.values()][1];
  assert.deepEqual([left.state, toolWords(left)], ["left", "Looking something up"]);
  assert.match(
    transcriptText(transcript.rows.values(), "A", new Date(), 0),
    /A: \(not heard: Which one\?\)\n/,
  );
  transcript.changed.clear();
  transcript.settle();
  assert.equal(transcript.changed.size, 0, "what was settled stays");
});

test("a file is called after the agent and the time", () => {
  const when = new Date(2026, 0, 5, 9, 7);
  assert.equal(fileName("Harbour Books!", when), "Harbour-Books-2026-01-05-0907.txt");
  assert.equal(fileName("../äé", when), "äé-2026-01-05-0907.txt");
  assert.equal(fileName("...", when), "call-2026-01-05-0907.txt");
});

test("a person who speaks in the agent's place is heard at once, and has a row for each utterance", () => {
  const person = (text) => ({ type: "transcript", by: "person", text, interim: false });
  const transcript = told(agent("1", "One moment."), person("Good morning."), person("It is here."));
  assert.deepEqual(
    [...transcript.rows.values()].map((row) => [row.by, textOf(row).final]),
    [["agent", ""], ["person", "Good morning."], ["person", "It is here."]],
  );
  assert.match(
    transcriptText(transcript.rows.values(), "Desk", new Date(0), 0),
    /A person: Good morning\.\n.*A person: It is here\./,
  );
});
