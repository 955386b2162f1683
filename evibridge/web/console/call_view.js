/** One call: who, how it goes, what was said, and what an operator can do. */

import { button, made } from "../shared/elements.js";
import { ApprovalView } from "./approval_view.js";
import { CallEnd, saveRecord } from "./call_end.js";
import { CallHeader } from "./call_header.js";
import { CallSound } from "./call_sound.js";
import { Commands } from "./commands.js";
import { Composer } from "./composer.js";
import { protocolsOf } from "./event_stream.js";
import { FiguresView } from "./figures_view.js";
import { eachFrame } from "./frame.js";
import { HangUpDialog } from "./hang_up_dialog.js";
import { TimelineView } from "./timeline_view.js";
import { controlsFor, Toolbar, toggleOf } from "./toolbar.js";
import { TranscriptView } from "./transcript_view.js";
import { TransferDialog } from "./transfer_dialog.js";
import { callerWords, lastsNow } from "./words.js";

/** @typedef {import("./types").CallRecord} CallRecord */
/** @typedef {import("./types").Operator} Operator */
/** @typedef {import("./types").Service} Service */
/** @typedef {import("./types").Summary} Summary */
/** @typedef {import("./types").WaitingTool} WaitingTool */
/** @typedef {import("./call_story.js").CallStory} CallStory */
/** @typedef {import("./toolbar.js").ControlName} ControlName */
/**
 * @typedef {{summary(): Summary, story: CallStory, record: CallRecord | null, whyNoRecord: string,
 *   refresh(): unknown}} OpenCall
 */
/** @typedef {{call: OpenCall, callId: string, commands: Commands, sound: CallSound}} Shown */
/**
 * @typedef {object} CallParts
 * @property {import("./api.js").Api} api
 * @property {string | null} token
 * @property {() => Operator} me
 * @property {() => Service | null} service
 * @property {{now(): number}} clock
 * @property {() => void} onBack
 * @property {(sentence: string, isUrgent?: boolean) => void} say tells it to screen readers
 * @property {(callId: string) => void} onTakeOver it is asked for here
 */

export class CallView {
  #section;
  #parts;
  #header;
  #toolbar = new Toolbar((name) => this.#press(name));
  #saving = made("div", "acts");
  #hangUp;
  #transfer;
  /** @type {TimelineView} */
  #timeline;
  #log = made("div", "log");
  #side = made("div", "side");
  /** @type {TranscriptView} */
  #transcript;
  #approval;
  #composer;
  #end;
  #figures;
  /** @type {Shown | null} */
  #shown = null;
  #isByKeys = false;
  /** Draw it with the next frame. */
  update = eachFrame(() => this.#draw());

  /**
   * @param {HTMLElement} section
   * @param {CallParts} parts
   */
  constructor(section, parts) {
    this.#section = section;
    this.#parts = parts;
    const side = this.#side;
    this.#log.id = "call-log";
    side.id = "call-side";
    this.#header = new CallHeader({
      onBack: parts.onBack,
      onTab: (isFigures) => section.classList.toggle("figs", isFigures),
      panels: [this.#log.id, side.id],
    });
    const save = { label: "Save record", icon: "down", className: "btn keep", onPress: () => this.#save() };
    this.#saving.append(button(save));
    this.#header.element.append(this.#saving, this.#toolbar.element);
    section.append(this.#header.element);
    this.#hangUp = new HangUpDialog(section, () => void this.#run("hangUp", { path: "hangup" }));
    this.#transfer = new TransferDialog(section, (body) => this.#putThrough(body));
    this.#timeline = new TimelineView(section, {
      onMark: (key, isPressed) => this.#transcript.mark(key, isPressed),
      onSeek: (atS) => this.#end.seek(atS),
    });
    section.append(this.#log, side);
    this.#transcript = new TranscriptView(this.#log, {
      onMark: (key) => this.#timeline.mark(key),
      onSeek: (atS) => this.#end.seek(atS),
    });
    this.#approval = new ApprovalView(
      (tool, isApproved) => this.#decide(tool, isApproved),
      () => this.focus(),
    );
    this.#composer = new Composer({
      onSend: (mode, text) => this.#run(mode, { path: mode, body: { text }, isNoted: true }),
      onSpeak: () => this.#speak(),
      onChange: () => this.update(),
      level: () => this.#shown?.sound.level() ?? 0,
    });
    this.#end = new CallEnd(parts.api, (atS) => this.#played(atS));
    this.#log.append(this.#approval.element, this.#composer.element, this.#end.element);
    this.#figures = new FiguresView(side);
  }

  /** What keys do here. */
  get actions() {
    const press = (/** @type {ControlName} */ name) => () => this.#pressByKeys(name);
    return {
      listen: press("listen"),
      pause: press("pause"),
      hold: press("hold"),
      takeOver: press("takeOver"),
      transfer: press("transfer"),
      hangUp: press("hangUp"),
      say: () => this.#toTranscript(() => this.#composer.focus("say")),
      whisper: () => this.#toTranscript(() => this.#composer.focus("whisper")),
      approvalFocus: () => this.#toTranscript(() => this.#approval.focus()),
      newest: () => this.#toTranscript(() => this.#transcript.toEnd()),
    };
  }

  /**
   * Show a call, or the same one by its record instead of its stream.
   *
   * @param {OpenCall} call
   */
  show(call) {
    const { call_id: callId } = call.summary();
    const isSame = callId === this.#shown?.callId;
    if (this.#shown && isSame) this.#shown.call = call;
    else this.#turnTo(call, callId);
    const { story, record } = call;
    const now = () => lastsNow(call.summary(), this.#parts.clock.now());
    const seekable = Boolean(record?.recording?.file);
    this.#timeline.show(story, now);
    this.#transcript.show(story, { seekable, now, me: this.#parts.me().name, isSame });
    this.#figures.show(story, now);
    this.update();
  }

  close() {
    const sound = this.#shown?.sound;
    if (sound?.isSpeaking) this.#parts.say("Your microphone is off.", true);
    sound?.close();
    this.#shown = null;
    this.#hangUp.close();
    this.#transfer.close();
    this.#end.close();
    this.#composer.rest();
    // Until more is known of the next call, nothing of this one stands under its address.
    this.#section.classList.add("blank");
  }

  focus() {
    this.#header.heading.focus();
  }

  /** @param {OpenCall} call @param {string} callId */
  #turnTo(call, callId) {
    this.close();
    const { api, token, service } = this.#parts;
    const note = (/** @type {string} */ sentence, isUrgent = false) => {
      if (this.#shown?.callId === callId) this.#note(sentence, isUrgent);
    };
    const onChange = () => this.update();
    const iceServers = () => service()?.ice_servers ?? [];
    const audio = () => {
      const url = new URL(`v1/calls/${encodeURIComponent(callId)}/audio`, document.baseURI);
      url.protocol = url.protocol.replace("http", "ws");
      return { url, protocols: protocolsOf(token) };
    };
    this.#shown = {
      call,
      callId,
      commands: new Commands({ api, callId, note, onChange }),
      sound: new CallSound({ api, callId, audio, iceServers, note, onChange }),
    };
    this.#section.classList.remove("blank");
    this.#header.choose(0);
    this.#approval.reset();
    this.#composer.show(callId);
  }

  #draw() {
    if (!this.#shown) return;
    const { call, commands, sound } = this.#shown;
    const { clock } = this.#parts;
    const me = this.#parts.me();
    const summary = call.summary();
    const at = clock.now();
    const isEnded = summary.state === "ended";
    commands.update();
    const isMine = summary.taken_over_by === me.name;
    if (isEnded) sound.close();
    else if (!isMine && sound.isSpeaking) sound.stopSpeaking();
    this.#section.setAttribute("aria-label", `Call with ${callerWords(summary).name}`);
    this.#header.update(summary, me, at);
    this.#drawControls(summary, me, isEnded);
    this.#approval.update({
      waiting: isEnded ? [] : call.story.approvals,
      decision: call.story.lastDecision,
      me,
      at,
      isPending: (name) => commands.isPending(name),
    });
    const hasVoice = this.#parts.service()?.has_voice ?? false;
    this.#hide(this.#composer.element, isEnded);
    this.#composer.update({ summary, me, hasVoice, speaking: sound.speaking });
    this.#end.element.hidden = !isEnded;
    if (isEnded) this.#end.show(call.record, call.whyNoRecord);
    this.#timeline.update();
    this.#transcript.update();
    this.#figures.update();
  }

  /** @param {Summary} summary @param {Operator} me @param {boolean} isEnded */
  #drawControls(summary, me, isEnded) {
    const { call, commands, sound } = /** @type {Shown} */ (this.#shown);
    if (isEnded) {
      this.#hangUp.end(this.#header.heading);
      this.#transfer.end(this.#header.heading);
    }
    this.#hide(this.#toolbar.element, isEnded);
    this.#saving.hidden = !isEnded || !call.record;
    this.#transfer.update(!summary.taken_over_by);
    const isPending = (/** @type {string} */ name) => commands.isPending(name);
    const { hearing, isSpeaking } = sound;
    this.#toolbar.update(controlsFor(summary, me, { isPending, hearing, isSpeaking }));
  }

  /**
   * The focus of what is gone would be nowhere.
   *
   * @param {HTMLElement} element
   * @param {boolean} isHidden
   */
  #hide(element, isHidden) {
    if (isHidden && element.contains(document.activeElement)) this.focus();
    element.hidden = isHidden;
  }

  /** @param {string} sentence why something was not done @param {boolean} [isUrgent] */
  #note(sentence, isUrgent) {
    this.#shown?.call.story.note("x", sentence, "");
    this.#parts.say(sentence, isUrgent);
    // It stands in the transcript, which may be behind the figures.
    if (!this.#side.contains(document.activeElement)) this.#header.choose(0);
    this.update();
  }

  /** @param {ControlName} name */
  #pressByKeys(name) {
    if (!this.#shown) return;
    this.#isByKeys = true;
    this.#toolbar.press(name);
    this.#isByKeys = false;
  }

  /** @param {ControlName} name */
  #press(name) {
    if (!this.#shown) return;
    const { call, callId, sound } = this.#shown;
    const summary = call.summary();
    const taker = summary.taken_over_by;
    const origin = this.#toolbar.button(name);
    const caller = callerWords(summary).name;
    if (name === "listen") sound.isHearing ? sound.stopListening() : void sound.listen();
    else if (name === "hangUp") {
      const isEnding = summary.state === "ending";
      this.#transfer.close();
      this.#hangUp.open({ name: caller, origin, isEnding, isByKeys: this.#isByKeys });
    } else if (name === "transfer") {
      const targets = this.#parts.service()?.transfer_targets ?? [];
      this.#hangUp.close();
      this.#transfer.open({ name: caller, origin, targets, agentSpeaks: !taker });
    } else if (name === "takeOver" && this.#isByKeys && taker && taker !== this.#parts.me().name) {
      // Whoever wanted to take it over himself may have come too late.
      this.#note(`The call is with ${taker}. Press “Hand back” to give it to the agent.`);
    } else {
      if (name === "takeOver") sound.stopSpeaking();
      if (name === "takeOver" && !taker) this.#parts.onTakeOver(callId);
      void this.#run(name, toggleOf(name, () => call.summary()));
    }
  }

  /**
   * @param {string} name
   * @param {import("./commands.js").Command} command
   */
  async #run(name, command) {
    const shown = this.#shown;
    const refusal = (await shown?.commands.run(name, command)) ?? "";
    void shown?.call.refresh();
    return refusal;
  }

  /** @param {{to: string, say_first?: string}} body */
  async #putThrough(body) {
    const shown = this.#shown;
    const refusal = await this.#run("transfer", { path: "transfer", body, isNoted: false });
    if (refusal && !this.#transfer.isOpen && shown === this.#shown) this.#note(refusal);
    return refusal;
  }

  /** @param {WaitingTool} tool @param {boolean} isApproved */
  #decide({ toolCallId }, isApproved) {
    const { call } = /** @type {Shown} */ (this.#shown);
    const path = `tools/${encodeURIComponent(toolCallId)}/${isApproved ? "approve" : "decline"}`;
    const until = () => call.story.approvals.every((tool) => tool.toolCallId !== toolCallId);
    void this.#run(`ask ${toolCallId}`, { path, until });
  }

  /**
   * What a key leads to may be behind the figures.
   *
   * @param {() => void} go
   */
  #toTranscript(go) {
    if (!this.#shown) return;
    this.#header.choose(0);
    go();
  }

  #speak() {
    const sound = this.#shown?.sound;
    if (sound?.isSpeaking) sound.stopSpeaking();
    else void sound?.speak();
  }

  #save() {
    const record = this.#shown?.call.record;
    if (record) saveRecord(record);
  }

  /** @param {number} atS where the recording plays */
  #played(atS) {
    this.#timeline.place(atS);
    let heard = null;
    for (const row of this.#shown?.call.story.rows.values() ?? []) {
      if (row.kind === "utterance" && row.atS <= atS) heard = row.key;
    }
    this.#transcript.follow(heard);
  }
}
