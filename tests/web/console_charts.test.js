import assert from "node:assert/strict";
import { test } from "node:test";

import { expressionWords, pathsOf } from "../../evibridge/web/console/expression_chart.js";
import { responseBars, responseChartWords } from "../../evibridge/web/console/response_chart.js";
import { strongestFirst } from "../../evibridge/web/console/utterance_row.js";

const points = (...pairs) => pairs.map(([atS, score]) => ({ atS, score }));
const answers = (...all) => all.map((ms, index) => ({ atS: 10 * (index + 1), ms, rowKey: index }));

test("a score stands at its own time, and those above 0.8 are cut", () => {
  const { line, area } = pathsOf(points([0, 0], [50, 0.4], [100, 0.95]), 100);
  assert.equal(line, "M0 29.5L75 14.8L150 0");
  assert.equal(area, "M0 29.5L75 14.8L150 0L150 29.5L0 29.5Z");
});

test("a single score can be seen", () => {
  assert.equal(pathsOf(points([50, 0.8]), 100).line, "M75 0L77 0");
  assert.deepEqual(pathsOf([], 100), { line: "", area: "" });
});

test("a long call has no more corners than there are places, and its peaks stay", () => {
  const many = Array.from({ length: 3000 }, (_, at) => ({ atS: at, score: at === 1501 ? 0.8 : 0.1 }));
  const { line } = pathsOf(many, 3000);
  assert.ok(line.split("L").length <= 151);
  assert.match(line, / 0L/);
});

test("a sentence tells what is strongest now, where it goes, and the peak", () => {
  const series = [
    { name: "Calmness", latest: 0.44, points: points([6, 0.2], [90, 0.44]) },
    { name: "Annoyance", latest: 0.06, points: points([29, 0.58], [90, 0.06]) },
  ];
  assert.equal(
    expressionWords(series),
    "Strongest now: Calmness 0.44, rising. Annoyance peaked at 0.58 at 0:29.",
  );
  const falling = [{ name: "Joy", latest: 0.3, points: points([1, 0.5], [2, 0.3]) }];
  assert.match(expressionWords(falling), /^Strongest now: Joy 0.30, falling\./);
  const alone = [{ name: "Joy", latest: 0.3, points: points([1, 0.3]) }];
  assert.match(expressionWords(alone), /^Strongest now: Joy 0.30, steady\./);
});

test("scores are listed from the strongest on", () => {
  assert.deepEqual(
    strongestFirst({ Doubt: 0.1, Calmness: 0.5, Joy: 0.3 }).map(({ name }) => name),
    ["Calmness", "Joy", "Doubt"],
  );
});

test("the last twelve answers have bars", () => {
  const bars = responseBars(answers(...Array.from({ length: 20 }, (_, index) => 100 + index)));
  assert.deepEqual(bars.map(({ ms }) => ms), Array.from({ length: 12 }, (_, index) => 108 + index));
});

test("an answer over the goal has its value, and one that is taller than the chart is cut", () => {
  const shown = responseBars(answers(620, 800, 801, 2640));
  assert.deepEqual(
    shown.map(({ ms, isSlow, value }) => [ms, isSlow, value]),
    [[620, false, ""], [800, false, ""], [801, true, "0.8 s"], [1600, true, "2.6 s"]],
  );
});

test("of more than six bars the values have no unit, as they would run into each other", () => {
  const [{ value }] = responseBars(answers(1200, ...Array(6).fill(500)));
  assert.equal(value, "1.2");
});

test("of more than six bars every second one has its time, the newest always", () => {
  const times = (count) => responseBars(answers(...Array(count).fill(500))).map(({ time }) => time);
  assert.deepEqual(times(3), ["0:10", "0:20", "0:30"]);
  assert.deepEqual(times(8), ["", "0:20", "", "0:40", "", "1:00", "", "1:20"]);
});

test("the values stand in a sentence", () => {
  assert.equal(
    responseChartWords(answers(620.4, 1090)),
    "Response per turn in milliseconds: 620, 1090. Goal 800.",
  );
});
