import assert from "node:assert/strict";
import { test } from "node:test";

import { callsAsCsv, csvOf } from "../../evibridge/web/console/csv.js";

test("a row is a line, and what is not there is empty", () => {
  assert.equal(csvOf([["a", 1, null], [undefined, "", 0.5]]), "a,1,\r\n,,0.5\r\n");
});

test("commas, quotes and line ends stay within their cell", () => {
  assert.equal(csvOf([["a,b", 'say "no"', "one\ntwo", "one\r\ntwo"]]),
    '"a,b","say ""no""","one\ntwo","one\r\ntwo"\r\n');
});

test("no text is run as a formula", () => {
  for (const text of ["=1+1", "+1555", "-2", "@SUM(A1)", " =1+1", "\t=1"]) {
    assert.equal(csvOf([[text]]), `'${text}\r\n`);
  }
  assert.equal(csvOf([['=HYPERLINK("x","y")']]), `"'=HYPERLINK(""x"",""y"")"\r\n`);
});

test("a number below zero is a number", () => {
  assert.equal(csvOf([[-2, "a-b"]]), "-2,a-b\r\n");
});

const CALL = {
  call_id: "CA4f0c",
  began_at: "2026-11-28T09:12:00.123Z",
  lasts_s: 96.4,
  caller: "+14155550100",
  called: "+14155550199",
  agent: "Desk, front",
  end_reason: "operator_hung_up",
  ended: { by: "priya", turns: 16, interruptions: 1, tools: 4, response_p50_ms: 720, response_p95_ms: null },
};

test("a call is told by its figures, and why it ended in words", () => {
  const [headings, row, rest] = callsAsCsv([CALL]).split("\r\n");
  assert.equal(headings.split(",").length, row.replace('"Desk, front"', "Desk").split(",").length);
  assert.equal(row, "CA4f0c,2026-11-28T09:12:00.123Z,96.4,'+14155550100,'+14155550199," +
    '"Desk, front",operator_hung_up,Hung up by priya,16,1,4,720,');
  assert.equal(rest, "");
});

test("a call without figures has as many cells", () => {
  const [headings, row] = callsAsCsv([{ ...CALL, agent: null, ended: null }]).split("\r\n");
  assert.equal(row.split(",").length, headings.split(",").length);
});
