/** The recording of an ended call. It is loaded when it is first wanted. */

import { button, icon, made, put, setIcon } from "../shared/elements.js";
import { lengthOf } from "./words.js";

const CANNOT_PLAY = "This browser cannot play the recording. Save it and play it elsewhere.";

/** @param {number} atS @param {number} ofS */
export const positionWords = (atS, ofS) => `${lengthOf(atS)} of ${lengthOf(ofS)}`;

/** @param {number | null} share from 0 to 1; null if nobody knows */
export function loadingWords(share) {
  return share === null ? "Loading" : `Loading ${Math.floor(Math.min(1, share) * 100)} %`;
}

export class Player {
  #load;
  #onTime;
  #audio = new Audio();
  #url = "";
  #isLoading = false;
  #isClosed = false;
  #lengthS;
  /** Where to play from, as soon as it is loaded. */
  #wantedS = 0;
  #element = made("div", "player");
  #play;
  #time = made("span", "", lengthOf(0));
  #range = made("input");
  #state = made("span", "muted");
  #again;

  /**
   * @param {HTMLElement} parent gets the player
   * @param {object} recording
   * @param {(onProgress: (share: number | null) => boolean) => Promise<Blob>} recording.load `onProgress`
   *     returns whether to go on
   * @param {(atS: number) => void} recording.onTime about four times a second while it plays
   * @param {number} [recording.lengthS] in seconds, as far as it is known before it is loaded
   */
  constructor(parent, { load, onTime, lengthS = 0 }) {
    this.#load = load;
    this.#onTime = onTime;
    this.#lengthS = lengthS;
    this.#play = button({ className: "btn go sq", onPress: () => this.#toggle() });
    this.#play.append(icon("play"));
    const tryAgain = () => this.seek(this.#wantedS);
    this.#again = button({ label: "Try again", className: "btn sm", onPress: tryAgain });
    this.#again.hidden = true;
    this.#range.type = "range";
    this.#range.ariaLabel = "Position in the recording";
    this.#range.addEventListener("input", () => this.#place(Number(this.#range.value)));
    this.#state.setAttribute("role", "status");
    if (lengthS) put(this.#state, lengthOf(lengthS));
    this.#element.append(this.#play, this.#time, this.#range, this.#state, this.#again);
    parent.append(this.#element);
    for (const change of ["play", "pause", "ended"]) this.#audio.addEventListener(change, () => this.#show());
    this.#audio.addEventListener("timeupdate", () => this.#tell());
    this.#audio.addEventListener("durationchange", () => this.#measure());
    this.#audio.addEventListener("error", () => this.#url && this.#fail(CANNOT_PLAY));
    this.#show();
  }

  /**
   * Play from there on.
   *
   * @param {number} atS
   */
  seek(atS) {
    this.#wantedS = atS;
    if (this.#url) {
      this.#audio.currentTime = atS;
      this.#start();
    } else void this.#fetch();
  }

  /** It is not heard any more, and its memory is free. */
  close() {
    this.#isClosed = true;
    this.#audio.pause();
    this.#element.remove();
    this.#forget();
  }

  #toggle() {
    if (!this.#audio.paused) this.#audio.pause();
    else if (this.#url) this.#start();
    else this.seek(this.#wantedS);
  }

  /** @param {number} atS chosen by the range: who has paused stays paused */
  #place(atS) {
    if (this.#url) this.#audio.currentTime = atS;
    this.#tell(atS);
  }

  async #fetch() {
    if (this.#isLoading) return;
    this.#isLoading = true;
    this.#again.hidden = true;
    put(this.#state, loadingWords(null));
    this.#show();
    try {
      const blob = await this.#load((share) => {
        put(this.#state, loadingWords(share));
        return !this.#isClosed;
      });
      if (!this.#isClosed) this.#open(blob);
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
    } finally {
      this.#isLoading = false;
      this.#show();
    }
  }

  /** @param {Blob} blob */
  #open(blob) {
    this.#url = URL.createObjectURL(blob);
    this.#audio.src = this.#url;
    this.seek(this.#wantedS);
  }

  /** A browser may want another press before it makes a sound. */
  #start() {
    this.#audio.play().catch(() => this.#show());
  }

  /** @param {string} sentence */
  #fail(sentence) {
    if (this.#isClosed) return;
    this.#forget();
    put(this.#state, sentence);
    this.#again.hidden = false;
    this.#show();
  }

  #forget() {
    const url = this.#url;
    this.#url = "";
    this.#audio.removeAttribute("src");
    if (url) URL.revokeObjectURL(url);
  }

  #measure() {
    if (Number.isFinite(this.#audio.duration)) this.#lengthS = this.#audio.duration;
    this.#show();
  }

  #tell(atS = this.#audio.currentTime) {
    this.#wantedS = atS;
    this.#show();
    this.#onTime(this.#wantedS);
  }

  #show() {
    const isPlaying = !this.#audio.paused;
    const drawing = this.#play.firstElementChild;
    if (drawing) {
      setIcon(drawing, this.#isLoading ? "ring" : isPlaying ? "pause" : "play");
      drawing.classList.toggle("spin", this.#isLoading);
    }
    this.#play.title = isPlaying ? "Pause" : "Play the recording";
    this.#play.ariaLabel = this.#play.title;
    this.#range.max = String(Math.ceil(this.#lengthS));
    this.#range.value = String(this.#wantedS);
    this.#range.ariaValueText = positionWords(this.#wantedS, this.#lengthS);
    put(this.#time, lengthOf(this.#wantedS));
    if (this.#url) put(this.#state, lengthOf(this.#lengthS));
  }
}
