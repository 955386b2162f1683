import assert from "node:assert/strict";
import { test } from "node:test";

import {
  factsOf, pieceEnd, prettyJson, sizeWords, tookWords,
} from "../../evibridge/web/console/tool_row.js";

const tool = (more = {}) => ({
  parameters: '{"a": 1}', result: null, state: "done", path: "socket", outcome: null, decision: null,
  durationMs: null, atS: 20, ...more,
});

test("a function that runs tells how long it has, and one that is over how long it took", () => {
  assert.equal(tookWords(tool({ state: "running" }), 23.9), "3 s");
  assert.equal(tookWords(tool({ state: "running" }), 19), "0 s");
  assert.equal(tookWords(tool({ durationMs: 412.3 }), 99), "412 ms");
  assert.equal(tookWords(tool({ durationMs: 999.7 }), 99), "1.0 s");
  assert.equal(tookWords(tool({ durationMs: 2140 }), 99), "2.1 s");
  assert.equal(tookWords(tool({ durationMs: 59_990 }), 99), "1:00");
  assert.equal(tookWords(tool({ durationMs: 99_000 }), 99), "1:39");
  assert.equal(tookWords(tool(), 99), "");
});

test("an open row tells the way by which a call came, and how it ended", () => {
  const cameBy = (more) => factsOf(tool(more)).find(([label]) => label === "Came by")?.[1];
  assert.equal(cameBy({ outcome: "answered" }), "chat socket, answered once");
  assert.equal(cameBy({ path: "mirror", outcome: "superseded" }), "mirror, somebody else answered first");
  assert.equal(cameBy({ path: "webhook" }), "webhook");
  assert.equal(cameBy({ outcome: "timeout" }), "chat socket, failed: timeout");
});

test("result and decision are shown if there are any", () => {
  const labels = (more) => factsOf(tool(more)).map(([label]) => label);
  assert.deepEqual(labels({}), ["Arguments", "Came by"]);
  assert.deepEqual(
    labels({ result: "", decision: "Approved by Sam" }),
    ["Arguments", "Result", "Came by", "Decision"],
  );
});

test("JSON gets lines of its own, and its values stay as they were written", () => {
  const text = '{"order_id": 12345678901234567890, "amount": 12.90, "note": "a, {b}: \\"c\\"", '
    + '"none": {  }, "list": [1,\n2]}';
  assert.equal(
    prettyJson(text),
    '{\n  "order_id": 12345678901234567890,\n  "amount": 12.90,\n  "note": "a, {b}: \\"c\\"",\n'
      + '  "none": {  },\n  "list": [\n    1,\n    2\n  ]\n}',
  );
});

test("what is short, long or no JSON stays as it is", () => {
  const long = JSON.stringify(Array(9000).fill(1));
  assert.ok(long.length < 20_000 && prettyJson(long) !== long);
  for (const text of ['{"a": 1}', JSON.stringify(Array(12_000).fill(1)), `{${" ".repeat(99)}`, "x".repeat(200)]) {
    assert.equal(prettyJson(text), text);
  }
});

test("JSON that is deeply nested does not become megabytes of spaces", () => {
  const deep = `${"[".repeat(2000)}1${"]".repeat(2000)}`;
  assert.ok(prettyJson(deep).length < 200_000);
});

test("pieces of a text are whole, and no character is cut in two", () => {
  const text = "ab😀cd".repeat(50);
  for (const size of [7, 10, 11, 64]) {
    const pieces = [];
    for (let from = 0; from < text.length; from = pieceEnd(text, from, size)) {
      pieces.push(text.slice(from, pieceEnd(text, from, size)));
    }
    assert.equal(pieces.join(""), text);
    assert.ok(pieces.every((piece) => piece.length <= size && !/[\ud800-\udbff]$/.test(piece)));
  }
});

test("sizes are told in kB and MB", () => {
  assert.equal(sizeWords(2_450), "2.5 kB");
  assert.equal(sizeWords(1_040_000), "1.0 MB");
  assert.equal(sizeWords(999_990), "1.0 MB");
});
