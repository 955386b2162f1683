/** The tool that waits for an operator, docked above the composer so that the transcript stays readable. */

import { button, icon, made, put } from "../shared/elements.js";
import { keyOf } from "./keyboard.js";
import { drawIcon } from "./toolbar.js";
import { lengthOf } from "./words.js";

/** @typedef {import("./types").WaitingTool} WaitingTool */
/** @typedef {import("./types").Operator} Operator */
/** @typedef {{name: string, isApproved: boolean, by: string}} Decision */

const SHOWN_CHARACTERS = 300;
/** What somebody else has decided is told for so long. */
export const TOLD_MS = 5000;
/** A press that comes sooner was meant for the tool before. */
const SETTLES_MS = 600;
const IN_MINUTES_FROM_S = 120;

/**
 * What is asked. Pure.
 *
 * @param {WaitingTool} tool
 * @param {number} now ms of the server's clock
 * @param {number} waiting how many tools wait
 */
export function askWords({ parameters, expiresAt }, now, waiting = 1) {
  const leftS = Math.max(0, Math.ceil((expiresAt - now) / 1000));
  const left = leftS < IN_MINUTES_FROM_S ? `${leftS} s` : lengthOf(leftS);
  const others = waiting - 1;
  const whole = parameters.replace(/\s*[\r\n]\s*/g, " ");
  const isCut = whole.length > SHOWN_CHARACTERS;
  return {
    left: `${left} left, then declined`,
    more: others > 0 ? `${others} more ${others === 1 ? "waits" : "wait"}` : "",
    whole,
    isCut,
    shown: isCut ? `${whole.slice(0, SHOWN_CHARACTERS)}…` : whole,
  };
}

/** @param {Decision} decision */
export function decisionWords({ name, isApproved, by }) {
  return `${isApproved ? "Approved" : "Declined"} by ${by}: ${name}`;
}

export class ApprovalView {
  element = made("div", "ask");
  #name = made("code");
  #left = made("span", "muted");
  #more = made("span", "now");
  #arguments = made("code");
  #all;
  #acts = made("div", "acts");
  #decline;
  #approve;
  #told = made("p", "told");
  #onDecide;
  #onGone;
  /** @type {WaitingTool | null} */
  #tool = null;
  #shownAt = 0;
  #isWhole = false;
  #isApproved = false;
  /** @type {Decision | null} */
  #decision = null;
  #decidedAt = -Infinity;

  /**
   * @param {(tool: WaitingTool, isApproved: boolean) => void} onDecide
   * @param {() => void} onGone the focus was here, and has to go elsewhere
   */
  constructor(onDecide, onGone) {
    this.#onDecide = onDecide;
    this.#onGone = onGone;
    const heading = made("h2");
    heading.id = "ask";
    const asked = made("span");
    asked.append("Approve ", this.#name, "? ", this.#left);
    heading.append(icon("wait", true), asked);
    this.#arguments.dir = "ltr";
    this.#all = button({ label: "Show all", className: "btn sm bare", onPress: () => this.#unfold() });
    const line = made("p");
    line.append(this.#arguments, " ", this.#all, " ", this.#more);
    const decline = () => this.#decide(false);
    const approve = () => this.#decide(true);
    const keys = keyOf("");
    this.#decline = button({ label: "Decline", icon: "x", className: "btn keep", onPress: decline });
    const className = "btn go keep";
    this.#approve = button({ label: "Approve", icon: "ok", className, keys, onPress: approve });
    this.#acts.append(this.#decline, this.#approve);
    this.element.append(heading, line, this.#acts, this.#told);
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-labelledby", "ask");
    this.element.tabIndex = -1;
    this.element.hidden = true;
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.repeat || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.#decide(true);
    });
  }

  /** Another call is shown: what was decided in the one before is told no more. */
  reset() {
    this.#tool = null;
    this.#decision = null;
    this.#decidedAt = -Infinity;
  }

  focus() {
    if (!this.element.hidden) this.element.focus();
  }

  /**
   * @param {object} now
   * @param {WaitingTool[]} now.waiting
   * @param {Decision | null} now.decision the last one of this call
   * @param {Operator} now.me
   * @param {number} now.at ms of the server's clock
   * @param {(name: string) => boolean} now.isPending
   */
  update({ waiting, decision, me, at, isPending }) {
    const tool = waiting[0] ?? null;
    const wasShown = this.#tool;
    this.#hear(decision, me, at);
    if (tool?.toolCallId !== this.#tool?.toolCallId) this.#turnTo(tool);
    const isTold = Boolean(this.#decision) && at - this.#decidedAt < TOLD_MS;
    const hadFocus = this.element.contains(document.activeElement);
    this.element.hidden = !tool && !isTold;
    // On a small screen the strip makes room.
    this.element.closest(".one")?.classList.toggle("waits", Boolean(tool));
    for (const part of [...this.element.children]) {
      if (part instanceof HTMLElement) part.hidden = part === this.#told ? !isTold : !tool;
    }
    put(this.#told, isTold && this.#decision ? decisionWords(this.#decision) : "");
    if (tool) this.#draw(tool, waiting.length, at, me, isPending(`ask ${tool.toolCallId}`));
    // Whoever was about to decide on one tool must not decide on another, or find the focus nowhere.
    if (hadFocus && wasShown && wasShown.toolCallId !== tool?.toolCallId) {
      if (this.element.hidden) this.#onGone();
      else this.element.focus();
    }
  }

  /** @param {Decision | null} decision @param {Operator} me @param {number} at */
  #hear(decision, me, at) {
    if (!decision || decision === this.#decision) return;
    const wasSeen = decision.name === this.#tool?.name;
    this.#decision = decision;
    this.#decidedAt = wasSeen && decision.by !== me.name ? at : -Infinity;
  }

  /** @param {WaitingTool | null} tool */
  #turnTo(tool) {
    this.#tool = tool;
    this.#isWhole = false;
    this.#shownAt = performance.now();
  }

  /**
   * @param {WaitingTool} tool
   * @param {number} waiting
   * @param {number} at
   * @param {Operator} me
   * @param {boolean} isPending
   */
  #draw(tool, waiting, at, me, isPending) {
    const words = askWords(tool, at, waiting);
    put(this.#name, tool.name);
    put(this.#left, words.left);
    put(this.#more, words.more);
    put(this.#arguments, this.#isWhole ? words.whole : words.shown);
    this.#arguments.title = this.#isWhole ? "" : words.whole;
    this.#arguments.parentElement?.classList.toggle("all", this.#isWhole);
    this.#all.hidden = this.#isWhole || !words.isCut;
    const whyNot = me.scope === "read" ? "You can watch, not act." : "";
    drawIcon(this.#approve, "ok", isPending && this.#isApproved);
    drawIcon(this.#decline, "x", isPending && !this.#isApproved);
    for (const control of [this.#decline, this.#approve]) {
      control.setAttribute("aria-disabled", String(Boolean(whyNot) || isPending));
      control.title = whyNot || (control === this.#approve ? "Approve (Ctrl+Enter)" : "Decline");
    }
  }

  #unfold() {
    this.#isWhole = true;
    put(this.#arguments, this.#tool ? askWords(this.#tool, 0).whole : "");
    this.#arguments.parentElement?.classList.add("all");
    this.#all.hidden = true;
    this.element.focus();
  }

  /** @param {boolean} isApproved */
  #decide(isApproved) {
    const isLocked = this.#approve.getAttribute("aria-disabled") === "true";
    if (!this.#tool || isLocked || performance.now() - this.#shownAt < SETTLES_MS) return;
    this.#isApproved = isApproved;
    this.#onDecide(this.#tool, isApproved);
  }
}
