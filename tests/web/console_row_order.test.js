import assert from "node:assert/strict";
import { test } from "node:test";

import { arrange } from "../../evibridge/web/console/row_order.js";

/** A parent with a head and these rows; it counts which of them are moved. */
function listOf(names) {
  const moved = [];
  const rows = [];
  const rowOf = (name) => ({
    name,
    get nextSibling() {
      const at = rows.indexOf(this);
      return at < 0 ? null : rows[at + 1] ?? null;
    },
  });
  const all = new Map([..."^abcdef"].map((name) => [name, rowOf(name)]));
  rows.push(...[..."^", ...names].map((name) => all.get(name)));
  const parent = {
    insertBefore(row, next) {
      moved.push(row.name);
      if (rows.includes(row)) rows.splice(rows.indexOf(row), 1);
      rows.splice(next ? rows.indexOf(next) : rows.length, 0, row);
    },
  };
  return {
    moved,
    arrange(wanted, pinned) {
      arrange(parent, all.get("^"), [...wanted].map((name) => all.get(name)), all.get(pinned));
      return rows.map((row) => row.name).join("");
    },
  };
}

test("what stands right is not touched", () => {
  const list = listOf("abc");
  assert.equal(list.arrange("abc", "b"), "^abc");
  assert.deepEqual(list.moved, []);
});

test("a row that rises is the only one that is moved", () => {
  const list = listOf("abcd");
  assert.equal(list.arrange("dabc"), "^dabc");
  assert.deepEqual(list.moved, ["d"]);
});

test("new rows come to their places", () => {
  const list = listOf("ac");
  assert.equal(list.arrange("abcd"), "^abcd");
  assert.deepEqual(list.moved, ["b", "d"]);
});

test("the first rows come behind the head", () => {
  assert.equal(listOf("").arrange("ba"), "^ba");
});

test("the pinned row is never moved, and all orders are reached", () => {
  const orders = (rest) => (rest.length < 2 ? [rest] : [...rest].flatMap((first) =>
    orders(rest.replace(first, "")).map((others) => first + others)));
  for (const wanted of orders("abcd")) {
    for (const pinned of "abcd") {
      const list = listOf("abcd");
      assert.equal(list.arrange(wanted, pinned), `^${wanted}`);
      assert.ok(!list.moved.includes(pinned), `${pinned} in ${wanted}`);
    }
  }
});
