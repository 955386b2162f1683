import { Heartbeat, PING_EACH_S } from "../call/heartbeat.js";
import { parseMessage } from "../call/messages.js";
import { Microphone } from "../call/microphone.js";
import { PeerSound } from "../call/peer_sound.js";
import { SoundUnlock } from "../call/sound_unlock.js";
import { unlessAborted } from "../call/waiting.js";
import { gathered, leadsNowhere } from "../call/webrtc_transport.js";

/** The service waits so long for a page to connect. */
const CONNECTS_WITHIN_MS = 15_000;
const LOST = "The connection to the caller was lost.";
const BLOCKED = "You cannot be connected to the caller: the network lets no call by WebRTC through.";
const GONE = "The microphone is gone. Connect it, then try again.";
/** @type {Record<string, string>} */
const WORDS = {
  microphone_refused: "The microphone is blocked. Allow it for this page, then try again.",
  microphone_missing: "No microphone was found. Connect one, then try again.",
};

/** Lets an operator speak to the caller of a call that he has taken over, and hear him. */
export class Speaker {
  #options;
  /** @type {AbortController | null} ends what was begun */
  #run = null;
  /** @type {PeerSound | null} */
  #sound = null;

  /**
   * @param {object} options
   * @param {{voice(id: string, offer: {type: "offer", sdp: string}): Promise<{sdp: string}>}} options.api
   * @param {string} options.callId
   * @param {RTCIceServer[]} options.iceServers
   * @param {(state: "off" | "connecting" | "on" | "failed", sentence: string) => void} options.onState
   *   "off" comes with a sentence if the service has ended it
   */
  constructor(options) {
    this.#options = options;
  }

  /** Ask for the microphone, and connect. */
  async start() {
    if (this.#run) return;
    const run = (this.#run = new AbortController());
    const sound = (this.#sound = new PeerSound(new SoundUnlock(document, () => {})));
    const microphone = new Microphone(() => this.#end(run.signal, "failed", GONE));
    run.signal.onabort = () => {
      microphone.close();
      sound.close();
    };
    this.#options.onState("connecting", "");
    try {
      const stream = /** @type {MediaStream} */ (await microphone.open(true));
      await this.#connect(run.signal, stream, sound);
    } catch (/** @type {any} */ error) {
      this.#end(run.signal, "failed", WORDS[error.code] ?? error.message);
    }
  }

  /** Speak no more: the microphone is released. */
  stop() {
    if (this.#run) this.#end(this.#run.signal, "off", "");
  }

  /** Loudness of the microphone, RMS from 0 to 1. */
  level() {
    return this.#sound?.level("caller") ?? 0;
  }

  /**
   * @param {AbortSignal} signal
   * @param {MediaStream} stream of the microphone
   * @param {PeerSound} sound
   */
  async #connect(signal, stream, sound) {
    const { api, callId, iceServers } = this.#options;
    const peer = new RTCPeerConnection({ iceServers });
    signal.addEventListener("abort", () => peer.close());
    peer.ontrack = ({ track }) => sound.play(track);
    peer.addTrack(stream.getAudioTracks()[0], stream);
    sound.hear(stream);
    const channel = this.#talk(signal, peer.createDataChannel("evibridge"));
    await unlessAborted(peer.setLocalDescription(), signal);
    await unlessAborted(gathered(peer), signal);
    if (leadsNowhere(peer, iceServers)) throw new Error(BLOCKED);
    const sdp = peer.localDescription?.sdp ?? "";
    const answer = await unlessAborted(api.voice(callId, { type: "offer", sdp }), signal);
    const isLate = () => channel.readyState === "connecting" && this.#end(signal, "failed", BLOCKED);
    setTimeout(isLate, CONNECTS_WITHIN_MS);
    await unlessAborted(peer.setRemoteDescription({ type: "answer", sdp: answer.sdp }), signal);
  }

  /**
   * @param {AbortSignal} signal
   * @param {RTCDataChannel} channel
   */
  #talk(signal, channel) {
    const heartbeat = new Heartbeat(secondsNow());
    const beat = () => {
      const todo = heartbeat.beat(secondsNow());
      if (todo === "ping") channel.send('{"type":"ping"}');
      if (todo === "dead") this.#end(signal, "failed", LOST);
    };
    channel.onopen = () => {
      this.#options.onState("on", "");
      const clock = setInterval(beat, 1000 * PING_EACH_S);
      signal.addEventListener("abort", () => clearInterval(clock));
    };
    channel.onmessage = ({ data }) => {
      heartbeat.received(secondsNow());
      const message = /** @type {any} */ (parseMessage(data));
      if (message?.type === "closed") this.#end(signal, "off", message.message);
    };
    channel.onclose = () => this.#end(signal, "failed", LOST);
    return channel;
  }

  /**
   * @param {AbortSignal} signal of what has ended
   * @param {"off" | "failed"} state
   * @param {string} sentence
   */
  #end(signal, state, sentence) {
    if (signal.aborted) return;
    this.#run?.abort();
    this.#run = this.#sound = null;
    this.#options.onState(state, sentence);
  }
}

const secondsNow = () => performance.now() / 1000;
