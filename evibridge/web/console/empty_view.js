/** What stands where no calls are: why there are none, and what to do. */

import { button, icon, made } from "../shared/elements.js";

const APPEARS = "A call appears here the moment it is answered.";
const COMMAND = 'evibridge call --say "Where is my order?"';

/** No call goes on: how to make one. */
export class EmptyView {
  #section;
  /** @type {string | null | undefined} */
  #number = undefined;

  /** @param {HTMLElement} section */
  constructor(section) {
    this.#section = section;
  }

  /** @param {string | null} number telephone number of the service */
  show(number) {
    if (number === this.#number) return;
    this.#number = number;
    const phone = number ? `phone ${number}, ` : "";
    const link = made("a", "btn");
    link.href = "./";
    link.append(icon("out"), "Open the caller’s page");
    this.#section.replaceChildren(
      made("div", "strip-box"),
      made("h2", "", "No calls right now"),
      made("p", "", `${APPEARS} To make one yourself, ${phone}open the caller’s page, or run:`),
      made("pre", "", COMMAND),
      rowOf(link),
    );
  }
}

/** @typedef {[label: string, onPress: () => void]} Action */

/**
 * @param {string} title
 * @param {string} [text]
 * @param {Action[]} [actions]
 */
export function emptyMessage(title, text, actions = []) {
  const message = made("div", "empty");
  const heading = made("h2", "", title);
  heading.dir = "auto";
  message.append(heading);
  if (text) message.append(made("p", "", text));
  const buttons = actions.map(([label, onPress]) => button({ label, onPress }));
  if (buttons.length) message.append(rowOf(...buttons));
  return message;
}

/**
 * No call matches what is searched for, or the filters.
 *
 * @param {string} query
 * @param {string} when as " today"
 * @param {Action[]} actions
 */
export function noMatch(query, when, actions) {
  const what = query ? `“${query}”` : "these filters";
  const text = query && "Search reads callers, spoken words, tool names and call ids.";
  return emptyMessage(`No call matches ${what}${when}`, text, actions);
}

/** @param {...Element} children */
function rowOf(...children) {
  const row = made("div", "row2");
  row.append(...children);
  return row;
}
