import assert from "node:assert/strict";
import { test } from "node:test";

import { DAYS, merged, NO_FILTERS, paramsOf } from "../../evibridge/web/console/history_query.js";

// Clocks went back on 25 October 2026 in Berlin, so the day before began two hours before UTC's.
process.env.TZ = "Europe/Berlin";
const AFTER_CHANGE = new Date("2026-10-26T08:00:00Z");
const params = (filters, query = "", now = AFTER_CHANGE) =>
  paramsOf({ ...NO_FILTERS, ...filters }, query, now);

test("today begins at midnight where the browser is", () => {
  assert.deepEqual(params({}), { state: "ended", began_from: "2026-10-25T23:00:00.000Z" });
});

test("just after midnight it is another day, although it is not in UTC", () => {
  const { began_from: from } = params({}, "", new Date("2026-10-26T23:30:00Z"));
  assert.equal(from, "2026-10-26T23:00:00.000Z");
});

test("yesterday ends where today begins, also if it had 25 hours", () => {
  assert.deepEqual(params({ day: "yesterday" }), {
    state: "ended",
    began_from: "2026-10-24T22:00:00.000Z",
    began_before: "2026-10-25T23:00:00.000Z",
  });
});

test("the last seven days are today and the six before it", () => {
  assert.equal(params({ day: "week" }).began_from, "2026-10-19T22:00:00.000Z");
});

test("of all days, nothing but what has ended is asked for", () => {
  assert.deepEqual(params({ day: "" }), { state: "ended" });
});

test("every day that is offered leads to another question", () => {
  const questions = DAYS.map(([day]) => JSON.stringify(params({ day })));
  assert.equal(new Set(questions).size, DAYS.length);
});

test("filters that are on are parameters, and those that are off are left out", () => {
  const filters = { day: "", agent: "Desk", end_reason: "fault,evi_lost", interrupted: "true" };
  assert.deepEqual(params({ ...filters, slower_than_ms: "800", recorded: "true" }, "  tracking link "), {
    state: "ended",
    q: "tracking link",
    agent: "Desk",
    end_reason: "fault,evi_lost",
    interrupted: "true",
    slower_than_ms: "800",
    recorded: "true",
  });
});

const page = (ids, next = null) => ({ calls: [...ids].map((id) => ({ call_id: id })), next });
const idsOf = ({ calls }) => calls.map((call) => call.call_id).join("");

test("a reload keeps the older calls that were loaded before, and where they go on", () => {
  const both = merged(page("xabc", "c"), page("abcdef", "f"));
  assert.equal(idsOf(both), "xabcdef");
  assert.equal(both.next, "f");
});

test("a call that began early and ended late comes to its place", () => {
  assert.equal(idsOf(merged(page("axb", "b"), page("abcd", "d"))), "axbcd");
});

test("older calls are dropped if others may be missing between", () => {
  const fresh = page("xyz", "z");
  assert.equal(merged(fresh, page("abc", "c")), fresh);
});

test("a reload that has brought everything is everything", () => {
  const fresh = page("ab");
  assert.equal(merged(fresh, page("abc", "c")), fresh);
});
