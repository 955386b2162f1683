/** The line above everything else: what is wrong with the connection or the server, and one thing to do. */

import { button, icon, made, put, setIcon } from "../shared/elements.js";
import { callerWords, clockOf, inside, lengthOf } from "./words.js";

/** @typedef {import("./types").Service} Service */
/** @typedef {import("./types").Summary} Summary */
/** @typedef {"retry"|"open"|"token"|"dismiss"} ActionName */
/**
 * Moments are in ms of the server's clock.
 * @typedef {object} NoticeState
 * @property {number | null} stoppedAt since when the live view does not come; null while it does
 * @property {number | null} retryAt when it is tried again; null while it is being tried
 * @property {number | null} callStoppedAt since when nothing comes of the call that is open
 * @property {Summary | undefined} mine a call that the operator has, and does not see
 * @property {Service | null} service
 * @property {number} skipped updates that were dropped, as this page was too slow
 * @property {number} skippedAt when the last of them were
 */
/**
 * @typedef {object} Notice
 * @property {string} icon
 * @property {boolean} [isBad]
 * @property {string} fact
 * @property {string} rest
 * @property {{name: ActionName, label: string}} [action]
 */

const SKIPPED_SHOWN_MS = 10_000;
/** A call that is lost for a moment is no news. */
const LOST_AFTER_MS = 2000;

/**
 * The most urgent one.
 *
 * @param {NoticeState} state
 * @param {number} now ms of the server's clock
 * @returns {Notice | null}
 */
export function noticeOf({ stoppedAt, callStoppedAt, retryAt, mine, service, skipped, skippedAt }, now) {
  if (stoppedAt !== null) return stopped("Live view", stoppedAt, retryAt, now);
  if (callStoppedAt !== null && now - callStoppedAt > LOST_AFTER_MS) {
    return stopped("This transcript", callStoppedAt, now, now);
  }
  if (mine) {
    const fact = `${inside(callerWords(mine).name)} is with you.`;
    const action = /** @type {const} */ ({ name: "open", label: "Open the call" });
    return { icon: "man", fact, rest: "The agent is silent.", action };
  }
  if (service?.is_draining) return draining(service.stops_at, now);
  if (skipped && now - skippedAt < SKIPPED_SHOWN_MS) {
    const fact = skipped === 1 ? "1 update was skipped." : `${skipped} updates were skipped.`;
    const rest = "This page was too slow to read them. What you see is up to date.";
    return { icon: "cutin", fact, rest, action: { name: "dismiss", label: "Dismiss" } };
  }
  if (service?.operator.scope !== "read") return null;
  return {
    icon: "lock",
    fact: "You can watch, not act.",
    rest: "Sign in with a control token to use the buttons.",
    action: { name: "token", label: "Change token" },
  };
}

/**
 * @param {string} what @param {number} stoppedAt @param {number | null} retryAt @param {number} now
 * @returns {Notice}
 */
function stopped(what, stoppedAt, retryAt, now) {
  const inS = Math.ceil(((retryAt ?? now) - now) / 1000);
  const retry = inS > 0 ? `Trying again in ${inS} s.` : "Trying again.";
  return {
    icon: "link",
    isBad: true,
    fact: `${what} stopped at ${clockOf(stoppedAt, true)}.`,
    rest: `${what === "Live view" ? "Calls go" : "The call goes"} on without it. ${retry}`,
    action: { name: "retry", label: "Try now" },
  };
}

/** @param {string | null} stopsAt @param {number} now @returns {Notice} */
function draining(stopsAt, now) {
  const leftS = stopsAt === null ? null : Math.max(0, Math.round((Date.parse(stopsAt) - now) / 1000));
  const latest = leftS === null ? "" : `, at the latest in ${lengthOf(leftS)}`;
  return {
    icon: "wait",
    fact: "This server takes no new calls.",
    rest: `It stops when the last call ends${latest}.`,
  };
}

export class NoticeView {
  #row;
  #drawing = icon("wait");
  #fact = made("b");
  #rest = made("span");
  #action;
  /** @type {Notice | null} */
  #shown = null;

  /**
   * @param {HTMLElement} parent
   * @param {(name: ActionName) => void} onAction
   */
  constructor(parent, onAction) {
    const act = () => this.#shown?.action && onAction(this.#shown.action.name);
    this.#action = button({ label: " ", className: "btn sm", onPress: act });
    this.#row = made("div", "note");
    const words = made("span", "grow");
    words.append(this.#fact, " ", this.#rest);
    this.#row.append(this.#drawing, words, this.#action);
    this.#row.hidden = true;
    parent.append(this.#row);
  }

  /** @param {Notice | null} notice */
  show(notice) {
    this.#shown = notice;
    this.#row.hidden = !notice;
    if (!notice) return;
    this.#row.classList.toggle("bad", !!notice.isBad);
    setIcon(this.#drawing, notice.icon);
    put(this.#fact, notice.fact);
    put(this.#rest, notice.rest);
    put(this.#action, notice.action?.label ?? "");
    this.#action.hidden = !notice.action;
  }
}
