/** Asks where a caller is put through to. */

import { button, made, put } from "../shared/elements.js";
import { Popover } from "./popover.js";

const MAX_WORDS = 4000;
const IS_SILENT = "The agent is silent now: nothing is said first.";
const NOT_DIALLED = "Write a number with its country, as +44 20 7946 0100, or a sip: address.";

/**
 * What is dialled for what somebody wrote, "" for what cannot be dialled. Pure.
 *
 * @param {string} written
 */
export function dialledFor(written) {
  const text = written.trim();
  if (/^sip:[!-?A-~]+@[!-?A-~]+$/i.test(text)) return text.replace(/^sip/i, "sip");
  const number = text.replace(/[\s()[\]./\u2010-\u2015-]/g, "");
  return /^\+[1-9]\d{6,14}$/.test(number) ? number : "";
}

export class TransferDialog {
  #popover;
  #onTransfer;
  #form = made("form");
  #targets = made("div", "targets");
  #to = made("input");
  #words = made("input");
  #wordsRow;
  #problem = made("p", "problem");
  #send;
  #opened = 0;

  /**
   * @param {HTMLElement} parent
   * @param {(body: {to: string, say_first?: string}) => Promise<string>} onTransfer tells why it was
   *     refused, "" if it is done
   */
  constructor(parent, onTransfer) {
    this.#onTransfer = onTransfer;
    this.#to.autocomplete = "off";
    this.#to.spellcheck = false;
    this.#words.maxLength = MAX_WORDS;
    this.#words.dir = "auto";
    this.#wordsRow = labelled("Say first (optional)", this.#words);
    this.#problem.setAttribute("role", "alert");
    this.#targets.setAttribute("role", "group");
    this.#targets.setAttribute("aria-label", "Saved numbers");
    this.#send = button({ label: "Transfer", icon: "fwd", className: "btn go keep", onPress: () => {} });
    this.#send.type = "submit";
    const acts = made("div", "acts");
    const cancel = () => this.#popover.close();
    acts.append(button({ label: "Cancel", className: "btn keep", onPress: cancel }), this.#send);
    const number = labelled("Number or sip: address", this.#to);
    this.#form.append(this.#targets, number, this.#wordsRow, this.#problem, acts);
    this.#form.noValidate = true;
    this.#popover = new Popover(parent, "dialog", this.#form);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
  }

  /**
   * @param {object} what
   * @param {string} what.name of the caller
   * @param {HTMLElement} what.origin the button that was pressed
   * @param {{name: string, to: string}[]} what.targets
   * @param {boolean} what.agentSpeaks whether the agent can say something before
   */
  open({ name, origin, targets, agentSpeaks }) {
    this.#opened += 1;
    this.#to.value = this.#words.value = "";
    this.#tell("");
    this.#lock(false);
    this.#wordsRow.hidden = this.#words.readOnly = !agentSpeaks;
    this.#targets.hidden = !targets.length;
    this.#targets.replaceChildren(...targets.map((target) => this.#choice(target)));
    this.#popover.open({ before: "Transfer", name, origin, focus: this.#to });
  }

  get isOpen() {
    return this.#popover.isOpen;
  }

  /** @param {boolean} agentSpeaks */
  update(agentSpeaks) {
    // Whoever is writing there shall not write elsewhere all of a sudden.
    if (!this.#popover.isOpen || this.#words.readOnly === !agentSpeaks) return;
    this.#words.readOnly = !agentSpeaks;
    if (agentSpeaks) this.#wordsRow.hidden = false;
    this.#tell(agentSpeaks ? "" : IS_SILENT);
  }

  close() {
    this.#popover.close(false);
  }

  /** @param {HTMLElement} heir of the focus */
  end(heir) {
    this.#popover.end(heir);
  }

  /** @param {{name: string, to: string}} target */
  #choice({ name, to }) {
    const choose = () => {
      this.#to.value = to;
      this.#tell("");
      this.#send.focus();
    };
    const choice = button({ label: name, className: "chip", title: to, onPress: choose });
    choice.dir = "auto";
    return choice;
  }

  async #submit() {
    if (this.#send.getAttribute("aria-disabled")) return;
    const to = dialledFor(this.#to.value);
    if (!to) {
      this.#tell(NOT_DIALLED);
      this.#to.focus();
      return;
    }
    const words = this.#words.readOnly ? "" : this.#words.value.trim();
    const opened = this.#opened;
    this.#lock(true);
    this.#tell("");
    const refusal = await this.#onTransfer(words ? { to, say_first: words } : { to });
    if (opened !== this.#opened) return;
    this.#lock(false);
    this.#tell(refusal);
    if (!refusal) this.#popover.close();
  }

  /** @param {string} problem */
  #tell(problem) {
    put(this.#problem, problem);
    this.#to.setAttribute("aria-invalid", String(problem === NOT_DIALLED));
  }

  /** @param {boolean} isLocked */
  #lock(isLocked) {
    if (isLocked) this.#send.setAttribute("aria-disabled", "true");
    else this.#send.removeAttribute("aria-disabled");
  }
}

/** @param {string} word @param {HTMLInputElement} input */
function labelled(word, input) {
  const label = made("label");
  const field = made("span", "field");
  field.append(input);
  label.append(made("span", "", word), field);
  return label;
}
