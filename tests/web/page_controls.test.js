import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";

import { ClickGuard, SETTLES_MS } from "../../evibridge/web/caller/click_guard.js";
import { actionOf } from "../../evibridge/web/caller/keyboard.js";
import { whyNot } from "../../evibridge/web/caller/microphone_check.js";
import { whilePrompting } from "../../evibridge/web/caller/microphone_prompt.js";
import { prefer, preferred } from "../../evibridge/web/caller/preferences.js";
import { newToken } from "../../evibridge/web/caller/session_token.js";
import { Announcer, PACE_MS } from "../../evibridge/web/shared/announcer.js";

afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
  delete globalThis.localStorage;
});

test("letters act, small or large", () => {
  for (const [key, action] of [
    ["m", "mute"],
    ["P", "pause"],
    ["t", "type"],
    ["d", "sound"],
    ["Escape", "escape"],
    ["x", ""],
    ["Enter", ""],
    ["toString", ""],
  ]) {
    assert.equal(actionOf({ key }, { tagName: "BODY" }, true), action, key);
  }
  assert.equal(actionOf({ key: "m" }, null, true), "mute");
});

test("letters are text in a field, and Escape is not", () => {
  for (const tagName of ["INPUT", "TEXTAREA", "SELECT"]) {
    assert.equal(actionOf({ key: "m" }, { tagName, type: "text" }, true), "");
    assert.equal(actionOf({ key: "Escape" }, { tagName }, true), "escape");
  }
  assert.equal(actionOf({ key: "m" }, { tagName: "INPUT", type: "checkbox" }, true), "mute");
});

test("letters can be switched off, and Escape cannot", () => {
  assert.equal(actionOf({ key: "m" }, null, false), "");
  assert.equal(actionOf({ key: "Escape" }, null, false), "escape");
});

test("the browser's own keys, held keys and unfinished characters are left alone", () => {
  for (const how of ["ctrlKey", "altKey", "metaKey", "repeat", "isComposing"]) {
    assert.equal(actionOf({ key: "m", [how]: true }, null, true), "", how);
    assert.equal(actionOf({ key: "Escape", [how]: true }, null, true), "", how);
  }
});

test("one sentence a second is read out, and the last one wins", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const region = { textContent: "" };
  const announcer = new Announcer(region);
  announcer.say("Listening");
  announcer.say("Paused");
  announcer.say("You are muted");
  assert.equal(region.textContent, "Listening");
  mock.timers.tick(PACE_MS);
  assert.equal(region.textContent, "You are muted");
  mock.timers.tick(PACE_MS);
  announcer.say("Listening");
  assert.equal(region.textContent, "Listening");
});

test("what is read out already is not read out again", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const region = { textContent: "" };
  const announcer = new Announcer(region);
  announcer.say("Listening");
  announcer.say("Paused");
  announcer.say("Listening");
  mock.timers.tick(PACE_MS);
  region.textContent = "nothing was written";
  announcer.say("Paused");
  assert.equal(region.textContent, "Paused");
});

test("the second press of a double click is not meant for what the first has changed", () => {
  const guard = new ClickGuard();
  guard.does("one", "Start talking", 1000);
  assert.equal(guard.isMeant("one", 1000), true, "the button was there before the click");
  guard.does("one", "Cancel", 1000);
  assert.equal(guard.isMeant("one", 1000 + SETTLES_MS - 1), false);
  guard.does("one", "Cancel", 1200);
  assert.equal(guard.isMeant("one", 1000 + SETTLES_MS), true);
});

test("a button that does the same again may be pressed as fast as one can", () => {
  const guard = new ClickGuard();
  guard.does("save", "Save as text", 0);
  assert.equal(guard.isMeant("save", 1), true);
  assert.equal(guard.isMeant("other", 0), true);
});

test("why no microphone opens is told by what the browser says", () => {
  assert.match(whyNot(new DOMException("", "NotAllowedError")), /did not let this page/);
  assert.match(whyNot(new DOMException("", "SecurityError")), /https:/);
  assert.match(whyNot(new DOMException("", "NotFoundError")), /Plug one in/);
  assert.match(whyNot(new Error("odd")), /Plug one in/);
});

/** How often it is told that the browser asks, if its permission is so. */
async function timesAsked(query, isWaiting) {
  const value = { permissions: { query } };
  Object.defineProperty(globalThis, "navigator", { value, configurable: true });
  let times = 0;
  await whilePrompting(
    () => isWaiting,
    () => (times += 1),
  );
  return times;
}

test("the browser asks for the microphone unless it was allowed before", async () => {
  const query = (state) => async () => ({ state });
  const fails = async () => Promise.reject(new TypeError("microphone?"));
  assert.equal(await timesAsked(query("prompt"), true), 1);
  assert.equal(await timesAsked(query("prompt"), false), 0, "it has been answered");
  assert.equal(await timesAsked(query("granted"), true), 0);
  assert.equal(await timesAsked(query("denied"), true), 0);
  assert.equal(await timesAsked(fails, true), 1, "a browser that does not tell");
});

/** The service answers so when it is asked for a token. */
function answering(status, body, headers = {}) {
  return mock.method(globalThis, "fetch", async () => new Response(body, { status, headers }));
}

test("the service of this computer gives a token", async () => {
  const asked = answering(200, '{"token":"abc","expires_in_s":60}');
  assert.equal(await newToken(), "abc");
  const [path, options] = asked.mock.calls[0].arguments;
  assert.deepEqual([path, options.method], ["browser/session", "POST"]);
});

test("who may not have a token needs a link, and is told nothing for operators", async () => {
  for (const status of [403, 404]) {
    answering(status, '{"code":"not_local","message":"Set EVIBRIDGE_PUBLIC_URL."}');
    await assert.rejects(newToken(), ({ code, message }) => {
      assert.equal(code, "link_needed");
      assert.doesNotMatch(message, /EVIBRIDGE/);
      return true;
    });
    mock.restoreAll();
  }
});

test("a full service says when to come again", async () => {
  answering(503, '{"code":"service_full","message":"Full."}', { "Retry-After": "24" });
  await assert.rejects(newToken(), { code: "service_full", message: "Full.", retryAfterS: 24 });
});

test("an answer that is none is told with its status", async () => {
  answering(502, "<html>");
  await assert.rejects(newToken(), {
    code: "unreachable",
    message: "The service answered 502.",
    retryAfterS: undefined,
  });
  mock.restoreAll();
  answering(200, '{"token":7,"message":8}');
  await assert.rejects(newToken(), { code: "unreachable" });
});

test("a service that does not answer is given up in the end", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  mock.method(
    globalThis,
    "fetch",
    (_, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      }),
  );
  const refused = assert.rejects(newToken(), { code: "unreachable" });
  mock.timers.tick(8000);
  await refused;
});

test("what was chosen is kept on this device", () => {
  const kept = new Map();
  globalThis.localStorage = {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => kept.set(name, value),
  };
  assert.equal(preferred("microphone"), "");
  prefer("microphone", "usb");
  assert.equal(preferred("microphone"), "usb");
});

test("a browser that keeps nothing is no failure", () => {
  Object.defineProperty(globalThis, "localStorage", {
    configurable: true,
    get() {
      throw new DOMException("Denied.", "SecurityError");
    },
  });
  prefer("microphone", "usb");
  assert.equal(preferred("microphone"), "");
});
