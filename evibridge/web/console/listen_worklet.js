/**
 * Plays the sound of a call as it goes on: int16 stereo PCM, left the caller, right the agent.
 *
 * From the page: {rateHz} before the first sound of a connection, {isCallerOnly}, or an
 * ArrayBuffer of sound.
 *
 * Worklets import nothing: not all browsers let them.
 */

/** So much is gathered before it plays: the network is not even. */
export const LEAD_S = 0.12;
/** What would be heard later than this is dropped, down to the lead. */
export const MAX_QUEUED_S = 0.6;
/** What begins fades in, and what runs dry fades out: no click. */
export const FADE_S = 0.005;
/** A side is heard so loud in its own ear, and in the other: people are told apart by where they are. */
export const NEAR = 0.65;
export const FAR = 0.35;

/** The sound that waits to be heard. */
export class JitterBuffer {
  #sound;
  #size;
  #lead;
  #step;
  #fadeStep;
  /** Frames that came, and up to where they were heard. */
  #written = 0;
  #at = 0;
  #gain = 0;
  #isPlaying = false;

  /**
   * @param {number} rateHz of the sound
   * @param {number} outputHz
   */
  constructor(rateHz, outputHz) {
    this.#size = Math.round(rateHz * MAX_QUEUED_S);
    this.#sound = new Int16Array(2 * this.#size);
    this.#lead = rateHz * LEAD_S;
    this.#step = rateHz / outputHz;
    this.#fadeStep = 1 / (FADE_S * outputHz);
  }

  /** @param {Int16Array} stereo */
  queue(stereo) {
    for (let at = 0; at + 1 < stereo.length; at += 2) {
      const to = 2 * (this.#written % this.#size);
      this.#sound[to] = stereo[at];
      this.#sound[to + 1] = stereo[at + 1];
      this.#written += 1;
    }
    if (this.#written - this.#at <= this.#size) return;
    this.#at = this.#written - this.#lead;
    this.#gain = 0;
  }

  /**
   * Fill both outputs, with silence where nothing is to be heard.
   *
   * @param {Float32Array} left
   * @param {Float32Array} right
   * @param {boolean} isCallerOnly whether the agent is left out
   */
  play(left, right, isCallerOnly = false) {
    this.#isPlaying ||= this.#written - this.#at >= this.#lead;
    for (let to = 0; to < left.length; to += 1) {
      const ahead = (this.#written - 1 - this.#at) / this.#step;
      this.#isPlaying &&= ahead > 0;
      this.#gain = this.#isPlaying ? Math.min(1, this.#gain + this.#fadeStep, ahead * this.#fadeStep) : 0;
      const caller = this.#sample(0);
      const agent = isCallerOnly ? caller : this.#sample(1);
      left[to] = this.#gain * (NEAR * caller + FAR * agent);
      right[to] = this.#gain * (FAR * caller + NEAR * agent);
      if (this.#isPlaying) this.#at += this.#step;
    }
  }

  /** @param {0 | 1} side of which the sample at this moment is wanted, from -1 to 1 */
  #sample(side) {
    const from = Math.floor(this.#at);
    const a = this.#sound[2 * (from % this.#size) + side];
    const b = this.#sound[2 * ((from + 1) % this.#size) + side];
    return (a + (b - a) * (this.#at - from)) / 32768;
  }
}

class ListenProcessor extends AudioWorkletProcessor {
  #buffer = new JitterBuffer(sampleRate, sampleRate);
  #isCallerOnly = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.#receive(data);
  }

  /** @param {any} data */
  #receive(data) {
    if (data instanceof ArrayBuffer) this.#buffer.queue(new Int16Array(data));
    else if (data.rateHz) this.#buffer = new JitterBuffer(data.rateHz, sampleRate);
    else this.#isCallerOnly = data.isCallerOnly;
  }

  /**
   * @param {Float32Array[][]} _inputs
   * @param {Float32Array[][]} outputs
   */
  process(_inputs, [[left, right]]) {
    this.#buffer.play(left, right, this.#isCallerOnly);
    return true;
  }
}

registerProcessor("evibridge-listen", ListenProcessor);
