import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { Speaker } from "../../evibridge/web/console/speak.js";

const ADDRESS = "a=candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host\r\n";
const STUN = [{ urls: "stun:stun.example.com:3478" }];

const world = { peers: [], streams: [], elements: [], offers: [], told: [], measured: [] };
let microphone;
let voice;
let sdp;
let nowMs;

class FakeTrack {
  isStopped = false;
  stop() {
    this.isStopped = true;
  }
}

class FakeStream {
  constructor(tracks = [new FakeTrack()]) {
    this.tracks = tracks;
    world.streams.push(this);
  }
  getTracks() {
    return this.tracks;
  }
  getAudioTracks() {
    return this.tracks;
  }
}

class FakeChannel {
  readyState = "connecting";
  sent = [];
  constructor(label) {
    this.label = label;
  }
  send(text) {
    this.sent.push(text);
  }
  open() {
    this.readyState = "open";
    this.onopen();
  }
  tell(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }
  close() {
    this.readyState = "closed";
    this.onclose();
  }
}

class FakePeer {
  iceGatheringState = "complete";
  signalingState = "stable";
  isClosed = false;
  sent = [];
  constructor(configuration) {
    this.configuration = configuration;
    world.peers.push(this);
  }
  addTrack(track) {
    this.sent.push(track);
  }
  createDataChannel(label) {
    return (this.channel = new FakeChannel(label));
  }
  async setLocalDescription() {
    this.localDescription = { type: "offer", sdp };
  }
  async setRemoteDescription(answer) {
    this.answer = answer;
  }
  close() {
    this.isClosed = true;
  }
}

/** Its loudness is 0.5 wherever a stream is measured. */
class FakeContext {
  state = "running";
  sampleRate = 48000;
  createMediaStreamSource(stream) {
    world.measured.push(stream);
    return { context: this, connect() {}, disconnect() {} };
  }
  async resume() {}
  async close() {}
}

class FakeAnalyser {
  constructor(_context, { fftSize }) {
    this.fftSize = fftSize;
  }
  getFloatTimeDomainData(samples) {
    samples.fill(0.5);
  }
}

function newElement() {
  const element = { srcObject: null, play: async () => {}, pause: () => {} };
  world.elements.push(element);
  return element;
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  nowMs = 0;
  mock.method(performance, "now", () => nowMs);
  for (const list of Object.values(world)) list.length = 0;
  sdp = `v=0\r\n${ADDRESS}`;
  microphone = async () => new FakeStream();
  voice = async () => ({ type: "answer", sdp: "the answer" });
  const getUserMedia = (wanted) => microphone(wanted);
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices: { getUserMedia } }, configurable: true });
  Object.assign(globalThis, {
    document: Object.assign(new EventTarget(), { createElement: newElement }),
    AnalyserNode: FakeAnalyser,
    AudioContext: FakeContext,
    MediaStream: FakeStream,
    RTCPeerConnection: FakePeer,
  });
});

function newSpeaker() {
  const api = {
    voice: (callId, offer) => {
      world.offers.push([callId, offer]);
      return voice();
    },
  };
  const onState = (state, sentence) => world.told.push([state, sentence]);
  return new Speaker({ api, callId: "c1", iceServers: STUN, onState });
}

async function speaking() {
  const speaker = newSpeaker();
  await speaker.start();
  world.peers[0].channel.open();
  return speaker;
}

const pass = (ms) => {
  for (let passed = 0; passed < ms; passed += 1000) {
    nowMs += 1000;
    mock.timers.tick(1000);
  }
};
const states = () => world.told.map(([state]) => state);
const ended = () => world.told.at(-1);
const refusing = (name) => async () => {
  throw Object.assign(new Error("no"), { name });
};
const isReleased = () =>
  world.streams.every((stream) => stream.tracks.every((track) => track.isStopped)) &&
  world.peers.every((peer) => peer.isClosed);

test("the operator's microphone is offered, and the answer taken", async () => {
  const wanted = [];
  const stream = new FakeStream();
  microphone = async (constraints) => (wanted.push(constraints), stream);
  await newSpeaker().start();
  assert.equal(wanted[0].audio.echoCancellation && wanted[0].audio.noiseSuppression, true);
  const [peer] = world.peers;
  assert.deepEqual(peer.configuration, { iceServers: STUN });
  assert.deepEqual([peer.sent, peer.channel.label], [stream.tracks, "evibridge"]);
  assert.deepEqual(world.offers, [["c1", { type: "offer", sdp }]]);
  assert.deepEqual(peer.answer, { type: "answer", sdp: "the answer" });
  assert.deepEqual(world.told, [["connecting", ""]]);
  peer.channel.open();
  assert.deepEqual(states(), ["connecting", "on"]);
});

test("what comes from the caller is played, and the microphone measured", async () => {
  const speaker = await speaking();
  const track = new FakeTrack();
  world.peers[0].ontrack({ track });
  assert.deepEqual(world.elements[0].srcObject.tracks, [track]);
  assert.equal(world.measured[0], world.streams[0]);
  assert.equal(speaker.level(), 0.5);
  speaker.stop();
  assert.equal(speaker.level(), 0);
});

test("the service is pinged each second", async () => {
  await speaking();
  const { channel } = world.peers[0];
  for (let second = 0; second < 10; second += 1) {
    pass(1000);
    channel.tell({ type: "pong" });
  }
  assert.deepEqual(channel.sent, Array(10).fill('{"type":"ping"}'));
  assert.deepEqual(states(), ["connecting", "on"]);
});

test("a service that does not answer is lost", async () => {
  await speaking();
  pass(6000);
  assert.deepEqual(ended(), ["failed", "The connection to the caller was lost."]);
  assert.ok(isReleased());
  const { sent } = world.peers[0].channel;
  const count = sent.length;
  pass(5000);
  assert.equal(sent.length, count, "nothing is sent any more");
});

test("a connection that breaks is lost, and told of once", async () => {
  await speaking();
  world.peers[0].channel.close();
  assert.deepEqual(states(), ["connecting", "on", "failed"]);
  assert.ok(isReleased());
  pass(20_000);
  assert.equal(world.told.length, 3);
});

test("a microphone that is blocked, or missing, is told in words", async () => {
  for (const [name, sentence] of [
    ["NotAllowedError", "The microphone is blocked. Allow it for this page, then try again."],
    ["NotFoundError", "No microphone was found. Connect one, then try again."],
  ]) {
    microphone = refusing(name);
    await newSpeaker().start();
    assert.deepEqual(ended(), ["failed", sentence]);
    assert.equal(world.peers.length, 0);
  }
});

test("a microphone that is pulled out ends it", async () => {
  await speaking();
  world.streams[0].tracks[0].onended();
  assert.equal(ended()[0], "failed");
  assert.match(ended()[1], /microphone is gone/);
  assert.ok(isReleased());
});

test("a refusal of the service is told in its own words", async () => {
  voice = async () => {
    throw new Error("Take the call over first.");
  };
  await newSpeaker().start();
  assert.deepEqual(ended(), ["failed", "Take the call over first."]);
  assert.ok(isReleased());
});

test("a browser without an address does not ask", async () => {
  sdp = "v=0\r\n";
  await newSpeaker().start();
  assert.match(ended()[1], /^You cannot be connected/);
  assert.equal(world.offers.length, 0);
  assert.ok(isReleased());
});

test("a connection that does not come to be is given up", async () => {
  await newSpeaker().start();
  pass(14_000);
  assert.deepEqual(states(), ["connecting"]);
  pass(1000);
  assert.equal(ended()[0], "failed");
  assert.match(ended()[1], /^You cannot be connected/);
  assert.ok(isReleased());
});

test("the service says why it has ended", async () => {
  await speaking();
  world.peers[0].channel.tell({ type: "closed", message: "The call is over." });
  world.peers[0].channel.close();
  assert.deepEqual(world.told.slice(2), [["off", "The call is over."]]);
  assert.ok(isReleased());
});

test("stopping releases microphone and connection, and speaking can begin anew", async () => {
  const speaker = await speaking();
  speaker.stop();
  assert.deepEqual(ended(), ["off", ""]);
  assert.ok(isReleased());
  speaker.stop();
  assert.equal(world.told.length, 3);
  await speaker.start();
  world.peers[1].channel.open();
  assert.equal(ended()[0], "on");
  world.peers[0].channel.close();
  assert.equal(ended()[0], "on", "the first has no say any more");
});

test("a second start changes nothing", async () => {
  const speaker = await speaking();
  await speaker.start();
  assert.equal(world.peers.length, 1);
});

test("who stops while he is asked for the microphone leaves none open", async () => {
  let allow;
  microphone = () => new Promise((resolve) => (allow = resolve));
  const speaker = newSpeaker();
  const started = speaker.start();
  speaker.stop();
  allow(new FakeStream());
  await started;
  assert.ok(isReleased());
  assert.deepEqual([world.peers.length, states()], [0, ["connecting", "off"]]);
});

test("who stops while the service is asked is not connected", async () => {
  let answer;
  voice = () => new Promise((resolve) => (answer = resolve));
  const speaker = newSpeaker();
  const started = speaker.start();
  for (let turn = 0; turn < 100 && world.offers.length === 0; turn += 1) await null;
  assert.equal(world.offers.length, 1);
  speaker.stop();
  answer({ type: "answer", sdp: "late" });
  await started;
  assert.equal(world.peers[0].answer, undefined);
  assert.ok(isReleased());
  assert.deepEqual(states(), ["connecting", "off"]);
});
