import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { loadingWords, Player, positionWords } from "../../evibridge/web/console/player.js";

/** As much of an element as a player touches. */
class FakeElement extends EventTarget {
  children = [];
  attributes = new Map();
  classList = { add() {}, toggle() {} };
  textContent = "";
  append(...more) {
    for (const child of more) this.children.push(child);
  }
  remove() {
    this.isRemoved = true;
  }
  get firstElementChild() {
    return this.children[0] ?? null;
  }
  setAttribute(name, value) {
    this.attributes.set(name, value);
  }
  getAttribute(name) {
    return this.attributes.get(name) ?? null;
  }
  removeAttribute(name) {
    this.attributes.delete(name);
  }
  press() {
    this.dispatchEvent(new Event("click"));
  }
}

class FakeAudio extends FakeElement {
  paused = true;
  currentTime = 0;
  duration = NaN;
  src = "";
  async play() {
    this.paused = false;
    this.dispatchEvent(new Event("play"));
  }
  pause() {
    this.paused = true;
    this.dispatchEvent(new Event("pause"));
  }
}

const real = { createObjectURL: URL.createObjectURL, revokeObjectURL: URL.revokeObjectURL };
const turn = () => new Promise(setImmediate);
let audio;
let kept;

beforeEach(() => {
  kept = new Set();
  globalThis.document = { createElement: () => new FakeElement(), createElementNS: () => new FakeElement() };
  globalThis.Audio = class extends FakeAudio {
    constructor() {
      super();
      audio = this;
    }
  };
  URL.createObjectURL = (blob) => {
    kept.add(blob);
    return blob;
  };
  URL.revokeObjectURL = (blob) => kept.delete(blob);
});

afterEach(() => {
  delete globalThis.document;
  delete globalThis.Audio;
  Object.assign(URL, real);
});

/** A player whose loads are ended by hand, and what is seen of it. */
function made() {
  const parent = new FakeElement();
  const loads = [];
  const heard = [];
  const load = (onProgress) =>
    new Promise((resolve, reject) => loads.push({ onProgress, resolve, reject }));
  const player = new Player(parent, { load, onTime: (atS) => heard.push(atS), lengthS: 96 });
  const [play, time, range, state, again] = parent.children[0].children;
  return { player, parent, loads, heard, play, time, range, state, again };
}

/** A player whose recording is there, and plays. */
async function playing(name = "sound") {
  const all = made();
  all.play.press();
  all.loads[0].resolve(name);
  await turn();
  return all;
}

test("nothing is loaded before somebody wants to hear it", async () => {
  const { play, loads, state } = made();
  assert.equal(loads.length, 0);
  play.press();
  play.press();
  assert.equal(loads.length, 1);
  assert.equal(state.textContent, "Loading");
  loads[0].onProgress(0.404);
  assert.equal(state.textContent, "Loading 40 %");
});

test("what was loaded plays, and is not loaded again", async () => {
  const { play, loads, state } = await playing();
  assert.equal(audio.src, "sound");
  assert.equal(audio.paused, false);
  assert.equal(play.title, "Pause");
  assert.equal(state.textContent, "1:36");
  play.press();
  assert.equal(audio.paused, true);
  play.press();
  assert.equal(audio.paused, false);
  assert.equal(loads.length, 1);
});

test("a line that was pressed is played as soon as the recording is there, the last one wins", async () => {
  const { player, loads, range } = made();
  player.seek(12);
  player.seek(32);
  loads[0].resolve("sound");
  await turn();
  assert.equal(audio.currentTime, 32);
  assert.equal(audio.paused, false);
  assert.equal(range.ariaValueText, "0:32 of 1:36");
});

test("who moves the range while it is paused hears nothing yet", async () => {
  const { play, range, heard } = await playing();
  play.press();
  range.value = "50";
  range.dispatchEvent(new Event("input"));
  assert.equal(audio.currentTime, 50);
  assert.equal(audio.paused, true);
  assert.deepEqual(heard, [50]);
});

test("the time is told while it plays", async () => {
  const { heard, time, range } = await playing();
  audio.currentTime = 61.2;
  audio.dispatchEvent(new Event("timeupdate"));
  assert.deepEqual(heard, [61.2]);
  assert.equal(time.textContent, "1:01");
  assert.equal(range.value, "61.2");
});

test("a load that failed tells why, and can be tried again", async () => {
  const { player, loads, state, again } = made();
  player.seek(20);
  loads[0].reject(new Error("The server cannot be reached."));
  await turn();
  assert.equal(state.textContent, "The server cannot be reached.");
  assert.equal(again.hidden, false);
  again.press();
  assert.equal(again.hidden, true);
  loads[1].resolve("sound");
  await turn();
  assert.equal(audio.currentTime, 20);
  assert.equal(audio.paused, false);
});

test("a recording that the browser cannot play says so, and is forgotten", async () => {
  const { state, again } = await playing();
  audio.dispatchEvent(new Event("error"));
  assert.match(state.textContent, /cannot play/);
  assert.equal(again.hidden, false);
  assert.equal(kept.size, 0);
});

test("a player that was closed is silent, and keeps nothing", async () => {
  const { player, parent } = await playing();
  assert.equal(kept.size, 1);
  player.close();
  assert.equal(audio.paused, true);
  assert.equal(kept.size, 0);
  assert.equal(parent.children[0].isRemoved, true);
});

test("a recording that comes after the player was closed is not played", async () => {
  const { player, loads } = made();
  player.seek(3);
  player.close();
  loads[0].resolve("sound");
  await turn();
  assert.equal(audio.paused, true);
  assert.equal(kept.size, 0);
});

test("positions and progress are told in words", () => {
  assert.equal(positionWords(32.9, 96), "0:32 of 1:36");
  assert.equal(loadingWords(null), "Loading");
  assert.equal(loadingWords(0.999), "Loading 99 %");
});

test("who moves the range before anything is loaded hears it from there, once he wants to", async () => {
  const { play, loads, range, heard } = made();
  range.value = "50";
  range.dispatchEvent(new Event("input"));
  assert.deepEqual([loads.length, heard], [0, [50]]);
  play.press();
  loads[0].resolve("sound");
  await turn();
  assert.equal(audio.currentTime, 50);
});

test("a call that is left is not loaded any further", async () => {
  const { player, play, loads } = made();
  play.press();
  assert.equal(loads[0].onProgress(0.1), true);
  player.close();
  assert.equal(loads[0].onProgress(0.2), false);
});
