"""What programs that watch calls are told, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from structlog.testing import capture_logs

from evibridge.events import (
    AgentPaused,
    AgentResumed,
    ApprovalGiven,
    ApprovalWanted,
    CallBegan,
    CallDialled,
    CallEnded,
    CallEvent,
    DigitPressed,
    EndReason,
)
from evibridge.operators import event_streams
from evibridge.sockets import Refusal
from tests.operators.event_stage import (
    NOON,
    Stage,
    Watcher,
    long_sentence,
    open_stage,
    said,
    slow_watcher,
)
from tests.sockets.peers import PATIENCE_S, TEXT, RawPeer, upgrade_head
from tests.virtual_clock import run_in_virtual_time

ENDED = CallEnded(EndReason.CALLER_HUNG_UP)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as stage:
        yield stage


async def watch(http: aiohttp.ClientSession, stage: Stage, path: str) -> Watcher:
    async with asyncio.timeout(PATIENCE_S):
        return Watcher(await http.ws_connect(f"ws://127.0.0.1:{stage.port}{path}"))


async def refusal(stage: Stage, path: str) -> tuple[int, str]:
    async with await RawPeer.dial(stage.port, upgrade_head(path)) as peer:
        status, _ = await peer.response()
        return status, (await peer.ended()).decode()


# One call


async def test_a_call_is_told_as_it_is_and_then_as_it_goes_on(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    began = stage.tell(CallBegan())
    watcher = await watch(http, stage, "/v1/calls/CA1/events")
    assert await watcher.next() == {
        "type": "snapshot",
        "call_id": "CA1",
        "seq": began.seq,
        "at": NOON,
        "call": {"call_id": "CA1", "events": 1, "lines": []},
    }
    stage.tell(DigitPressed("9"), "CA2")
    paused = stage.tell(AgentPaused())
    stage.tell(AgentResumed())
    assert await watcher.next() == {
        "type": "agent_paused",
        "call_id": "CA1",
        "seq": paused.seq,
        "at": NOON,
    }
    assert (await watcher.next())["type"] == "agent_resumed"


async def test_the_stream_of_a_call_ends_with_the_call(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    watcher = await watch(http, stage, "/v1/calls/CA1/events")
    await watcher.next()
    stage.tell(ENDED)
    stage.tell(AgentPaused())
    assert (await watcher.next())["reason"] == "caller_hung_up"
    assert await watcher.close_code() == 1000


async def test_a_call_that_has_ended_is_told_as_it_was(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    stage.tell(CallBegan())
    stage.tell(ENDED)
    stage.live, stage.ended = ["CA2"], ["CA1"]
    watcher = await watch(http, stage, "/v1/calls/CA1/events")
    assert (await watcher.next())["call"]["events"] == 2
    assert await watcher.close_code() == 1000


async def test_a_call_that_begins_under_the_id_of_another_is_told_alone(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    first = stage.tell(CallBegan())
    stage.tell(ENDED)
    stage.tell(CallBegan())
    for query in ("", "?since=0", f"?since={first.seq}"):
        watcher = await watch(http, stage, f"/v1/calls/CA1/events{query}")
        assert (await watcher.next())["call"]["events"] == 1
        stage.tell(AgentPaused())
        assert (await watcher.next())["type"] == "agent_paused"
        stage.tell(ENDED)
        assert (await watcher.next())["type"] == "call_ended"
        assert await watcher.close_code() == 1000
        stage.tell(CallBegan())


async def test_what_is_kept_of_a_call_that_has_ended_can_be_read(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    stage.tell(CallBegan())
    stage.tell(said("Good-bye."))
    stage.tell(ENDED)
    stage.tell(AgentPaused())
    watcher = await watch(http, stage, "/v1/calls/CA1/events?since=0")
    told = [message["type"] for message in await watcher.several(4)]
    assert told == ["call_began", "caller_said", "call_ended", "agent_paused"]
    assert await watcher.close_code() == 1000


async def test_a_call_of_which_no_event_is_kept_is_told_as_it_was(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    stage.ended = ["CA3"]
    watcher = await watch(http, stage, "/v1/calls/CA3/events?since=0")
    assert (await watcher.next())["type"] == "snapshot"
    assert await watcher.close_code() == 1000


async def test_a_reader_that_comes_back_is_told_what_it_has_missed(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    known = stage.tell(CallBegan())
    stage.tell(DigitPressed("1"))
    stage.tell(DigitPressed("9"), "CA2")
    watcher = await watch(http, stage, f"/v1/calls/CA1/events?since={known.seq}")
    stage.tell(DigitPressed("2"))
    assert [message["digit"] for message in await watcher.several(2)] == ["1", "2"]


async def test_a_long_absence_is_told_in_parts(stage: Stage, http: aiohttp.ClientSession) -> None:
    for number in range(1000):
        stage.tell(DigitPressed(str(number)))
    watcher = await watch(http, stage, "/v1/calls/CA1/events?since=0")
    stage.tell(DigitPressed("1000"))
    told = [message["digit"] for message in await watcher.several(1001)]
    assert told == [str(number) for number in range(1001)]


async def test_a_reader_that_comes_back_too_late_is_told_how_things_stand(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    told = stage.tell(CallBegan())
    watcher = await watch(http, stage, f"/v1/calls/CA1/events?since={told.seq + 1}")
    assert (await watcher.next())["type"] == "snapshot"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/calls/CA1/events", ["Wh", "Where?"]),
        ("/v1/calls/CA1/events?interim=true", ["Wh", "Where?"]),
        ("/v1/calls/CA1/events?interim=false", ["Where?"]),
        ("/v1/events", ["Where?"]),
        ("/v1/events?interim=true", ["Wh", "Where?"]),
    ],
)
async def test_interim_transcripts_come_to_those_who_want_them(
    stage: Stage, http: aiohttp.ClientSession, path: str, told: list[str]
) -> None:
    watcher = await watch(http, stage, path)
    await watcher.next()
    stage.tell(said("Wh", interim=True))
    stage.tell(said("Where?"))
    assert [message["text"] for message in await watcher.several(len(told))] == told


# All calls


async def test_all_calls_are_told_as_they_are_and_then_as_they_go_on(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    began = stage.tell(CallBegan(), "CA2")
    stage.live.append("CA3")
    stage.forgotten.add("CA3")
    watcher = await watch(http, stage, "/v1/events")
    assert await watcher.next() == {
        "type": "snapshot",
        "call_id": None,
        "seq": began.seq,
        "at": NOON,
        "calls": [{"call_id": "CA1", "events": 0}, {"call_id": "CA2", "events": 1}],
    }
    stage.tell(ENDED, "CA2")
    stage.tell(CallBegan(), "CA4")
    told = [(message["type"], message["call_id"]) for message in await watcher.several(2)]
    assert told == [("call_ended", "CA2"), ("call_began", "CA4")]


async def test_a_reader_of_all_calls_is_told_what_it_has_missed(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    known = stage.tell(DigitPressed("1"), "CA2")
    stage.tell(DigitPressed("2"), "CA1")
    stage.tell(DigitPressed("3"), "CA2")
    watcher = await watch(http, stage, f"/v1/events?since={known.seq}")
    stage.tell(DigitPressed("4"), "CA1")
    assert [message["digit"] for message in await watcher.several(3)] == ["2", "3", "4"]


async def test_summaries_of_calls_that_change_come_to_those_who_want_them(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    watcher = await watch(http, stage, "/v1/events?summaries=true")
    await watcher.next()
    stage.tell(AgentPaused(), "CA2")
    stage.tell(AgentResumed(), "CA2")
    assert (await watcher.next())["type"] == "agent_paused"
    assert (await watcher.next())["type"] == "agent_resumed"
    assert await watcher.next() == {
        "type": "summaries",
        "at": NOON,
        "calls": [{"call_id": "CA2", "events": 2}],
    }


def test_who_wants_no_events_gets_summaries_alone() -> None:
    async def scene() -> None:
        stage = Stage()
        known = stage.tell(AgentPaused())
        reader = stage.watch_all(f"events=false&summaries=true&since={known.seq}")
        bare = stage.watch_all("events=false&summaries=false")
        for number in range(300):
            stage.tell(long_sentence(number))
        await asyncio.sleep(0.6)
        assert reader.types == ["snapshot", "summaries"]
        assert reader.sent[1]["calls"] == [{"call_id": "CA1", "events": 301}]
        assert bare.types == ["snapshot"]
        reader.hang_up()
        bare.hang_up()

    run_in_virtual_time(scene())


def test_who_wants_no_events_and_reads_slowly_has_no_gap() -> None:
    async def scene() -> None:
        stage = Stage()
        reader = stage.watch_all("events=false&summaries=true")
        reader.stop_taking()
        reader.fill()
        for number in range(300):
            stage.tell(long_sentence(number))
            await asyncio.sleep(0.1)
        assert reader.types == ["snapshot"]
        reader.take_all()
        await asyncio.sleep(0.6)
        assert reader.types == ["snapshot", "summaries"]

    run_in_virtual_time(scene())


def test_events_of_one_call_come_in_any_case() -> None:
    stage = Stage()
    reader = stage.watch_call("events=false")
    stage.tell(AgentPaused())

    assert reader.types == ["snapshot", "agent_paused"]


@pytest.mark.parametrize(
    ("happens", "after_s"),
    [
        (ApprovalWanted("t1", "refund", "{}", 60.0), 0.05),
        (ApprovalGiven("t1", "refund", True, "sam"), 0.05),
        (CallBegan(), 0.05),
        (CallDialled("+4930123456", "sam"), 0.05),
        (ENDED, 0.05),
        (AgentPaused(), 0.5),
    ],
)
def test_summaries_come_soon_after_what_is_waited_for(happens: CallEvent, after_s: float) -> None:
    async def scene() -> None:
        stage = Stage()
        reader = stage.watch_all("events=false&summaries=true")
        stage.tell(AgentPaused(), "CA2")
        await asyncio.sleep(0.001)
        stage.tell(happens)
        await asyncio.sleep(after_s - 0.01)
        assert reader.types == ["snapshot"]
        await asyncio.sleep(0.02)
        assert reader.types == ["snapshot", "summaries"]
        assert [each["call_id"] for each in reader.sent[1]["calls"]] == ["CA1", "CA2"]

    run_in_virtual_time(scene())


def test_a_call_in_which_nobody_speaks_any_more_is_summed_up_without_an_event() -> None:
    async def scene() -> None:
        stage = Stage()
        reader = stage.watch_all("events=false&summaries=true")
        stage.states["CA1"] = "agent_speaking"
        stage.tell(AgentPaused())
        await asyncio.sleep(3.1)
        assert reader.types == ["snapshot", "summaries"]
        stage.states["CA1"] = "listening"
        await asyncio.sleep(5.0)
        assert reader.types == ["snapshot", "summaries", "summaries"]
        assert reader.sent[2]["calls"] == [{"call_id": "CA1", "events": 1, "state": "listening"}]
        reader.hang_up()

    run_in_virtual_time(scene())


def test_a_call_that_has_ended_is_summed_up_once_as_ended_even_if_it_is_forgotten() -> None:
    async def scene() -> None:
        stage = Stage()
        reader, slow = (stage.watch_all("events=false&summaries=true") for _ in range(2))
        slow.stop_taking()
        slow.fill()
        stage.tell(ENDED)
        stage.tell(AgentPaused())
        stage.live.remove("CA1")
        await asyncio.sleep(1.0)
        stage.tell(AgentPaused())
        await asyncio.sleep(1.0)
        slow.take_all()
        await asyncio.sleep(1.0)
        for each in (reader, slow):
            assert each.types == ["snapshot", "summaries"]
            (summary,) = each.sent[1]["calls"]
            assert (summary["call_id"], summary["state"]) == ("CA1", "ended")
            assert summary["end_reason"] == "caller_hung_up"
        stage.live.append("CA1")
        stage.tell(CallBegan())
        await asyncio.sleep(1.0)
        assert "state" not in reader.sent[2]["calls"][0]

    run_in_virtual_time(scene())


# Levels


async def test_levels_are_read_once_for_all_who_want_them(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    watchers = [await watch(http, stage, "/v1/calls/CA1/events?levels=true") for _ in range(2)]
    without = await watch(http, stage, "/v1/calls/CA1/events")
    for watcher in (*watchers, without):
        await watcher.next()
    (sink,) = stage.level_sinks["CA1"]
    sink(0.12345, 1.0)
    for watcher in watchers:
        assert await watcher.next() == {
            "type": "levels",
            "call_id": "CA1",
            "at": "2026-11-28T11:59:59.750Z",
            "caller": 0.123,
            "agent": 1.0,
        }
    await watchers[0].connection.close()
    sink(0.5, 0.5)
    assert (await watchers[1].next())["caller"] == 0.5
    stage.tell(ENDED)
    assert stage.level_sinks["CA1"] == []
    assert (await without.next())["type"] == "call_ended"


async def test_a_call_without_levels_is_watched_without_them(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    watcher = await watch(http, stage, "/v1/calls/CA2/events?levels=true")
    await watcher.next()
    stage.tell(ENDED, "CA2")
    assert (await watcher.next())["type"] == "call_ended"
    assert await watcher.close_code() == 1000


# Who is let in


@pytest.mark.parametrize("path", ["/v1/calls/CA9/events?since=x", "/v1/events?since=x"])
async def test_who_may_not_read_is_told_nothing_else(stage: Stage, path: str) -> None:
    stage.refusal = Refusal(403, "Only operators read events.")
    assert await refusal(stage, path) == (403, "Only operators read events.")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("since=", "since is the seq of an event: write a whole number."),
        ("since=-1", "since is the seq of an event: write a whole number."),
        ("since=%D9%A1", "since is the seq of an event: write a whole number."),
        (f"since={10**18}", "since is the seq of an event: write a whole number."),
        ("interim=yes", "interim is a flag: write true or false."),
        ("levels", "levels is a flag: write true or false."),
        ("summaries=", "summaries is a flag: write true or false."),
        ("events=no", "events is a flag: write true or false."),
        ("&".join(["a=b"] * 17), "The query cannot be read: write at most 16 parameters."),
    ],
)
async def test_a_query_that_cannot_be_read_is_refused(query: str, sentence: str) -> None:
    stage = Stage()
    assert stage.accept(f"/v1/events?{query}") == Refusal(422, sentence)
    of_call = stage.accept(f"/v1/calls/CA1/events?{query}", call_id="CA1")
    assert of_call == Refusal(422, sentence)


async def test_a_call_that_is_not_known_is_refused(stage: Stage) -> None:
    sentence = "No call has this id: see GET /v1/calls for those that there are."
    assert await refusal(stage, "/v1/calls/CA9/events") == (404, sentence)


async def test_there_are_as_many_readers_as_may_be(
    stage: Stage, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "MAX_READERS", 1)
    first = await watch(http, stage, "/v1/events?other=parameter")
    await first.next()
    status, sentence = await refusal(stage, "/v1/calls/CA1/events")
    assert (status, sentence) == (
        503,
        "As many programs read events as may: close one, or try again in a moment.",
    )
    await first.connection.close()
    second = await watch(http, stage, "/v1/calls/CA1/events")
    assert (await second.next())["type"] == "snapshot"


async def test_what_a_reader_says_is_passed_over(stage: Stage, http: aiohttp.ClientSession) -> None:
    watcher = await watch(http, stage, "/v1/events")
    await watcher.next()
    await watcher.connection.send_str("hello")
    await watcher.connection.send_bytes(bytes(1024))
    stage.tell(AgentPaused())
    assert (await watcher.next())["type"] == "agent_paused"
    await watcher.connection.send_bytes(bytes(1025))
    assert await watcher.close_code() == 1009


async def test_all_streams_end_when_the_service_does(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    watchers = [await watch(http, stage, "/v1/events"), await watch(http, stage, "/v1/events")]
    for watcher in watchers:
        await watcher.next()
    stage.streams.close()
    assert [await watcher.close_code() for watcher in watchers] == [1001, 1001]


async def test_a_reader_that_cannot_be_told_how_things_stand_leaves_its_place(
    stage: Stage, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "MAX_READERS", 1)
    stage.snapshots_fail = True
    with capture_logs() as logs:
        watcher = await watch(http, stage, "/v1/calls/CA1/events")
        assert await watcher.close_code() == 1011
    assert [each["event"] for each in logs] == ["socket_listener_failed"]
    stage.snapshots_fail = False
    second = await watch(http, stage, "/v1/calls/CA1/events")
    assert (await second.next())["type"] == "snapshot"


# Slow readers


async def test_a_reader_that_does_not_read_delays_nobody_and_is_told_what_it_missed(
    stage: Stage, http: aiohttp.ClientSession
) -> None:
    async with await slow_watcher(stage, "/v1/events") as slow:
        quick = await watch(http, stage, "/v1/calls/CA1/events")
        await quick.next()
        for number in range(600):
            stage.tell(long_sentence(number))
            assert (await quick.next())["utterance_id"] == str(number)
        assert (await message(slow))["type"] == "snapshot"
        received = 0
        while (told := await message(slow))["type"] == "agent_said":
            assert told["utterance_id"] == str(received)
            received += 1
        assert told == {"type": "gap", "call_id": None, "missed": 600 - received}
        snapshot = await message(slow)
        assert (snapshot["type"], snapshot["seq"]) == ("snapshot", stage.bus.last_seq)
        stage.tell(AgentPaused())
        assert (await message(slow))["type"] == "agent_paused"


async def message(peer: RawPeer) -> dict[str, object]:
    opcode, payload = await peer.frame()
    assert opcode == TEXT
    told: dict[str, object] = json.loads(payload)
    return told


async def test_a_reader_that_was_slow_until_the_end_is_told_of_the_end(stage: Stage) -> None:
    async with await slow_watcher(stage, "/v1/calls/CA1/events") as slow:
        for number in range(200):
            stage.tell(long_sentence(number))
        stage.tell(ENDED)
        told = [await message(slow) for _ in range(202)]
        assert told[-1]["type"] == "call_ended"
        assert await slow.close_code() == 1000
