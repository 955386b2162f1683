/**
 * Put elements into an order. Those that stand right stay, and the pinned one does whatever happens: an
 * element that is moved loses the focus.
 *
 * @template {ChildNode} Row
 * @param {{insertBefore(row: Row, next: ChildNode | null): void}} parent
 * @param {ChildNode} head stands before them all
 * @param {Row[]} wanted all in their order, in the parent or not yet
 * @param {unknown} pinned one of them, or something else
 */
export function arrange(parent, head, wanted, pinned) {
  const at = wanted.findIndex((row) => row === pinned);
  for (let index = at - 1; index >= 0; index -= 1) {
    const next = wanted[index + 1];
    if (wanted[index].nextSibling !== next) parent.insertBefore(wanted[index], next);
  }
  let last = at < 0 ? head : wanted[at];
  for (const row of wanted.slice(at + 1)) {
    if (last.nextSibling !== row) parent.insertBefore(row, last.nextSibling);
    last = row;
  }
}
