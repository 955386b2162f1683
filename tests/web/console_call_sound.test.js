import assert from "node:assert/strict";
import { test } from "node:test";

import { CallSound } from "../../evibridge/web/console/call_sound.js";

/** What an operator hears and says, with parts that do nothing but tell what they were asked for. */
function soundOf(loaders = {}) {
  const done = [];
  const notes = [];
  const urgent = [];
  const made = {};
  const partNamed = (name) =>
    class {
      constructor(options) {
        made[name] = options;
      }
      start() {
        done.push(`${name} starts`);
      }
      stop() {
        done.push(`${name} stops`);
      }
      level() {
        return 0.5;
      }
    };
  const sound = new CallSound(
    {
      api: {},
      callId: "c1",
      audio: () => ({ url: new URL("ws://desk.example/v1/calls/c1/audio"), protocols: ["evibridge"] }),
      iceServers: () => [{ urls: "stun:desk.example" }],
      note: (sentence, isUrgent) => {
        notes.push(sentence);
        urgent.push(isUrgent);
      },
      onChange: () => {},
    },
    {
      listener: async () => ({ Listener: partNamed("listener") }),
      speaker: async () => ({ Speaker: partNamed("speaker") }),
      ...loaders,
    },
  );
  return { sound, done, notes, urgent, made };
}

test("listening begins once its part was loaded, and its state is told", async () => {
  const { sound, done, made } = soundOf();
  const listening = sound.listen();
  assert.equal(sound.hearing, "connecting");
  await listening;
  assert.deepEqual(done, ["listener starts"]);
  assert.equal(made.listener.url.pathname, "/v1/calls/c1/audio");
  made.listener.onState("on", "");
  assert.equal(sound.hearing, "on");
  sound.stopListening();
  assert.deepEqual([sound.hearing, done.at(-1)], ["off", "listener stops"]);
});

test("what is stopped while it loads does not begin afterwards", async () => {
  const { sound, done } = soundOf();
  const listening = sound.listen();
  sound.stopListening();
  await listening;
  assert.deepEqual([done, sound.hearing], [[], "off"]);
});

test("late news of a listener that was stopped changes nothing", async () => {
  const { sound, made } = soundOf();
  await sound.listen();
  sound.stopListening();
  made.listener.onState("on", "");
  assert.equal(sound.hearing, "off");
});

test("nobody hears the caller twice: listening rests while one speaks, and goes on afterwards", async () => {
  const { sound, done, made } = soundOf();
  await sound.listen();
  made.listener.onState("on", "");
  await sound.speak();
  made.speaker.onState("on", "");
  assert.deepEqual(done, ["listener starts", "listener stops", "speaker starts"]);
  assert.deepEqual(made.speaker.iceServers, [{ urls: "stun:desk.example" }]);
  assert.equal(sound.level(), 0.5);
  await sound.listen();
  assert.equal(sound.hearing, "off");
  sound.stopSpeaking();
  await new Promise(setImmediate);
  assert.deepEqual(done.slice(3), ["speaker stops", "listener starts"]);
});

test("a microphone that fails tells why, and who listened before hears the call again", async () => {
  const { sound, done, notes, made } = soundOf();
  await sound.listen();
  await sound.speak();
  made.speaker.onState("failed", "The microphone is blocked.");
  await new Promise(setImmediate);
  assert.deepEqual(notes, ["The microphone is blocked."]);
  assert.equal(sound.speaking, "failed");
  assert.equal(done.at(-1), "listener starts");
});

test("a part that cannot be loaded is told as well, and can be tried again", async () => {
  let isThere = false;
  class Listener {
    start() {}
    stop() {}
  }
  const listener = async () => {
    if (!isThere) throw new Error("A part of the page could not be loaded.");
    return { Listener };
  };
  const { sound, notes } = soundOf({ listener });
  await sound.listen();
  assert.deepEqual([sound.hearing, notes], ["failed", ["A part of the page could not be loaded."]]);
  isThere = true;
  await sound.listen();
  assert.equal(sound.hearing, "connecting");
});

test("leaving the call stops both, and nothing comes back", async () => {
  const { sound, done, made } = soundOf();
  await sound.listen();
  made.listener.onState("on", "");
  await sound.speak();
  made.speaker.onState("on", "");
  sound.close();
  await new Promise(setImmediate);
  assert.equal(done.at(-1), "speaker stops");
  assert.deepEqual([sound.hearing, sound.speaking], ["off", "off"]);
});

test("a microphone that is lost is urgent, and one that never was is not", async () => {
  for (const [before, expected] of [["on", true], ["connecting", false]]) {
    const { sound, urgent, made } = soundOf();
    await sound.speak();
    made.speaker.onState(before, "");
    made.speaker.onState("failed", "The microphone is gone.");
    assert.deepEqual(urgent, [expected]);
  }
});
