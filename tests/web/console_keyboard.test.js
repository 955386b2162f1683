import assert from "node:assert/strict";
import { test } from "node:test";

import { actionOf, keyOf, KEYS, Typing } from "../../evibridge/web/console/keyboard.js";
import { WORDS } from "../../evibridge/web/console/keys_dialog.js";
import { Shortcuts } from "../../evibridge/web/console/shortcuts.js";

const FREE = { isWriting: false, isFree: true, isDialog: false, lettersAct: true };

/** What a key does, in a place that differs from one where nothing has the focus. */
const does = (key, more = {}, place = {}) => actionOf({ key, ...more }, { ...FREE, ...place });

test("each key of the list does what the list says", () => {
  for (const [key, action] of KEYS) {
    const shiftKey = key.startsWith("Shift+");
    if (key !== "Control+Enter") assert.equal(does(key.replace("Shift+", ""), { shiftKey }), action, key);
  }
  assert.equal(does("l"), "listen");
  assert.equal(does("L"), "listen", "with caps lock");
  assert.equal(does("q"), "");
  assert.equal(does("constructor"), "");
});

test("hanging up takes two keys", () => {
  assert.equal(does("x"), "");
  assert.equal(does("X"), "", "with caps lock");
  assert.equal(does("X", { shiftKey: true }), "hangUp");
  assert.equal(does("P", { shiftKey: true }), "");
});

test("signs that need shift on some keyboards are the same keys", () => {
  assert.equal(does("?", { shiftKey: true }), "help");
  assert.equal(does("/", { shiftKey: true }), "search");
});

test("nothing acts where somebody writes, but Escape leaves the field", () => {
  for (const key of ["l", "/", "?", "End", "Enter", "ArrowDown"]) {
    assert.equal(does(key, {}, { isWriting: true, isFree: false }), "", key);
  }
  assert.equal(does("Escape", {}, { isWriting: true, isFree: false }), "leave");
});

test("keys of the browser stay the browser's", () => {
  for (const modifier of ["ctrlKey", "altKey", "metaKey", "isComposing"]) {
    assert.equal(does("p", { [modifier]: true }), "", modifier);
  }
});

test("letters can be off, and the list that switches them on can still be had", () => {
  const off = { lettersAct: false };
  for (const key of ["l", "a", "/", "X"]) assert.equal(does(key, { shiftKey: key === "X" }, off), "", key);
  assert.equal(does("?", {}, off), "help");
  assert.equal(does("Escape", {}, off), "back");
  assert.equal(does("End", {}, off), "newest");
});

test("Enter and the arrows belong to what has the focus", () => {
  assert.equal(does("Enter"), "open");
  assert.equal(does("ArrowDown"), "next");
  assert.equal(does("ArrowUp"), "previous");
  for (const key of ["Enter", "ArrowDown", "ArrowUp"]) {
    assert.equal(does(key, {}, { isFree: false }), "", key);
  }
  assert.equal(does("j", {}, { isFree: false }), "next");
});

test("a dialog has its own keys", () => {
  for (const key of ["l", "Escape", "Enter", "?"]) assert.equal(does(key, {}, { isDialog: true }), "", key);
});

test("a key that is held goes through the calls, and does nothing else twice", () => {
  assert.equal(does("j", { repeat: true }), "next");
  assert.equal(does("p", { repeat: true }), "");
});

test("an action knows its key", () => {
  assert.equal(keyOf("hangUp"), "Shift+X");
  assert.equal(keyOf("nothing"), "");
});

/** Which of these keys belong to words whose field went before the bar, each 200 ms after the one before. */
function rest(keys, then = () => {}) {
  const typing = new Typing();
  let [now, isWriting, taken] = [0, true, ""];
  for (const key of keys) {
    now += 200;
    if (key === "|") {
      isWriting = false;
      then(typing);
    } else if (typing.takes({ key }, isWriting, now)) taken += key;
  }
  const later = (key) => typing.takes({ key }, false, now + 1500);
  return { taken, later };
}

test("the rest of a sentence whose field has gone does nothing", () => {
  const { taken, later } = rest([..."just| look it up", "Enter", "o"]);
  assert.equal(taken, " look it upEntero");
  assert.equal(later("o"), false);
});

test("who leaves a field himself uses keys at once", () => {
  for (const key of ["Escape", "Tab", "Enter"]) assert.equal(rest(["a", key, "|", "o"]).taken, "", key);
  assert.equal(rest([..."a|o"], (typing) => typing.stop()).taken, "", "by the pointer");
  assert.equal(rest([..."|o"]).taken, "", "without having written");
});

test("keys of the browser are nobody's rest", () => {
  const typing = new Typing();
  typing.takes({ key: "a" }, true, 0);
  assert.equal(typing.takes({ key: "r", ctrlKey: true }, false, 100), false);
  assert.equal(typing.takes({ key: "Shift" }, false, 100), false);
  assert.equal(typing.takes({ key: "X" }, false, 200), true);
});

test("the list has words for each of its keys", () => {
  const actions = KEYS.map(([, action]) => action);
  assert.deepEqual(actions.filter((action) => !WORDS[action]), []);
  assert.deepEqual(Object.keys(WORDS).sort(), [...actions].sort());
});

test("the choices of the list stay on the device, and hold where nothing can be kept", () => {
  const choices = new Shortcuts();
  assert.deepEqual([choices.lettersAct, choices.readsAloud], [true, false]);
  choices.lettersAct = false;
  assert.equal(choices.lettersAct, false);
  const kept = new Map();
  const storage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
  Object.defineProperty(globalThis, "localStorage", { value: storage, configurable: true, writable: true });
  Object.assign(new Shortcuts(), { lettersAct: false, readsAloud: true });
  const later = new Shortcuts();
  assert.deepEqual([later.lettersAct, later.readsAloud], [false, true]);
  delete globalThis.localStorage;
});
