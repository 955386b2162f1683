import assert from "node:assert/strict";
import { test } from "node:test";

import { posted, processors } from "./worklet_scope.js";

globalThis.sampleRate = 24000;
const { FADE_S, LATE_WITHIN_S, LEAD_S, MAX_MARKS, MAX_QUEUED_S, PlaybackRing } = await import(
  "../../evibridge/web/call/playback_worklet.js"
);

const RATE_HZ = 24000;
const BLOCK = 128;
const LEAD = RATE_HZ * LEAD_S;
const FADE = RATE_HZ * FADE_S;
const LOUD = 16384;

/** So many samples, one louder than the other. */
const rising = (count, from = 1) => Int16Array.from({ length: count }, (_, at) => from + at);
const loud = (count) => new Int16Array(count).fill(LOUD);

/** What is heard of `count` samples, and the marks that are reached meanwhile. */
function listen(ring, count) {
  const heard = [];
  const marks = [];
  for (let at = 0; at < count; at += BLOCK) {
    const output = new Float32Array(Math.min(BLOCK, count - at)).fill(NaN);
    marks.push(...ring.play(output));
    heard.push(...[...output].map((value) => value * 32768));
  }
  return { heard, marks };
}

const isSilent = (heard) => heard.every((value) => value === 0);

/** The greatest step from one sample to the next. */
const steepest = (heard) => Math.max(...heard.slice(1).map((value, at) => Math.abs(value - heard[at])));

test("what is queued is heard, sample for sample, and then silence", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(rising(1000));
  ring.queue(rising(1000, 1001));
  const { heard } = listen(ring, 2500);
  const whole = 2000 - FADE;
  assert.deepEqual(heard.slice(0, whole), [...rising(whole)]);
  assert.ok(isSilent(heard.slice(2000)));
});

test("audio that runs dry fades out, and what comes later fades in: nothing clicks", () => {
  for (const first of [RATE_HZ / 10, LEAD, LEAD + 1, LEAD + BLOCK - 1, RATE_HZ / 10 + 50]) {
    const ring = new PlaybackRing(RATE_HZ);
    ring.queue(loud(first));
    const { heard } = listen(ring, first + 5 * BLOCK);
    ring.queue(loud(2000));
    heard.push(...listen(ring, 3000).heard);
    assert.ok(steepest(heard) <= LOUD / FADE + 1);
    assert.equal(Math.max(...heard.slice(first + 5 * BLOCK)), LOUD);
    assert.equal(ring.underruns, 1);
  }
});

test("audio that comes while what was there fades out dips, and is heard without a gap", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(loud(LEAD));
  const { heard } = listen(ring, LEAD - BLOCK / 2);
  ring.queue(loud(2000));
  heard.push(...listen(ring, 1000).heard);
  assert.ok(steepest(heard) <= LOUD / FADE + 1);
  const dip = heard.filter((value) => value < LOUD);
  assert.ok(dip.length > 0 && dip.length <= 2 * FADE);
  assert.equal(ring.underruns, 0);
});

test("a queue that is long enough is left as it is", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(loud(LEAD));
  for (let pieces = 0; pieces < 100; pieces += 1) {
    ring.queue(loud(480));
    assert.ok(listen(ring, 480).heard.every((value) => value === LOUD));
  }
});

test("the ring goes round without a seam", () => {
  const ring = new PlaybackRing(RATE_HZ);
  const piece = rising(2400);
  ring.queue(piece);
  for (let pieces = 0; pieces < MAX_QUEUED_S * 10 + 25; pieces += 1) {
    ring.queue(piece);
    assert.deepEqual(listen(ring, piece.length).heard, [...piece]);
  }
  assert.equal(ring.dropped, 0);
});

test("playing begins once the lead is there", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(loud(LEAD - 1));
  assert.ok(isSilent(listen(ring, BLOCK).heard));
  ring.queue(loud(1));
  assert.ok(listen(ring, LEAD - 2 * FADE).heard.every((value) => value === LOUD));
});

test("a word that is shorter than the lead waits no longer than that", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(loud(500));
  const { heard } = listen(ring, LEAD + 5 * BLOCK);
  const begins = heard.indexOf(LOUD);
  assert.ok(begins > 0 && begins <= LEAD);
  assert.equal(heard.filter((value) => value === LOUD).length, 500 - FADE);
});

test("more than the ring holds is dropped and counted: the newest", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(loud(RATE_HZ * MAX_QUEUED_S - 10));
  ring.queue(rising(30));
  assert.equal(ring.queued, RATE_HZ * MAX_QUEUED_S);
  assert.equal(ring.dropped, 20);
});

test("marks are told of when the audio before them was heard", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(loud(1024));
  ring.mark("middle");
  ring.queue(loud(1024));
  ring.mark("end");
  assert.deepEqual(listen(ring, 1024 - BLOCK).marks, []);
  assert.deepEqual(listen(ring, BLOCK).marks, ["middle"]);
  assert.deepEqual(listen(ring, 1024).marks, ["end"]);
});

test("a mark behind nothing is reached at once", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.mark("now");
  assert.deepEqual(listen(ring, BLOCK).marks, ["now"]);
});

test("a mark waits for the audio that waits for its lead", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(loud(10));
  ring.mark("end");
  assert.deepEqual(listen(ring, BLOCK).marks, []);
  assert.deepEqual(listen(ring, LEAD).marks, ["end"]);
});

test("marks that nobody waits for any more are dropped and counted", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(loud(10));
  for (let at = 0; at < MAX_MARKS + 2; at += 1) ring.mark(String(at));
  assert.equal(ring.droppedMarks, 2);
  assert.deepEqual(ring.clear().slice(0, 1), ["2"]);
});

test("what is cleared fades out within 5 ms, and its marks are told of", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(loud(RATE_HZ));
  ring.mark("end");
  listen(ring, 1024);
  assert.deepEqual(ring.clear(), ["end"]);
  const { heard, marks } = listen(ring, 1024);
  assert.ok(steepest([LOUD, ...heard]) <= LOUD / FADE + 1);
  assert.ok(isSilent(heard.slice(FADE)));
  assert.deepEqual(marks, []);
});

test("what was not heard yet is cleared without a sound", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(loud(100));
  ring.clear();
  assert.ok(isSilent(listen(ring, LEAD * 2).heard));
});

test("what comes after a clear fades in, with a lead of its own", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(loud(RATE_HZ));
  listen(ring, 1024);
  ring.clear();
  listen(ring, 1024);
  ring.queue(rising(2000));
  assert.deepEqual(listen(ring, 1500).heard.slice(FADE), [...rising(1500 - FADE, FADE + 1)]);
  assert.equal(ring.underruns, 0);
});

test("audio that comes late in the middle of something is counted", () => {
  const ring = new PlaybackRing(RATE_HZ);
  for (let piece = 0; piece < 3; piece += 1) {
    ring.queue(loud(1024));
    listen(ring, 1024 + 10 * BLOCK);
  }
  assert.equal(ring.underruns, 2);
});

test("a silence behind a mark is no gap, however late the mark came", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(loud(1024));
  ring.mark("end");
  listen(ring, 1024 + BLOCK);
  ring.queue(loud(1024));
  listen(ring, 1024 + BLOCK);
  ring.mark("late");
  ring.queue(loud(1024));
  assert.equal(ring.underruns, 0);
});

test("a mark in the middle is no end", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(loud(1024));
  ring.mark("middle");
  ring.queue(loud(1024));
  listen(ring, 2048 + BLOCK);
  ring.queue(loud(1024));
  assert.equal(ring.underruns, 1);
});

test("after a long silence something new begins", () => {
  const ring = new PlaybackRing(RATE_HZ);
  ring.queue(loud(1024));
  listen(ring, 1024 + RATE_HZ * LATE_WITHIN_S + BLOCK);
  ring.queue(loud(1024));
  assert.equal(ring.underruns, 0);
});

test("the page is told of marks as they come, and of gaps once a second", () => {
  const processor = new (processors.get("evibridge-playback"))();
  const tell = (data) => processor.port.onmessage({ data });
  const run = (count) => {
    for (let at = 0; at < count; at += BLOCK) assert.equal(processor.process([], [[new Float32Array(BLOCK)]]), true);
  };
  tell(loud(1024).buffer);
  tell({ mark: "heard" });
  tell(loud(RATE_HZ).buffer);
  tell({ mark: "cleared" });
  run(2048);
  tell("clear");
  assert.deepEqual(posted.splice(0), [{ marks: ["heard"] }, { marks: ["cleared"] }]);
  run(RATE_HZ);
  assert.deepEqual(posted.splice(0), [{ underruns: 0 }]);
});
