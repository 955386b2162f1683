import { EvibridgeError } from "./call_error.js";
import { parseMessage } from "./messages.js";
import { post } from "./requests.js";
import { unlessAborted } from "./waiting.js";

/** @typedef {import("./transport.js").TransportListener} TransportListener */
/** @typedef {import("./microphone.js").Microphone} Microphone */
/** @typedef {import("./peer_sound.js").PeerSound} PeerSound */

const CHANNEL = "evibridge";
/** Addresses are looked for so long in all ... */
const GATHERS_FOR_MS = 2000;
/** ... and so long after the first was found: STUN and TURN answer sooner, or not at all. */
const GATHERS_MORE_FOR_MS = 1000;
/** Networks are changed, and answers get lost, without the end of a connection. */
const COMES_BACK_WITHIN_MS = 2000;

/** A call by WebRTC: the browser sends and plays the audio, a data channel carries the messages. */
export class WebRtcTransport {
  /** @type {"webrtc"} */
  kind = "webrtc";
  /** @type {Promise<unknown>} */
  asking = Promise.resolve();
  #server;
  #sound;
  #microphone;
  #listener;
  #closing = new AbortController();
  /** @type {RTCPeerConnection | null} */
  #peer = null;
  /** @type {RTCDataChannel | null} */
  #channel = null;
  /** @type {RTCRtpSender | null} */
  #sender = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #patience;

  /**
   * @param {URL} server
   * @param {PeerSound} sound
   * @param {Microphone} microphone
   * @param {TransportListener} listener
   */
  constructor(server, sound, microphone, listener) {
    this.#server = server;
    this.#sound = sound;
    this.#microphone = microphone;
    this.#listener = listener;
  }

  /** @param {import("./transport.js").Proof} proof */
  async open(proof) {
    const { signal } = this.#closing;
    const { ice_servers: iceServers } = await post(new URL("webrtc/ice", this.#server), secretOf(proof), signal);
    const peer = this.#newPeer(iceServers);
    this.#addMicrophone(peer, this.#microphone.stream);
    await unlessAborted(peer.setLocalDescription(), signal);
    await unlessAborted(gathered(peer), signal);
    if (leadsNowhere(peer, iceServers)) throw blocked();
    await this.#offer(peer, proof);
  }

  /**
   * @param {RTCPeerConnection} peer
   * @param {import("./transport.js").Proof} proof
   */
  async #offer(peer, proof) {
    const { signal } = this.#closing;
    const url = new URL("webrtc/offer", this.#server);
    // Not broken off: without the key in its answer the place could not be given back.
    const asked = post(url, { type: "offer", sdp: peer.localDescription?.sdp, ...proof });
    this.asking = asked.catch(() => {});
    const answer = await asked;
    const { call_id: callId, key, resume_s: resumeS } = answer;
    this.#listener.onPlace({ callId, key, resumeS });
    signal.throwIfAborted();
    await unlessAborted(peer.setRemoteDescription({ type: "answer", sdp: answer.sdp }), signal);
  }

  /** @param {import("../evibridge.js").PageMessage} message */
  send(message) {
    if (this.#channel?.readyState === "open") this.#channel.send(JSON.stringify(message));
  }

  /** @param {MediaStream} stream */
  async replaceMicrophone(stream) {
    if (!this.#sender) return false;
    await this.#sender.replaceTrack(stream.getAudioTracks()[0]);
    this.#sound.hear(stream);
    return true;
  }

  close() {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new EvibridgeError("connection_lost", "The connection was closed."));
    clearTimeout(this.#patience);
    if (this.#channel) this.#channel.onmessage = this.#channel.onclose = null;
    if (this.#peer) this.#peer.ontrack = this.#peer.onconnectionstatechange = null;
    this.#peer?.close();
  }

  /** @param {RTCIceServer[]} iceServers */
  #newPeer(iceServers) {
    const peer = new RTCPeerConnection({ iceServers });
    this.#peer = peer;
    peer.ontrack = ({ track }) => this.#sound.play(track);
    peer.onconnectionstatechange = () => this.#watch(peer);
    const channel = peer.createDataChannel(CHANNEL);
    this.#channel = channel;
    channel.onmessage = ({ data }) => {
      const message = parseMessage(data);
      if (message) this.#listener.onMessage(message);
    };
    channel.onclose = () => this.#lost();
    return peer;
  }

  /**
   * @param {RTCPeerConnection} peer
   * @param {MediaStream | null} stream
   */
  #addMicrophone(peer, stream) {
    this.#sound.hear(stream);
    if (stream) this.#sender = peer.addTrack(stream.getAudioTracks()[0], stream);
    else peer.addTransceiver("audio", { direction: "recvonly" });
  }

  /** @param {RTCPeerConnection} peer */
  #watch({ connectionState }) {
    clearTimeout(this.#patience);
    if (connectionState === "failed") this.#lost();
    if (connectionState === "disconnected") this.#patience = setTimeout(() => this.#lost(), COMES_BACK_WITHIN_MS);
  }

  #lost() {
    const wasOpen = this.#channel?.readyState !== "connecting";
    this.#listener.onLost(wasOpen ? new EvibridgeError("connection_lost", "The connection was lost.") : blocked());
  }
}

const blocked = () => new EvibridgeError("blocked", "The network lets no call by WebRTC through.");

/** @param {import("./transport.js").Proof} proof */
const secretOf = (proof) => ("token" in proof ? { token: proof.token } : { key: proof.key });

/**
 * Resolves when the offer has the addresses of this side: all of them, or those found in time.
 *
 * @param {RTCPeerConnection} peer
 * @returns {Promise<void>}
 */
export function gathered(peer) {
  return new Promise((resolve) => {
    const timers = [setTimeout(() => done(), GATHERS_FOR_MS)];
    const done = () => {
      for (const timer of timers) clearTimeout(timer);
      peer.onicegatheringstatechange = peer.onicecandidate = null;
      resolve();
    };
    const look = () => {
      if (peer.iceGatheringState === "complete" || peer.signalingState === "closed") done();
    };
    peer.onicegatheringstatechange = look;
    peer.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate && timers.length === 1) timers.push(setTimeout(done, GATHERS_MORE_FOR_MS));
      look();
    };
    look();
  });
}

/**
 * Whether the browser has looked everywhere and has found no address of its own.
 *
 * @param {RTCPeerConnection} peer
 * @param {RTCIceServer[]} iceServers
 */
export function leadsNowhere(peer, iceServers) {
  const hasRelay = iceServers.flatMap(({ urls }) => urls).some((url) => url.startsWith("turn"));
  const hasAddress = /^a=candidate:/m.test(peer.localDescription?.sdp ?? "");
  return peer.iceGatheringState === "complete" && !hasAddress && !hasRelay;
}
