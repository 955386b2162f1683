import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Commands, LOCK_MS } from "../../evibridge/web/console/commands.js";
import { dialledFor } from "../../evibridge/web/console/transfer_dialog.js";

/** Commands of a call, at a service that answers when it is told to. */
function commandsOf() {
  const asked = [];
  const notes = [];
  const api = {
    command: (callId, path, body) =>
      new Promise((done, refused) => asked.push({ callId, path, body, done, refused })),
  };
  let changes = 0;
  const commands = new Commands({
    api,
    callId: "CA 1",
    note: (sentence) => notes.push(sentence),
    onChange: () => (changes += 1),
  });
  return { commands, asked, notes, changes: () => changes };
}

test("a command locks its own control until it is done", async () => {
  const { commands, asked, changes } = commandsOf();
  const answer = commands.run("say", { path: "say", body: { text: "Six." } });
  assert.equal(commands.isPending("say"), true);
  assert.equal(commands.isPending("pause"), false);
  assert.equal(changes(), 1);
  const { callId, path, body, done } = asked[0];
  assert.deepEqual({ callId, path, body }, { callId: "CA 1", path: "say", body: { text: "Six." } });
  done({});
  assert.equal(await answer, "");
  assert.equal(commands.isPending("say"), false);
  assert.equal(changes(), 2);
});

test("what is on its way is not sent twice", async () => {
  const { commands, asked, notes } = commandsOf();
  const first = commands.run("pause", { path: "pause" });
  assert.match(await commands.run("pause", { path: "pause" }), /still on its way/);
  assert.equal(asked.length, 1);
  asked[0].done({});
  assert.equal(await first, "");
  assert.deepEqual(notes, []);
});

test("a control stays locked until what was asked for is seen", async () => {
  const { commands, asked } = commandsOf();
  let isPaused = false;
  const answer = commands.run("pause", { path: "pause", until: () => isPaused });
  isPaused = true;
  commands.update();
  assert.equal(commands.isPending("pause"), true, "the service has not answered yet");
  isPaused = false;
  asked[0].done({});
  await answer;
  assert.equal(commands.isPending("pause"), true, "the call is not paused yet");
  isPaused = true;
  commands.update();
  assert.equal(commands.isPending("pause"), false);
});

test("nothing is locked for longer than three seconds", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const { commands, asked, changes } = commandsOf();
    const first = commands.run("hold", { path: "hold" });
    mock.timers.tick(LOCK_MS - 1);
    assert.equal(commands.isPending("hold"), true);
    mock.timers.tick(1);
    assert.equal(commands.isPending("hold"), false);
    const second = commands.run("hold", { path: "hold" });
    const before = changes();
    asked[0].done({});
    await first;
    assert.equal(commands.isPending("hold"), true, "the late answer is not that of the second one");
    assert.equal(changes(), before);
    asked[1].done({});
    await second;
    assert.equal(commands.isPending("hold"), false);
  } finally {
    mock.timers.reset();
  }
});

test("a refusal stands in the transcript and unlocks at once", async () => {
  const { commands, asked, notes } = commandsOf();
  const answer = commands.run("say", { path: "say", until: () => false });
  asked[0].refused(new Error("The agent is paused: resume it first."));
  assert.equal(await answer, "The agent is paused: resume it first.");
  assert.deepEqual(notes, ["The agent is paused: resume it first."]);
  assert.equal(commands.isPending("say"), false);
});

test("a dialog tells its refusal itself", async () => {
  const { commands, asked, notes } = commandsOf();
  const answer = commands.run("transfer", { path: "transfer", isNoted: false });
  asked[0].refused(new Error("The caller has no telephone."));
  assert.equal(await answer, "The caller has no telephone.");
  assert.deepEqual(notes, []);
});

test("numbers are dialled however they are written, and nothing else is", () => {
  assert.equal(dialledFor(" +44 (20) 7946-0100 "), "+442079460100");
  assert.equal(dialledFor("+1.415.555.0100"), "+14155550100");
  assert.equal(dialledFor("+44 20 7946\u20110100"), "+442079460100");
  assert.equal(dialledFor("SIP:desk@shop.example"), "sip:desk@shop.example");
  for (const wrong of ["", "020 7946 0100", "0044 20 7946 0100", "+0123456789", "+12345", "+1415555010x",
    "+1234567890123456", "sip:", "sip:desk", "sip:a b@c", "sip:a@b@c", "tel:+14155550100"]) {
    assert.equal(dialledFor(wrong), "", wrong);
  }
});
