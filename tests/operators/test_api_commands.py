import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web

from evibridge.agent import commands
from evibridge.agent import evi_messages as evi
from evibridge.agent.commands import OperatorCommand, Via
from evibridge.errors import CommandRefused
from evibridge.events import EndReason
from evibridge.operator_access import OperatorAccess
from evibridge.operators import commanding
from evibridge.operators.api import OperatorApi
from evibridge.operators.command_rate import CommandRate
from evibridge.operators.errors import FAULTS, REFUSED_WITH
from evibridge.tools_registry.progress import Verdict
from tests.operators.api_stage import (
    BOB,
    PATIENCE_S,
    TOKENS,
    Stage,
    open_stage,
    snapshot,
)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as stage:
        yield stage


@asynccontextmanager
async def served(app: web.Application, **how: Any) -> AsyncIterator[str]:
    """The origin of an application that somebody else's server runs."""
    runner = web.AppRunner(app, **how)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "http://{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "body", "command"),
    [
        ("say", {"text": "Hello."}, commands.Say("Hello.")),
        ("inject", {"text": "Where is it?"}, commands.Inject("Where is it?")),
        ("context", {"text": "A regular."}, commands.SetContext("A regular.")),
        ("context", {"text": None}, commands.SetContext(None)),
        (
            "variables",
            {"variables": {"name": "Ada", "orders": 3, "share": 0.5, "vip": True}},
            commands.SetVariables({"name": "Ada", "orders": 3, "share": 0.5, "vip": True}),
        ),
        ("whisper", {"text": "A regular."}, commands.Whisper("A regular.")),
        ("takeover", None, commands.TakeOver()),
        ("takeover", {"renew": True}, commands.TakeOver(renew=True)),
        ("handback", {}, commands.HandBack()),
        ("pause", None, commands.Pause()),
        ("pause", {}, commands.Pause()),
        ("resume", None, commands.Resume()),
        ("hold", None, commands.Hold()),
        ("release", None, commands.Release()),
        ("hangup", None, commands.HangUp()),
        ("transfer", {"to": "+4930123456"}, commands.Transfer("+4930123456")),
        (
            "transfer",
            {"to": "sip:desk@example.com", "say_first": "One moment."},
            commands.Transfer("sip:desk@example.com", "One moment."),
        ),
        (
            "send",
            {"type": "user_input", "text": "Hello.", "unknown": 1},
            commands.Send(evi.UserInput("Hello.")),
        ),
        ("tools/c%201/approve", None, commands.Decide("c 1", Verdict(is_approved=True))),
        ("tools/c1/decline", None, commands.Decide("c1", Verdict(is_approved=False))),
        (
            "tools/c1/decline",
            {"reason": "Too dear."},
            commands.Decide("c1", Verdict(is_approved=False, reason="Too dear.")),
        ),
    ],
)
async def test_a_command_reaches_its_call(
    stage: Stage, path: str, body: dict[str, Any] | None, command: OperatorCommand
) -> None:
    answer = await stage.post(f"/v1/calls/CA1/{path}", body)

    assert answer.status == 200
    assert answer.json() == {
        "call_id": "CA1",
        "command": path.rsplit("/", maxsplit=1)[-1],
        "by": "anna",
        "via": "control_plane",
    }
    assert stage.call.asked == [(command, "anna")]


@pytest.mark.parametrize(("via", "told"), [(Via.CHAT_SOCKET, "chat_socket"), (None, None)])
async def test_the_answer_tells_how_the_chat_was_told(
    stage: Stage, via: Via | None, told: str | None
) -> None:
    stage.call.via = via

    assert (await stage.post("/v1/calls/CA1/pause")).json()["via"] == told


async def test_numbers_stay_the_numbers_that_they_are(stage: Stage) -> None:
    await stage.post("/v1/calls/CA1/variables", {"variables": {"whole": 3, "part": 3.5}})

    command, _ = stage.call.asked[0]
    assert isinstance(command, commands.SetVariables)
    assert [type(value) for value in command.variables.values()] == [int, float]


async def test_a_command_bears_the_name_of_its_token(stage: Stage) -> None:
    await stage.post("/v1/calls/CA1/pause", by=BOB)

    assert stage.call.asked == [(commands.Pause(), "bob")]


# Calls that cannot be asked


async def test_of_a_call_that_nobody_knows_nothing_is_asked(stage: Stage) -> None:
    answer = await stage.post("/v1/calls/CA9/say", {"text": "Hello."})

    assert answer.refusal == (404, "call_not_found")


async def test_a_call_that_has_ended_is_over(stage: Stage) -> None:
    stage.end_call()

    assert (await stage.post("/v1/calls/CA1/pause")).refusal == (409, "call_is_over")


async def test_a_call_that_is_about_to_go_is_over(stage: Stage) -> None:
    stage.call.end(EndReason.AGENT_HUNG_UP)

    assert (await stage.post("/v1/calls/CA1/pause")).refusal == (409, "call_is_over")
    assert not stage.call.asked


async def test_a_call_may_end_while_its_command_is_on_the_way(stage: Stage) -> None:
    async def body() -> AsyncIterator[bytes]:
        stage.end_call()  # the head of the request was answered
        yield b'{"text":"Hello."}'

    answer = await stage.ask(
        "POST",
        "/v1/calls/CA1/say",
        headers={"Content-Type": "application/json"},
        data=body(),
        expect100=True,
    )

    assert answer.refusal == (409, "call_is_over")


async def test_a_call_that_only_its_record_knows_is_over(stage: Stage) -> None:
    await stage.keep_record(snapshot("CA8", ended=EndReason.CALLER_HUNG_UP))

    assert (await stage.post("/v1/calls/CA8/pause")).refusal == (409, "call_is_over")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("agent_is_paused", 409),
        ("call_is_over", 409),
        ("tool_is_not_waiting", 409),
        ("chat_was_lost", 409),
        ("evi_unreachable", 503),
    ],
)
async def test_what_a_call_refuses_is_refused_with_its_reason(
    stage: Stage, code: str, status: int
) -> None:
    stage.call.fault = CommandRefused(code, "It cannot be done now.")

    answer = await stage.post("/v1/calls/CA1/resume")

    assert answer.refusal == (status, code)
    assert answer.json()["message"] == "It cannot be done now."


def test_codes_of_calls_are_not_codes_of_the_api() -> None:
    assert not REFUSED_WITH.keys() & FAULTS.keys()


async def test_a_defect_is_told_in_the_log_alone(stage: Stage) -> None:
    stage.call.fault = ZeroDivisionError("personal")

    with structlog.testing.capture_logs() as lines:
        answer = await stage.post("/v1/calls/CA1/pause")

    assert answer.refusal == (500, "fault")
    assert b"personal" not in answer.body
    assert [line["event"] for line in lines] == ["operator_command_failed", "operator_command"]


# Beginning calls


async def test_somebody_is_called(stage: Stage) -> None:
    answer = await stage.post(
        "/v1/calls", {"to": "+4930999", "from": "+14155550100", "parameters": {"order": "1042"}}
    )

    assert answer.status == 201
    assert stage.dialled == [("+4930999", "+14155550100", {"order": "1042"}, "anna")]
    assert (answer.json()["call_id"], answer.json()["state"]) == ("CA2", "ringing")


async def test_the_service_has_a_number_of_its_own(stage: Stage) -> None:
    await stage.post("/v1/calls", {"to": "+4930999"})
    await stage.post("/v1/calls", {"to": "+4930999", "from": None})

    assert stage.dialled == [("+4930999", None, {}, "anna")] * 2


async def test_a_chat_is_taken_part_in(stage: Stage) -> None:
    answer = await stage.post("/v1/calls", {"chat_id": "some-chat"})

    assert (answer.status, answer.json()["chat_id"]) == (201, "some-chat")
    assert stage.attached == [("some-chat", "anna")]


async def test_a_chat_that_has_a_call_gets_no_other(stage: Stage) -> None:
    stage.is_new = False

    assert (await stage.post("/v1/calls", {"chat_id": "some-chat"})).status == 200


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        ({"to": "+4930999"}, "service_full", 503),
        ({"to": "+4930999"}, "carrier_unreachable", 503),
        ({"to": "+4930999"}, "carrier_unclear", 409),
        ({"to": "+4930999"}, "no_credentials", 409),
        ({"chat_id": "c"}, "chat_not_found", 404),
        ({"chat_id": "c"}, "evi_unreachable", 503),
    ],
)
async def test_a_call_that_cannot_begin_is_refused(
    stage: Stage, body: dict[str, Any], code: str, status: int
) -> None:
    stage.fault = CommandRefused(code, "It cannot be done now.")

    assert (await stage.post("/v1/calls", body)).refusal == (status, code)


# Repetitions


async def test_a_command_that_is_sent_twice_is_done_once(stage: Stage) -> None:
    once = {"headers": {"Idempotency-Key": "k1"}}
    first = await stage.post("/v1/calls/CA1/say", {"text": "Hello."}, **once)
    again = await stage.post("/v1/calls/CA1/say", {"text": "Hello."}, **once)

    assert (again.status, again.body) == (first.status, first.body)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(stage.call.asked) == 1


async def test_keys_of_others_do_not_matter(stage: Stage) -> None:
    once = {"headers": {"Idempotency-Key": "k1"}}
    await stage.post("/v1/calls/CA1/pause", **once)
    await stage.post("/v1/calls/CA1/pause", by=BOB, **once)
    await stage.post("/v1/calls/CA1/resume", **once)
    await stage.post("/v1/calls/CA1/pause", headers={"Idempotency-Key": "k2"})

    assert len(stage.call.asked) == 4


async def test_a_refusal_is_repeated_too(stage: Stage) -> None:
    stage.call.fault = CommandRefused("agent_is_paused", "It is paused.")
    once = {"headers": {"Idempotency-Key": "k1"}}
    await stage.post("/v1/calls/CA1/pause", **once)
    stage.call.fault = None

    assert (await stage.post("/v1/calls/CA1/pause", **once)).refusal == (409, "agent_is_paused")


async def test_what_could_not_be_done_is_tried_anew(stage: Stage) -> None:
    stage.call.fault = CommandRefused("evi_unreachable", "It does not answer.")
    once = {"headers": {"Idempotency-Key": "k1"}}
    assert (await stage.post("/v1/calls/CA1/pause", **once)).status == 503
    stage.call.fault = None

    assert (await stage.post("/v1/calls/CA1/pause", **once)).status == 200


async def test_a_hang_up_is_repeated_after_the_end(stage: Stage) -> None:
    once = {"headers": {"Idempotency-Key": "k1"}}
    first = await stage.post("/v1/calls/CA1/hangup", **once)
    stage.end_call()

    assert (await stage.post("/v1/calls/CA1/hangup", **once)).body == first.body
    assert (await stage.post("/v1/calls/CA1/hangup")).refusal == (409, "call_is_over")


async def test_a_request_that_was_not_understood_leaves_its_key_free(stage: Stage) -> None:
    once = {"headers": {"Idempotency-Key": "k1"}}
    await stage.post("/v1/calls/CA1/say", {"texts": "Hello."}, **once)

    assert (await stage.post("/v1/calls/CA1/say", {"text": "Hello."}, **once)).status == 200


async def test_a_key_is_not_for_two_bodies(stage: Stage) -> None:
    once = {"headers": {"Idempotency-Key": "k1"}}
    await stage.post("/v1/calls/CA1/say", {"text": "Hello."}, **once)
    answer = await stage.post("/v1/calls/CA1/say", {"text": "Goodbye."}, **once)

    assert answer.faults == [(["header", "Idempotency-Key"], "idempotency_key_reused")]


@pytest.mark.parametrize("key", ["", "k" * 201])
async def test_a_key_has_some_characters(stage: Stage, key: str) -> None:
    answer = await stage.post("/v1/calls/CA1/pause", headers={"Idempotency-Key": key})

    assert answer.faults == [(["header", "Idempotency-Key"], "string_length")]


async def test_a_repetition_waits_for_nothing(stage: Stage) -> None:
    stage.call.may_answer = asyncio.Event()
    once = {"headers": {"Idempotency-Key": "k1"}}
    first = asyncio.create_task(stage.post("/v1/calls/CA1/pause", **once))
    async with asyncio.timeout(PATIENCE_S):
        await stage.call.was_asked.wait()

    assert (await stage.post("/v1/calls/CA1/pause", **once)).refusal == (409, "still_running")
    stage.call.may_answer.set()
    assert (await first).status == 200
    assert (await stage.post("/v1/calls/CA1/pause", **once)).body == (await first).body


async def test_who_leaves_before_the_answer_finds_it_later(stage: Stage) -> None:
    stage.call.may_answer = asyncio.Event()
    once = {"headers": {"Idempotency-Key": "k1"}}
    first = asyncio.create_task(stage.post("/v1/calls/CA1/pause", **once))
    async with asyncio.timeout(PATIENCE_S):
        await stage.call.was_asked.wait()
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first

    stage.call.may_answer.set()
    answer = await stage.post("/v1/calls/CA1/pause", **once)

    assert answer.status == 200
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert len(stage.call.asked) == 1


async def test_a_server_that_gives_up_on_who_has_left_does_not_undo_a_command(
    stage: Stage,
) -> None:
    stage.call.may_answer = asyncio.Event()
    once = {"headers": {"Idempotency-Key": "k1"}}
    app = web.Application()
    OperatorApi(stage.parts(), OperatorAccess(TOKENS)).add_routes(app)
    async with served(app, handler_cancellation=True) as stage.origin:
        first = asyncio.create_task(stage.post("/v1/calls/CA1/pause", **once))
        async with asyncio.timeout(PATIENCE_S):
            await stage.call.was_asked.wait()
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        assert (await stage.get("/v1/calls")).status == 200  # he is known to have left

        stage.call.may_answer.set()
        answer = await stage.post("/v1/calls/CA1/pause", **once)

    assert answer.headers["Idempotency-Replayed"] == "true"
    assert len(stage.call.asked) == 1


# Limits


async def test_who_sends_too_many_commands_is_told_to_wait(tmp_path: Path) -> None:
    async with open_stage(tmp_path, rate=CommandRate(per_s=0.01, burst=2)) as stage:
        answers = [await stage.post("/v1/calls/CA1/pause") for _ in range(3)]

        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[2].refusal == (429, "too_many_commands")
        assert 1 <= int(answers[2].headers["Retry-After"]) <= 100
        assert (await stage.post("/v1/calls/CA1/pause", by=BOB)).status == 200
        assert (await stage.get("/v1/calls")).status == 200


async def test_the_rate_is_looked_at_before_the_call_and_the_body(tmp_path: Path) -> None:
    async with open_stage(tmp_path, rate=CommandRate(per_s=0.01, burst=1)) as stage:
        await stage.post("/v1/calls/CA1/pause")

        answer = await stage.ask("POST", "/v1/calls/CA9/say", data=b"{" * 100_000)

        assert answer.refusal == (429, "too_many_commands")


# The end of the service


async def test_a_command_is_done_though_the_service_ends(stage: Stage) -> None:
    call = stage.call
    call.may_answer = asyncio.Event()
    asking = asyncio.create_task(stage.post("/v1/calls/CA1/pause"))
    async with asyncio.timeout(PATIENCE_S):
        await call.was_asked.wait()
        ending = asyncio.create_task(stage.server.close())
        await asyncio.sleep(0)  # it has begun
        call.may_answer.set()

        assert (await asking).status == 200
        await ending


async def test_a_command_that_takes_too_long_is_given_up_then(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commanding, "END_WITHIN_S", 0.01)
    stage.call.may_answer = asyncio.Event()
    asking = asyncio.create_task(stage.post("/v1/calls/CA1/pause"))
    async with asyncio.timeout(PATIENCE_S):
        await stage.call.was_asked.wait()
        await stage.server.close()

        with pytest.raises(aiohttp.ClientConnectionError):
            await asking


# The log


async def test_the_log_has_one_line_for_a_command_and_no_personal_data(stage: Stage) -> None:
    with structlog.testing.capture_logs() as lines:
        await stage.post("/v1/calls/CA1/say", {"text": "Hello."})
        await stage.post("/v1/calls/CA1/say", {"texts": "Hello."})
        await stage.post("/v1/calls/CA9%0A/say", {"text": "Hello."})
        await stage.post("/v1/calls", {"to": "+4930999"})

    assert lines == [
        {
            "event": "operator_command",
            "log_level": "info",
            "command": command,
            "by": "anna",
            "call_id": call_id,
            "status": status,
        }
        for command, call_id, status in (
            ("say", "CA1", 200),
            ("say", "CA1", 422),
            ("say", None, 404),
            ("begin_call", None, 201),
        )
    ]
