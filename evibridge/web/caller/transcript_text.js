/** The conversation as a text file. Pure. */

import { clockOf, speakerOf } from "./page_words.js";
import { textOf, toolWords } from "./transcript.js";

/** @typedef {import("./transcript.js").Row} Row */

/**
 * @param {Iterable<Row>} rows
 * @param {string} agent name of the agent
 * @param {Date} when the call took place
 * @param {number} dropped rows before the first that are not there any more
 */
export function transcriptText(rows, agent, when, dropped) {
  const lines = [`${agent}, ${when.toLocaleString()}`, ""];
  if (dropped) lines.push(`(${dropped} earlier lines are not kept.)`);
  for (const row of rows) {
    const what = lineOf(row, agent);
    if (what) lines.push(`${clockOf(row.atS).padStart(5)}  ${what}`);
  }
  return `${lines.join("\n")}\n`;
}

/**
 * A name for the file: letters and digits of any script, the day and the time.
 * @param {string} agent
 * @param {Date} when
 */
export function fileName(agent, when) {
  const name = agent.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "call";
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const day = `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
  return `${name}-${day}-${two(when.getHours())}${two(when.getMinutes())}.txt`;
}

/** @param {Row} row @param {string} agent */
function lineOf(row, agent) {
  if (row.tool) return `[${toolWords(row.tool)}]`;
  const { final, due } = textOf(row);
  const text = [final, due].filter(Boolean).join(" ").replace(/\s+/g, " ");
  return text && `${speakerOf(row.by, agent)}: ${text}`;
}
