import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evibridge.agent import commands
from evibridge.agent.commands import OperatorCommand
from evibridge.agent.conversation import Line
from evibridge.agent.snapshot import CallState
from evibridge.errors import CommandRefused
from evibridge.events import EndReason
from evibridge.operators import listing
from evibridge.tools_registry.progress import Verdict
from tests.operators.api_stage import PlayedCall, Stage, open_stage, snapshot
from tests.terminal.stage import Ended, Terminal

pytestmark = pytest.mark.usefixtures("logging_is_undone")

LONG_ID = "CA0123456789abcdef"


COMMANDS: list[tuple[list[str], OperatorCommand, str]] = [
    (["say", "CA1", "Hello."], commands.Say("Hello."), "The agent says it"),
    (["inject", "CA1", "Where?"], commands.Inject("Where?"), "The agent answers it"),
    (
        ["context", "CA1", "A regular."],
        commands.SetContext("A regular."),
        "The model knows it from now on",
    ),
    (["context", "CA1"], commands.SetContext(None), "The context is taken back"),
    (
        ["variables", "CA1", "name=Ada", "sum=1=1", "none="],
        commands.SetVariables({"name": "Ada", "sum": "1=1", "none": ""}),
        "Set name, sum, none",
    ),
    (["pause", "CA1"], commands.Pause(), "Paused"),
    (["resume", "CA1"], commands.Resume(), "Resumed"),
    (["hold", "CA1"], commands.Hold(), "On hold"),
    (["release", "CA1"], commands.Release(), "Released"),
    (["hangup", "CA1"], commands.HangUp(), "Hangs up once the last word was heard"),
    (
        ["transfer", "CA1", "+4930111222"],
        commands.Transfer("+4930111222"),
        "Puts the caller through to +4930111222",
    ),
    (
        ["transfer", "CA1", "sip:desk@example.com", "--say-first", "One moment."],
        commands.Transfer("sip:desk@example.com", "One moment."),
        "Puts the caller through to sip:desk@example.com",
    ),
    (
        ["approve", "CA1", "tool/1"],
        commands.Decide("tool/1", Verdict(is_approved=True)),
        "Approved",
    ),
    (
        ["decline", "CA1", "t1", "--reason", "Too much."],
        commands.Decide("t1", Verdict(is_approved=False, reason="Too much.")),
        "Declined",
    ),
    (
        ["whisper", "CA1", "She is a regular."],
        commands.Whisper("She is a regular."),
        "The model knows it from now on",
    ),
    (["takeover", "CA1"], commands.TakeOver(), "Taken over"),
    (["handback", "CA1"], commands.HandBack(), "Handed back"),
    (
        ["decline", "CA1", "t1"],
        commands.Decide("t1", Verdict(is_approved=False, reason="")),
        "Declined",
    ),
]
"""What is typed, what the call is asked, and what is told of it."""


class Operator:
    """Somebody at a terminal, and the service that he looks after."""

    def __init__(self, terminal: Terminal, stage: Stage) -> None:
        self.terminal = terminal
        self.stage = stage

    async def run(self, *arguments: str) -> Ended:
        """`evibridge calls ARGUMENTS...`."""
        return await self.terminal.run("calls", *arguments, "--url", self.stage.origin)

    def put(self, call_id: str, **facts: object) -> PlayedCall:
        """One more call that goes on."""
        call = self.stage.calls.live[call_id] = PlayedCall(snapshot(call_id, **facts))
        return call


@pytest.fixture
async def operator(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> AsyncIterator[Operator]:
    async with open_stage(tmp_path) as stage:
        yield Operator(Terminal(monkeypatch, capsys, "wall:read=glance,anna:control=hush"), stage)


# Commands


async def test_a_command_is_done_and_told_in_one_line(operator: Operator) -> None:
    for arguments, command, done in COMMANDS:
        ended = await operator.run(*arguments)

        assert ended.done == f"{done} (call CA1, by anna, via control plane)."
        assert operator.stage.call.asked.pop() == (command, "anna")


async def test_a_command_that_the_chat_is_not_told_went_by_no_way(operator: Operator) -> None:
    operator.stage.call.via = None

    assert (await operator.run("hold", "CA1")).done == "On hold (call CA1, by anna)."


async def test_somebody_is_called(operator: Operator) -> None:
    first = await operator.run("dial", "+4930111222")
    second = await operator.run(
        "dial", "+4930111222", "--from", "+14155550100", "--parameter", "a=1", "--parameter", "b=2"
    )

    assert first.done == second.done == "Calls +4930111222: call CA2 is ringing."
    assert operator.stage.dialled == [
        ("+4930111222", None, {}, "anna"),
        ("+4930111222", "+14155550100", {"a": "1", "b": "2"}, "anna"),
    ]


async def test_a_chat_of_others_is_joined(operator: Operator) -> None:
    ended = await operator.run("attach", "chat-7")

    assert ended.done == "Takes part in the chat chat-7: call CA3."
    assert operator.stage.attached == [("chat-7", "anna")]


async def test_a_refusal_is_one_sentence_and_exit_code_1(operator: Operator) -> None:
    operator.stage.call.fault = CommandRefused("agent_is_paused", "The agent is paused.")
    refused = await operator.run("say", "CA1", "Hello.")
    unfit = await operator.run("transfer", "CA1", "the desk")
    unknown = await operator.run("pause", "CA0")

    assert [each.code for each in (refused, unfit, unknown)] == [1, 1, 1]
    assert refused.complaint == "The agent is paused."
    assert unfit.complaint == (
        "The service cannot use NUMBER: it must be a number such as +14155550100 or a sip: address."
    )
    assert unknown.complaint.startswith("No call has this id")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["say", "CA1", ""], "TEXT: "),
        (["variables", "CA1", f"name={'x' * 4001}"], "NAME=VALUE.name."),
        (["dial", "+4930111222", "--from", "me"], "--from: it must be a number"),
        (["dial", "+4930111222", "--parameter", f"a={'x' * 1001}"], "--parameter.a: "),
        (["decline", "CA1", "t1", "--reason", "x" * 501], "--reason: "),
        (["attach", "a chat"], "CHAT_ID: "),
        (["list", "--search", "x" * 201], "--search: "),
    ],
)
async def test_what_the_service_cannot_use_is_named_as_it_was_typed(
    operator: Operator, arguments: list[str], named: str
) -> None:
    complaint = (await operator.run(*arguments)).complaint

    assert complaint.startswith(f"The service cannot use {named}")


@pytest.mark.parametrize(
    "arguments", [["variables", "CA1", "x"], ["dial", "+49", "--parameter", "=x"]]
)
async def test_a_value_without_a_name_is_one_sentence(
    operator: Operator, arguments: list[str]
) -> None:
    ended = await operator.run(*arguments)

    assert ended.code == 2
    assert ended.complaint == f"'{arguments[-1]}' has no name and value: write NAME=VALUE."


async def test_without_a_service_or_its_token_the_exit_code_is_2(operator: Operator) -> None:
    operator.terminal.token = "wr0ng"
    stranger = await operator.run("pause", "CA1")
    operator.terminal.token = "wall:read=glance"
    reader = await operator.run("pause", "CA1")
    nobody = await operator.terminal.run("calls", "list", "--url", "http://127.0.0.1:1")

    assert [each.code for each in (stranger, reader, nobody)] == [2, 2, 2]
    assert "does not know the token" in stranger.complaint
    assert "show one that has the scope 'control'" in reader.complaint
    assert "start the service with `evibridge run`" in nobody.complaint
    assert "wr0ng" not in stranger.err


# Ids


async def test_the_beginning_of_an_id_is_enough(operator: Operator) -> None:
    operator.put(LONG_ID)
    operator.put("CA9876543210")

    assert f"(call {LONG_ID}, by anna" in (await operator.run("pause", "CA01")).done


async def test_a_beginning_of_several_ids_names_the_calls(operator: Operator) -> None:
    calls = [f"CA00{n}" for n in range(7)]
    for call_id in calls:
        operator.put(call_id, state=CallState.PAUSED)
    several = await operator.run("pause", "CA00")
    operator.put("CA00")
    exact = await operator.run("pause", "CA00")
    del operator.stage.calls.live["CA00"]
    for call_id in calls[2:]:
        del operator.stage.calls.live[call_id]
    two = await operator.run("pause", "CA00")

    assert several.code == 1
    assert several.complaint == (
        "CA00 may be CA006 (paused), CA005 (paused), CA004 (paused), CA003 (paused), "
        "CA002 (paused) or 2 more: write more of the id."
    )
    assert two.complaint == "CA00 may be CA001 (paused) or CA000 (paused): write more of the id."
    assert "(call CA00, by anna" in exact.done


async def test_a_beginning_of_less_than_four_characters_is_an_id(operator: Operator) -> None:
    operator.put("CA9")

    assert (await operator.run("pause", "CA")).complaint.startswith("No call has this id")
    assert (await operator.run("pause", "CA9")).code == 0


async def test_a_call_that_has_ended_is_found_as_well(operator: Operator) -> None:
    call = operator.put(LONG_ID)
    del operator.stage.calls.live[LONG_ID]
    call.end(EndReason.CALLER_HUNG_UP)
    await operator.stage.keep_record(call.now)

    ended = await operator.run("pause", LONG_ID[:6])

    assert ended.complaint == "The call has ended, so that nothing can be asked of it."


async def test_a_live_call_is_steered_and_shown_while_the_records_cannot_be_looked_up(
    operator: Operator,
) -> None:
    operator.put(LONG_ID)
    await operator.stage.records.close()

    for written in (LONG_ID, LONG_ID[:6]):
        assert f"(call {LONG_ID}, by anna" in (await operator.run("pause", written)).done
        assert (await operator.run("show", written)).done.startswith(f"Call {LONG_ID}\n")


async def test_a_command_means_a_call_that_goes_on_and_show_either(operator: Operator) -> None:
    over = operator.put("CA0123ffff")
    del operator.stage.calls.live[over.call_id]
    over.end(EndReason.CALLER_HUNG_UP)
    await operator.stage.keep_record(over.now)
    operator.put(LONG_ID)

    assert f"(call {LONG_ID}, by anna" in (await operator.run("pause", "CA0123")).done
    assert (await operator.run("show", "CA0123")).complaint == (
        f"CA0123 may be {LONG_ID} (listening) or CA0123ffff (ended): write more of the id."
    )


async def test_an_empty_id_is_one_sentence(operator: Operator) -> None:
    for arguments in (["say", "", "Hello."], ["show", " "], ["watch", ""]):
        ended = await operator.run(*arguments)

        assert (ended.code, ended.complaint) == (2, "Give the id of a call.")


# list


async def test_calls_are_listed(operator: Operator) -> None:
    operator.put(LONG_ID, state=CallState.AGENT_SPEAKING)
    operator.stage.end_call()
    await operator.stage.keep_record(operator.stage.calls.ended["CA1"])

    live = (await operator.run("list")).done.splitlines()
    ended = (await operator.run("list", "--state", "ended")).done.splitlines()
    both = (await operator.run("list", "--state", "all", "--search", "hello")).done.splitlines()
    one = (await operator.run("list", "--state", "all", "--limit", "1")).done.splitlines()

    assert " ".join(live[0].split()) == ("state id caller began UTC length response last words")
    assert [line.split()[:3] for line in live[1:]] == [["agent", "speaking", LONG_ID[:10]]]
    assert ended[1].startswith("ended  CA1 ")
    assert ended[1].endswith("Caller hung up; caller: Hello.")
    assert len(both) == 3
    assert one == live


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--state", "ended"], "No call has ended yet."),
        (["--search", "good\x1b[2J bye"], "No call has these words: good\ufffd[2J bye."),
    ],
)
async def test_no_calls_are_one_sentence(
    operator: Operator, arguments: list[str], sentence: str
) -> None:
    assert (await operator.run("list", *arguments)).done == sentence


async def test_programs_get_what_the_api_says(operator: Operator) -> None:
    operator.put(LONG_ID, lines=(Line("caller", 1.0, "Grüße\x9b2J", "Grüße\x9b2J"),))

    text = (await operator.run("list", "--json", "--search", "grusse")).done

    assert "Gr\xfc\xdfe\\u009b2J" in text
    calls = (await operator.stage.get("/v1/calls?q=grusse")).json()["calls"]
    assert json.loads(text) == calls
    assert (await operator.run("list", "--json", "--search", "nothing")).done == "[]"


async def test_more_calls_than_a_page_of_the_api_has_are_listed(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evibridge.terminal.calls_command.MAX_LIMIT", 2)
    for n in range(6):
        operator.put(f"CA{n}")
    assert listing.MAX_LIMIT > 2

    def ids(ended: Ended) -> list[str]:
        return [call["call_id"] for call in json.loads(ended.done)]

    assert ids(await operator.run("list", "--json")) == [f"CA{n}" for n in (5, 4, 3, 2, 1, 0)]
    assert ids(await operator.run("list", "--json", "--limit", "3")) == ["CA5", "CA4", "CA3"]


# show


async def test_a_live_call_is_shown_as_it_is_now(operator: Operator) -> None:
    shown = await operator.run("show", "CA1")
    as_json = await operator.run("show", "CA1", "--json")

    assert shown.done.splitlines() == [
        "Call CA1",
        "phone, inbound, from +4930123456 to +14155550100",
        "began 2026-11-28 12:00:00 UTC, 1:00 so far",
        "chat: chat-CA1",
        "",
        "  0:01.5  caller    Hello.",
        "",
        "now: listening",
    ]
    assert json.loads(as_json.done) == (await operator.stage.get("/v1/calls/CA1")).json()


async def test_of_an_ended_call_the_record_is_shown(operator: Operator) -> None:
    operator.stage.end_call()
    without = await operator.run("show", "CA1")
    await operator.stage.keep_record(operator.stage.calls.ended["CA1"])
    shown = await operator.run("show", "CA1")
    as_json = await operator.run("show", "CA1", "--json")

    assert without.done.endswith("\n\nCaller hung up.")
    assert "ended: caller hung up\n" in shown.done
    assert "  0:01.5  caller    Hello.\n" in shown.done
    assert json.loads(as_json.done) == (await operator.stage.get("/v1/calls/CA1/record")).json()


async def test_a_record_that_cannot_be_looked_up_is_one_sentence(operator: Operator) -> None:
    operator.stage.end_call()
    await operator.stage.records.close()

    assert (await operator.run("show", "CA1")).complaint == (
        "The service has too much to do at the moment: ask again."
    )
