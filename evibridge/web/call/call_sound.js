import { EvibridgeError } from "./call_error.js";
import { PeerSound } from "./peer_sound.js";
import { StreamSound } from "./stream_sound.js";

/** @typedef {import("./sound_unlock.js").SoundUnlock} SoundUnlock */

/** A call's sound, by whichever way it comes. It outlives the connections. */
export class CallSound {
  #unlock;
  #speaker;
  #onSpeakerError;
  /** @type {PeerSound | null} */
  #peer = null;
  /** @type {StreamSound | null} */
  #stream = null;

  /**
   * @param {SoundUnlock} unlock
   * @param {string | undefined} speaker `deviceId` of an audio output
   * @param {(error: EvibridgeError) => void} onSpeakerError that one is not to be had
   */
  constructor(unlock, speaker, onSpeakerError) {
    this.#unlock = unlock;
    this.#speaker = speaker;
    this.#onSpeakerError = onSpeakerError;
  }

  /** Sound by WebRTC. */
  byPeer() {
    this.#peer ??= this.#withSpeaker(new PeerSound(this.#unlock));
    return this.#peer;
  }

  /** Sound by WebSocket; a call does not come back to WebRTC from there. */
  byStream() {
    this.#peer?.close();
    this.#peer = null;
    this.#stream ??= this.#withSpeaker(new StreamSound(this.#unlock));
    return this.#stream;
  }

  get underruns() {
    return this.#current?.underruns ?? 0;
  }

  /** @param {"caller" | "agent"} who */
  level(who) {
    return this.#current?.level(who) ?? 0;
  }

  /** @param {string} deviceId */
  async setSpeaker(deviceId) {
    await this.#current?.setSpeaker(deviceId);
    this.#speaker = deviceId;
  }

  close() {
    this.#peer?.close();
    this.#stream?.close();
    this.#peer = this.#stream = null;
    this.#unlock.close();
  }

  get #current() {
    return this.#stream ?? this.#peer;
  }

  /**
   * @template {PeerSound | StreamSound} Sound
   * @param {Sound} sound
   */
  #withSpeaker(sound) {
    if (this.#speaker !== undefined) sound.setSpeaker(this.#speaker).catch(this.#onSpeakerError);
    return sound;
  }
}
