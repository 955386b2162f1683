/** Which microphone and loudspeaker, and other choices that are kept on this device. */

import { Meter } from "./meter.js";
import { MicrophoneCheck, whyNot } from "./microphone_check.js";
import { prefer, preferred } from "./preferences.js";
import { part } from "./stage_view.js";

/** @typedef {import("../evibridge.js").EvibridgeCall} EvibridgeCall */
/**
 * @typedef {object} Choices
 * @property {string} microphone device, "" for the system's choice
 * @property {string} speaker
 * @property {boolean} takesTurns
 * @property {boolean} readsAloud
 * @property {boolean} lettersAct
 */

const SYSTEM = "System default";
/** Ids of devices that may not be told apart yet, and of those that the system chooses. */
const UNNAMED = ["", "default", "communications"];

export class SoundPanel {
  #currentCall;
  #onChange;
  #check;
  #meter;
  #isOpen;

  /**
   * @param {() => EvibridgeCall | null} currentCall
   * @param {(choices: Choices, changed: keyof Choices) => void} onChange
   */
  constructor(currentCall, onChange) {
    this.#currentCall = currentCall;
    this.#onChange = onChange;
    this.#check = new MicrophoneCheck();
    this.#meter = new Meter(part("check"), true);
    this.#isOpen = false;
    /** @type {Choices} */
    this.choices = {
      microphone: preferred("microphone"),
      speaker: preferred("speaker"),
      takesTurns: preferred("takes-turns") === "yes",
      readsAloud: preferred("reads-aloud") === "yes",
      lettersAct: preferred("letters-act") !== "no",
    };
    this.#listenToList("microphone");
    this.#listenToList("speaker");
    this.#listenToBox("takes-turns", "takesTurns");
    this.#listenToBox("reads-aloud", "readsAloud");
    this.#listenToBox("letters-act", "lettersAct");
    part("speaker-field").hidden = !("setSinkId" in HTMLMediaElement.prototype);
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#isOpen && this.#list());
  }

  /** @param {boolean} isOpen */
  show(isOpen) {
    if (isOpen === this.#isOpen) return;
    this.#isOpen = isOpen;
    if (isOpen) {
      this.#meter.start(() => ({ caller: this.#level(), agent: 0 }));
      void this.#listen();
    } else {
      this.#meter.stop();
      this.#check.close();
    }
  }

  /** The chosen microphone is not there any more. */
  forgetMicrophone() {
    this.choices.microphone = "";
    prefer("microphone", "");
  }

  #level() {
    return this.#currentCall()?.level("caller") ?? this.#check.level();
  }

  /** Devices have names only once a microphone was allowed. */
  async #listen() {
    let hint = "";
    try {
      if (!this.#currentCall()) await this.#check.open(this.choices.microphone);
    } catch (error) {
      hint = whyNot(error);
    }
    part("check-hint").textContent = hint;
    part("check-hint").hidden = !hint;
    await this.#list();
  }

  async #list() {
    const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    fillList("microphone", devices, "audioinput", this.choices.microphone);
    fillList("speaker", devices, "audiooutput", this.choices.speaker);
  }

  /** @param {"microphone"|"speaker"} name */
  #listenToList(name) {
    const list = /** @type {HTMLSelectElement} */ (part(name));
    list.addEventListener("change", () => {
      this.choices[name] = list.value;
      prefer(name, list.value);
      this.#onChange(this.choices, name);
      if (name === "microphone") void this.#listen();
    });
  }

  /** @param {string} id @param {"takesTurns"|"readsAloud"|"lettersAct"} name */
  #listenToBox(id, name) {
    const box = /** @type {HTMLInputElement} */ (part(id));
    box.checked = this.choices[name];
    box.addEventListener("change", () => {
      this.choices[name] = box.checked;
      prefer(id, box.checked ? "yes" : "no");
      this.#onChange(this.choices, name);
    });
  }
}

/**
 * @param {string} id
 * @param {MediaDeviceInfo[]} devices
 * @param {MediaDeviceKind} kind
 * @param {string} chosen
 */
function fillList(id, devices, kind, chosen) {
  const list = /** @type {HTMLSelectElement} */ (part(id));
  const named = devices.filter(
    (device) => device.kind === kind && !UNNAMED.includes(device.deviceId),
  );
  const options = named.map((device) => new Option(device.label, device.deviceId));
  list.replaceChildren(new Option(SYSTEM, ""), ...options);
  list.value = named.some((device) => device.deviceId === chosen) ? chosen : "";
}
