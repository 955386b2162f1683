import assert from "node:assert/strict";
import { test } from "node:test";

import { Listeners } from "../../evibridge/web/call/listeners.js";

test("each listener of a type hears its events until it stops", () => {
  const listeners = new Listeners();
  const heard = [];
  const stop = listeners.on("state", ({ state }) => heard.push(["first", state]));
  listeners.on("state", ({ state }) => heard.push(["second", state]));
  listeners.on("ready", () => heard.push("of another type"));
  listeners.emit("state", { state: "connecting" });
  stop();
  listeners.emit("state", { state: "connected" });
  assert.deepEqual(heard, [
    ["first", "connecting"],
    ["second", "connecting"],
    ["second", "connected"],
  ]);
});

test("a function that listens twice hears twice, and stops once", () => {
  const listeners = new Listeners();
  let count = 0;
  const listener = () => (count += 1);
  listeners.on("ready", listener);
  const stop = listeners.on("ready", listener);
  stop();
  listeners.emit("ready", {});
  assert.equal(count, 1);
});

test("a listener that throws is reported, and stops nobody else", () => {
  const listeners = new Listeners();
  const reported = [];
  globalThis.reportError = (error) => reported.push(error.message);
  let isHeard = false;
  listeners.on("ready", () => {
    throw new Error("a fault of the page");
  });
  listeners.on("ready", () => (isHeard = true));
  listeners.emit("ready", {});
  assert.equal(isHeard, true);
  assert.deepEqual(reported, ["a fault of the page"]);
});

test("what is no function cannot listen", () => {
  assert.throws(() => new Listeners().on("ready", null), TypeError);
});
