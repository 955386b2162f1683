import assert from "node:assert/strict";
import { test } from "node:test";

import { actionOf, keyOf, KEYS } from "../../evibridge/web/console/keyboard.js";

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
