/** Which ended calls are asked for. */

/**
 * All but the day are parameters of the API. Each is empty for any.
 *
 * @typedef {object} Filters
 * @property {string} day one of `DAYS`
 * @property {string} agent
 * @property {string} end_reason several are separated by commas
 * @property {string} interrupted
 * @property {string} slower_than_ms
 * @property {string} recorded
 */

/** @type {Filters} */
export const NO_FILTERS = {
  day: "today", agent: "", end_reason: "", interrupted: "", slower_than_ms: "", recorded: "",
};

/**
 * Day, its name, how it ends a sentence, and between which midnights it is, counted back from today's.
 *
 * @type {[day: string, label: string, words: string, from?: number, before?: number][]}
 */
export const DAYS = [
  ["today", "Today", " today", 0],
  ["yesterday", "Yesterday", " yesterday", 1, 0],
  ["week", "Last 7 days", " in the last 7 days", 6],
  ["", "All days", ""],
];

/**
 * Parameters of `GET /v1/calls`. Days begin at midnight where the browser is.
 *
 * @param {Filters} filters
 * @param {string} query words that are searched for
 * @param {Date} now
 * @returns {Record<string, string>}
 */
export function paramsOf({ day, ...filters }, query, now) {
  const [, , , from, before] = DAYS.find(([name]) => name === day) ?? [];
  const wanted = {
    state: "ended",
    q: query.trim(),
    began_from: midnight(now, from),
    began_before: midnight(now, before),
    ...filters,
  };
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value));
}

/**
 * What a reload has brought, and below it the older calls that were loaded before.
 *
 * @template {{call_id: string}} Call
 * @param {{calls: Call[], next: string | null}} fresh the first page
 * @param {{calls: Call[], next: string | null}} known
 */
export function merged(fresh, known) {
  const ids = new Set(fresh.calls.map((call) => call.call_id));
  const older = known.calls.filter((call) => !ids.has(call.call_id));
  // Between pages that share no call others may be missing.
  if (!fresh.next || older.length === known.calls.length) return fresh;
  return { calls: [...fresh.calls, ...older], next: known.next };
}

/**
 * @param {Date} now
 * @param {number} [daysAgo]
 */
function midnight(now, daysAgo) {
  if (daysAgo === undefined) return "";
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo).toISOString();
}
