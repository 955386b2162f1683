import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";

const KEPT_AS = "evibridge.token";
const NAMES = ["window", "document", "location", "history", "sessionStorage", "addEventListener"];
const AFTERWARDS = ["removeEventListener", "HTMLScriptElement"];
let pages = 0;

/** A script element. */
class Script {}

/** An element of the page. */
function part(word = "") {
  const clicks = [];
  return {
    textContent: word,
    disabled: true,
    lastElementChild: { textContent: word },
    querySelector: () => null,
    addEventListener: (_, listener) => clicks.push(listener),
    removeEventListener: (_, listener) => clicks.splice(clicks.indexOf(listener), 1),
    click: () => clicks.forEach((listener) => listener()),
  };
}

/** Open a page: what its first script makes of it. */
async function arrive(href, kept = new Map()) {
  const parts = { title: part("Books"), hint: part(), alarm: part(), one: part("Start talking") };
  const listeners = {};
  const page = { parts, kept, reloads: 0, fail: (target) => listeners.error?.({ target }) };
  globalThis.location = { href, reload: () => (page.reloads += 1) };
  globalThis.history = { replaceState: (_, __, address) => (location.href = address) };
  globalThis.sessionStorage = {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => kept.set(name, value),
    removeItem: (name) => kept.delete(name),
  };
  globalThis.document = {
    readyState: "interactive",
    title: "Books",
    addEventListener: (type, listener) => (listeners[type] = listener),
    removeEventListener: (type) => delete listeners[type],
    getElementById: (id) => parts[id],
    querySelectorAll: () => [parts.one],
    parsed: () => listeners.DOMContentLoaded?.(),
  };
  globalThis.window = globalThis;
  globalThis.addEventListener = (type, listener) => (listeners[type] = listener);
  globalThis.removeEventListener = (type) => delete listeners[type];
  globalThis.HTMLScriptElement = Script;
  pages += 1;
  await import(`../../evibridge/web/arrival.js?page=${pages}`);
  opened.push(globalThis.arrival);
  return Object.assign(page, { arrival: globalThis.arrival });
}
const opened = [];

afterEach(() => {
  for (const arrival of opened.splice(0)) arrival.complete();
});
after(() => {
  for (const name of [...NAMES, ...AFTERWARDS]) delete globalThis[name];
});

test("the token of a link is taken out of the address, and the rest stays", async () => {
  for (const [href, token, rest] of [
    ["https://a.example/?x=1#token=abc", "abc", "https://a.example/?x=1"],
    ["https://a.example/#x=1&token=a%2Bb", "a+b", "https://a.example/#x=1"],
    ["https://a.example/#act", "", "https://a.example/#act"],
  ]) {
    const page = await arrive(href);
    assert.equal(page.arrival.token, token);
    assert.equal(location.href, rest);
  }
});

test("a token that was not used outlives that the page is loaded again", async () => {
  const { kept } = await arrive("https://a.example/#token=abc");
  const again = await arrive("https://a.example/", kept);
  assert.equal(again.arrival.token, "abc");
  again.arrival.forgetToken();
  assert.equal((await arrive("https://a.example/", kept)).arrival.token, "");
});

test("a part of the page that is gone to takes no token away", async () => {
  const { arrival, kept } = await arrive("https://a.example/#token=abc");
  location.href = "https://a.example/#act";
  assert.equal(arrival.takeToken(), "");
  assert.equal(location.href, "https://a.example/#act");
  assert.equal(kept.get(KEPT_AS), "abc");
  location.href = "https://a.example/#token=def";
  assert.equal(arrival.takeToken(), "def");
});

test("a browser that keeps nothing is no failure", async () => {
  const refuses = () => {
    throw new DOMException("Denied.", "SecurityError");
  };
  const kept = { get: refuses, set: refuses, delete: refuses };
  assert.equal((await arrive("https://a.example/", kept)).arrival.token, "");
  const { arrival } = await arrive("https://a.example/#token=abc", kept);
  assert.equal(arrival.token, "abc");
  arrival.forgetToken();
});

test("a page that did not load fully says so, and can be loaded again", async () => {
  const page = await arrive("https://a.example/");
  const { title, hint, alarm, one } = page.parts;
  page.fail({});
  assert.equal(title.textContent, "Books", "a picture is not missed");
  page.fail(new Script());
  assert.equal(title.textContent, "The page did not load fully");
  assert.equal(hint.textContent, "Load it again.");
  assert.equal(alarm.textContent, "The page did not load fully. Load it again.");
  assert.deepEqual([one.lastElementChild.textContent, one.disabled], ["Reload", false]);
  one.click();
  assert.equal(page.reloads, 1);
});

test("a script that fails before the page is there is told of afterwards", async () => {
  const page = await arrive("https://a.example/");
  document.readyState = "loading";
  page.fail(window);
  assert.equal(page.parts.title.textContent, "Books");
  document.readyState = "interactive";
  document.parsed();
  assert.equal(page.parts.title.textContent, "The page did not load fully");
});

test("what comes late takes the page over", async () => {
  const page = await arrive("https://a.example/");
  page.fail(window);
  page.arrival.complete();
  page.parts.one.click();
  page.fail(window);
  assert.deepEqual([page.reloads, page.parts.alarm.textContent], [0, ""]);
});
