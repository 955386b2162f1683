/** One call as its events tell it: the transcript, the timeline, the figures. Pure. */

import { StoryFigures } from "./story_figures.js";
import { bound, StoryRows } from "./story_rows.js";
import { StorySpeech } from "./story_speech.js";
import { StoryTimeline } from "./story_timeline.js";
import { StoryTools } from "./story_tools.js";
import * as words from "./story_words.js";

/** @typedef {import("./types").Told} Told */
/** @typedef {import("./types").EventRow} EventRow */
/** @typedef {import("./types").Scores} Scores */
/** @typedef {"chat" | "caller"} Side what can be lost, and come back */
/** @typedef {(told: Told, atS: number) => void} Taker */

const LOST = { chat: "EVI server lost.", caller: "Caller’s line lost." };
/** What a command does is told right after it, and so is what that cuts off. */
const EFFECT = /^agent_(heard|interrupted|paused|resumed)$|^call_(held|released|taken_over|handed_back)$/;
const BEGINNINGS = ["call_began", "call_dialled"];
/** Times in a record are rounded. */
const ROUNDING_S = 0.005;

export class CallStory {
  isOver = false;
  timeline = new StoryTimeline();
  /**
   * Rows of one's own, by time.
   * @type {EventRow[]}
   */
  notes = [];
  #rows = new StoryRows();
  #speech = new StorySpeech(this.#rows, this.timeline);
  #figures = new StoryFigures();
  #tools;
  #beganAtMs;
  #me;
  #atS = 0;
  #seq = -Infinity;
  #skipped = 0;
  /** @type {Map<Side, {row: EventRow | null, fromS: number}>} */
  #lost = new Map();
  /** @type {{command: string, by: string} | null} the command whose effects are being told */
  #cause = null;
  /** @type {string | null} */
  #hungUpBy = null;
  /** @type {string | null} */
  #transferTo = null;
  #isTakenOver = false;
  #heardMs = 0;
  #sentMs = 0;
  /** Who has the call, or had it last. */
  #taker = "";
  /** @type {EventRow | null} an interruption that was told just now */
  #cut = null;
  /** @type {EventRow | null} of the keys that the model was not told yet */
  #keys = null;

  /**
   * @param {number} beganAtMs of the server's clock
   * @param {string} me name of the operator who reads it
   */
  constructor(beganAtMs, me) {
    this.rows = this.#rows.rows;
    /** Keys of rows that are new, are different, or are gone; whoever draws them empties it. */
    this.changed = this.#rows.changed;
    this.#beganAtMs = beganAtMs;
    this.#me = me;
    this.#tools = new StoryTools(this.#rows, this.timeline, me);
  }

  /** Tools that wait for an operator. */
  get approvals() {
    return this.#tools.approvals;
  }

  get lastDecision() {
    return this.#tools.lastDecision;
  }

  /** Through whom the call ends, as far as it was told. */
  get ending() {
    return { by: this.#hungUpBy, transferred_to: this.#transferTo };
  }

  figures() {
    return this.#figures.figures(this.#beganAtMs, this.#tools.counts);
  }

  /**
   * Take a message of the call's stream. What was taken already, or is not known, is passed over.
   *
   * @param {Told} told
   */
  take(told) {
    const { type, seq } = told;
    const atS = this.#timeOf(told.at);
    if (type === "levels") this.timeline.levels(atS, told.caller, told.agent);
    else if (type === "snapshot") this.#snapshot(told, atS);
    else {
      if (typeof seq === "number") {
        if (seq <= this.#seq) return;
        this.#seq = seq;
      }
      this.#event(told, atS);
    }
  }

  /**
   * Add a row of one's own.
   *
   * @param {string} icon @param {string} fact @param {string} rest
   */
  note(icon, fact, rest, atS = this.#atS) {
    this.notes.push(this.#rows.addEvent(icon, fact, rest, atS));
    bound(this.notes);
  }

  /** The call is over, although nobody has told it. */
  end() {
    if (!this.isOver) this.#end(this.#atS);
  }

  /**
   * Take the record of a call that has ended. Of a long one the first events are missing.
   *
   * @param {any} record
   * @param {CallStory | null} before what nobody else knows is taken from it
   */
  takeRecord({ call_id: callId, chat_id: chatId, kind, turns, events }, before) {
    const notes = [...(before?.notes ?? [])];
    if (before) this.timeline.sound(before.timeline);
    const told = listIn(events);
    this.#speech.isElsewhere = kind === "sidecar";
    Object.assign(this.#figures, { callId: words.textIn(callId), chatId: words.textIn(chatId) });
    if (!BEGINNINGS.includes(told[0]?.type)) {
      const fromS = told.length ? this.#timeOf(told[0].at) - ROUNDING_S : Infinity;
      for (const turn of listIn(turns)) if (turn.at_s < fromS) this.#line(turn);
    }
    for (const event of told) {
      this.#noteAgain(notes, this.#timeOf(event.at) - ROUNDING_S);
      this.take(event);
    }
    this.#noteAgain(notes, Infinity);
    this.end();
  }

  /** @type {Record<string, Taker>} */
  #takers = {
    caller_said: (told, atS) => this.#said("caller", told, atS),
    operator_said: (told, atS) => this.#said("operator", told, atS),
    agent_said: ({ utterance_id: id, text }, atS) => {
      this.#speech.agentSaid(words.textIn(id), words.textIn(text), atS);
    },
    agent_heard: (told, atS) => {
      this.#agentHeard(told, atS);
      this.#heardMs += numberIn(told.heard_ms);
      this.#sentMs += numberIn(told.sent_ms);
    },
    agent_sounded: ({ utterance_id: id, scores: told }, atS) => {
      const scores = scoresIn(told);
      if (!scores) return;
      this.#speech.agentSounded(words.textIn(id), scores);
      this.#figures.expression.agent.add(atS, scores);
    },
    turn_answered: ({ response_ms: ms }, atS) => {
      if (Number.isFinite(ms)) this.#figures.answered(atS, ms, this.#speech.answered(ms, atS));
    },
    agent_interrupted: (_, atS) => {
      this.#cut = this.#tell(words.ofInterruption(this.#heardMs, this.#sentMs), atS);
      this.timeline.interrupted(atS);
      this.#figures.interruptions += 1;
    },
    tool_started: (told, atS) => this.#tools.started(told, atS),
    approval_wanted: (told, atS) => this.#tools.wanted(told, atS, this.#beganAtMs + atS * 1000),
    approval_given: (told, atS) => this.#tools.given(told, atS),
    tool_finished: (told, atS) => this.#tools.finished(told, atS),
    tool_delivered: (told, atS) => this.#tools.delivered(told, atS),
    command_given: (told, atS) => {
      const [command, by, text] = [told.command, told.by, told.text].map(words.textIn);
      this.#cause = { command, by };
      if (command === "hangup") this.#hungUpBy = by;
      if (command === "transfer") this.#transferTo = text;
      const isHeardAnyhow = command === "say" && this.#isTakenOver;
      if (!isHeardAnyhow) this.#tellAny(words.ofCommand(told, this.#me), atS);
    },
    agent_paused: (told, atS) => this.#effect(told, atS),
    agent_resumed: (told, atS) => this.#effect(told, atS),
    call_held: (told, atS) => {
      this.timeline.gapBegins("hold", atS);
      this.#effect(told, atS);
    },
    call_released: (told, atS) => {
      this.timeline.gapEnds("hold", atS);
      this.#effect(told, atS);
    },
    call_taken_over: (told, atS) => {
      this.#isTakenOver = true;
      this.#taker = words.textIn(told.by);
      this.#tellAny(words.ofEvent(told, this.#me), atS);
    },
    call_handed_back: (told, atS) => {
      this.#isTakenOver = false;
      this.#cause = { command: "handback", by: "" };
      this.#tellAny(words.ofEvent({ ...told, from: this.#taker }, this.#me), atS);
    },
    chat_opened: ({ chat_id: chatId, why }, atS) => {
      this.#figures.chatId = words.textIn(chatId) || this.#figures.chatId;
      const isBack = this.#lost.has("chat") || why === "resumed" || why === "afresh";
      if (isBack) this.#sideBack("chat", why === "afresh" ? "to a new chat" : "", atS);
    },
    chat_lost: (_, atS) => this.#sideLost("chat", atS),
    caller_lost: (_, atS) => this.#sideLost("caller", atS),
    caller_returned: (_, atS) => this.#sideBack("caller", "", atS),
    digit_pressed: ({ digit }, atS) => this.#keysPressed(words.textIn(digit), atS),
    digits_entered: ({ digits }, atS) => {
      if (!this.#keys) this.#keysPressed(words.textIn(digits), atS);
      this.#keys = null;
    },
    gap: ({ missed }, atS) => {
      this.#skipped += numberIn(missed);
      this.#tell(words.ofGap(this.#skipped), atS);
    },
    hang_up_decided: ({ reason }, atS) => {
      if (this.#transferTo === null) this.#tellAny(words.ofDecision(reason), atS);
    },
    call_ended: ({ reason }, atS) => {
      this.#end(atS);
      this.#tell(words.ofEnding(words.textIn(reason), this.#hungUpBy, this.#transferTo, this.#me), atS);
    },
  };

  /** @param {Told} told @param {number} atS */
  #event(told, atS) {
    const { type } = told;
    this.#atS = atS;
    this.#figures.callId ||= words.textIn(told.call_id);
    if (!EFFECT.test(type)) this.#cause = null;
    if (Object.hasOwn(this.#takers, type)) this.#takers[type](told, atS);
    else this.#tellAny(words.ofEvent(told, this.#me), atS);
    if (type === "call_began") this.#speech.isElsewhere = told.kind === "sidecar";
    if (type !== "agent_heard") this.#heardMs = this.#sentMs = 0;
    if (type !== "agent_interrupted") this.#cut = null;
  }

  /**
   * How things stand: what was known before is void.
   *
   * @param {Told} told @param {number} atS
   */
  #snapshot({ seq, call_id: callId, call }, atS) {
    const now = call ?? {};
    const notes = this.notes;
    this.notes = [];
    for (const part of [this.#rows, this.#speech, this.#tools, this.timeline]) part.clear();
    this.#lost.clear();
    this.#figures = new StoryFigures();
    this.#figures.callId = words.textIn(now.call_id ?? callId);
    this.#figures.chatId = words.textIn(now.chat_id);
    this.#figures.keys = words.textIn(now.digits).length;
    this.#cause = this.#cut = this.#keys = null;
    this.#atS = atS;
    this.#seq = seq ?? this.#seq;
    this.#speech.isElsewhere = now.kind === "sidecar";
    this.#isTakenOver = Boolean(now.taken_over_by);
    this.#taker = words.textIn(now.taken_over_by);
    for (const line of listIn(now.lines)) {
      this.#noteAgain(notes, line.at_s);
      this.#line(line);
    }
    this.#noteAgain(notes, Infinity);
    for (const waiting of listIn(now.approvals)) {
      this.#takers.approval_wanted({ ...waiting, timeout_s: waiting.expires_in_s }, atS);
    }
    if (this.#skipped) this.#tell(words.ofGap(this.#skipped), atS);
    this.#skipped = 0;
    if (now.held_by) this.timeline.gapBegins("hold", atS);
    /** @type {Side} */
    const side = now.caller_is_away ? "caller" : "chat";
    if (now.state === "reconnecting") this.#sideLost(side, atS);
    if (now.state === "ended") this.#end(atS);
  }

  /**
   * What was said before, of a snapshot or a record.
   *
   * @param {any} line
   */
  #line(line) {
    const atS = numberIn(line.at_s);
    const scores = Array.isArray(line.scores)
      ? Object.fromEntries(line.scores.map((/** @type {any} */ each) => [each?.name, each?.score]))
      : null;
    if (line.who !== "agent") {
      const who = line.who === "operator" ? "operator" : "caller";
      this.#said(who, { ...line, typed: line.is_typed, scores }, atS);
      return;
    }
    this.#takers.agent_said(line, atS);
    this.#takers.turn_answered(line, atS);
    if (line.is_over === false) return;
    this.#agentHeard(line, this.timeline.playedAt(atS) + numberIn(line.heard_ms) / 1000);
  }

  /** @param {"caller" | "operator"} who @param {Told} told @param {number} atS */
  #said(who, told, atS) {
    const isCaller = who === "caller";
    const isTyped = isCaller ? Boolean(told.typed) || told.by_caller === false : told.is_spoken === false;
    const scores = told.interim ? null : scoresIn(told.scores);
    const spokeS = numberIn(told.spoke_ms) / 1000 || null;
    const text = words.textIn(told.text);
    const by = isCaller ? null : words.textIn(told.by);
    this.#speech.said(who, atS, { by, text, isTyped, scores, spokeS, isInterim: Boolean(told.interim) });
    if (scores && isCaller) this.#figures.expression.caller.add(atS, scores);
  }

  /** @param {any} heard what of an utterance was @param {number} atS when it was over */
  #agentHeard({ utterance_id: id, heard_ms: heardMs, sent_ms: sentMs, text_heard: text }, atS) {
    const [heardS, sentS] = [numberIn(heardMs) / 1000, numberIn(sentMs) / 1000];
    this.#speech.agentHeard(words.textIn(id), { heardS, sentS, text: words.textIn(text) }, atS);
  }

  /** @param {Told} told @param {number} atS */
  #effect({ type }, atS) {
    const isSilencing = type === "agent_paused" || type === "call_held";
    if (this.#cut && isSilencing) {
      // It was this, and no word of the caller, that has cut the agent off.
      this.#rows.remove(this.#cut);
      this.timeline.interruptions.pop();
      this.#figures.interruptions -= 1;
    }
    this.#tellAny(words.ofEffect(type, this.#cause, this.#me), atS);
  }

  /** @param {Side} side @param {number} atS */
  #sideLost(side, atS) {
    if (this.#lost.has(side)) return;
    this.timeline.gapBegins(side, atS);
    this.#lost.set(side, { row: this.#tell(["link", LOST[side], "Reconnecting"], atS), fromS: atS });
  }

  /** @param {Side} side @param {string} where @param {number} atS */
  #sideBack(side, where, atS) {
    const lost = this.#lost.get(side);
    const row = lost?.row ?? this.#tell(["link", "", ""], atS);
    const lastedS = lost ? Math.max(0, atS - lost.fromS) : 0;
    row.fact = "Reconnected.";
    row.rest = [lost && `${lastedS.toFixed(1)} s`, where].filter(Boolean).join(", ");
    this.#rows.change(row);
    this.#lost.delete(side);
    this.timeline.gapEnds(side, atS);
    this.#figures.reconnects += 1;
    this.#figures.reconnectS += lastedS;
  }

  /** @param {string} digits @param {number} atS */
  #keysPressed(digits, atS) {
    if (!digits) return;
    const goesOn = this.#keys === this.#rows.goesOn ? this.#keys : null;
    const row = goesOn ?? this.#tell(words.ofKeys(""), atS);
    const [, fact, rest] = words.ofKeys(row.rest + digits);
    Object.assign(row, { fact, rest });
    this.#rows.change(row);
    this.#keys = row;
    this.#figures.keys += digits.length;
  }

  /** @param {number} atS */
  #end(atS) {
    this.isOver = true;
    this.#speech.end();
    this.#tools.end(atS);
    for (const { row } of this.#lost.values()) {
      if (!row) continue;
      row.rest = "";
      this.#rows.change(row);
    }
    this.timeline.end(atS);
  }

  /** @param {words.Words} told @param {number} atS */
  #tell([icon, fact, rest], atS) {
    const isWhole = !fact || rest || fact.endsWith(".");
    return this.#rows.addEvent(icon, isWhole ? fact : `${fact}.`, rest, atS);
  }

  /** @param {EventRow[]} notes those that are left, by time @param {number} untilS */
  #noteAgain(notes, untilS) {
    while (notes[0]?.atS < untilS) {
      const { icon, fact, rest, atS } = /** @type {EventRow} */ (notes.shift());
      this.note(icon, fact, rest, atS);
    }
  }

  /** @param {words.Words | null} told which may be no news @param {number} atS */
  #tellAny(told, atS) {
    if (told) this.#tell(told, atS);
  }

  /** @param {unknown} moment @returns {number} seconds of the call; if it is none, those of before */
  #timeOf(moment) {
    const ms = Date.parse(words.textIn(moment));
    return Number.isNaN(ms) ? this.#atS : Math.max(0, (ms - this.#beganAtMs) / 1000);
  }
}

/**
 * The story of a call that has ended.
 *
 * @param {import("./types").CallRecord} record
 * @param {string} me name of the operator who reads it
 * @param {CallStory | null} [before] the story of the same call by its stream
 */
export function storyOfRecord(record, me, before = null) {
  const story = new CallStory(Date.parse(record.began_at) || 0, me);
  story.takeRecord(record, before);
  return story;
}

/** @param {any} told @returns {any[]} */
function listIn(told) {
  return Array.isArray(told) ? told.filter((each) => each && typeof each === "object") : [];
}

/** @param {any} told which is never less than nothing */
function numberIn(told) {
  return Number.isFinite(told) && told > 0 ? told : 0;
}

/** @param {any} told @returns {Scores | null} */
function scoresIn(told) {
  const scores = Object.entries(told ?? {}).filter(([, score]) => Number.isFinite(score));
  return scores.length ? Object.fromEntries(scores) : null;
}
