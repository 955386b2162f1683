"""Lists of calls: which, in what order, in what pages."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evibridge.agent.conversation import Line
from evibridge.agent.snapshot import PendingApproval
from evibridge.events import (
    AgentInterrupted,
    AgentSaid,
    CallEvent,
    EndReason,
    TurnAnswered,
)
from evibridge.records.document import Recording
from tests.operators.api_stage import NOON, NOON_S, WALL, Stage, open_stage, snapshot
from tests.operators.test_api_reading import HELD, SUMMARY


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as stage:
        yield stage


async def ids(stage: Stage, query: str) -> list[str]:
    answer = await stage.get(f"/v1/calls?{query}")
    return [call["call_id"] for call in answer.json()["calls"]]


async def pages(stage: Stage, query: str) -> list[list[str]]:
    """The ids on every page."""
    found, cursor = [], ""
    while True:
        answer = await stage.ask(
            "GET", f"/v1/calls?{query}", params={"before": cursor} if cursor else {}
        )
        page = answer.json()
        found.append([call["call_id"] for call in page["calls"]])
        if page["next"] is None:
            return found
        cursor = page["next"]


async def test_the_list_has_what_is_to_be_known_at_a_glance(stage: Stage) -> None:
    stage.call.now = HELD
    stage.bus.publish("CA1", AgentSaid("u1", "Good morning, Ada."))

    answer = await stage.get("/v1/calls", by=WALL)

    assert answer.json() == {"calls": [SUMMARY], "next": None}


@pytest.fixture
async def many(stage: Stage) -> Stage:
    """Three calls that go on, CA1 to CA3, and three that have ended, CB1 to CB3."""
    for number in (2, 3):
        call = snapshot(
            f"CA{number}",
            began_at_s=stage.call.now.began_at_s + number,
            caller=f"+49{number}",
            lines=(Line("caller", 1.0, f"Ich möchte Buch {number} zurückgeben.", ""),),
        )
        stage.calls.live[call.call_id] = type(stage.call)(call)
    for number in (1, 2, 3):
        await stage.keep_record(
            snapshot(
                f"CB{number}",
                began_at_s=stage.call.now.began_at_s - 10 + number,
                ended=EndReason.CALLER_HUNG_UP,
                lines=(Line("caller", 1.0, f"Ich möchte Buch {number} abholen.", ""),),
            )
        )
    return stage


async def test_what_was_said_is_read_only_to_be_searched(stage: Stage) -> None:
    await stage.get("/v1/calls")
    assert not stage.call.lines_were_read

    await stage.get("/v1/calls?q=hello")
    assert stage.call.lines_were_read


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["CA3", "CA2", "CA1"]),
        ("state=live", ["CA3", "CA2", "CA1"]),
        ("state=ended", ["CB3", "CB2", "CB1"]),
        ("state=all", ["CA3", "CA2", "CA1", "CB3", "CB2", "CB1"]),
        ("limit=2", ["CA3", "CA2"]),
        ("q=zuruckgeben", ["CA3", "CA2"]),
        ("q=BUCH+2", ["CA2"]),
        ("q=buch+zur", ["CA3", "CA2"]),
        ("q=zur+buch", []),
        ("q=492", ["CA2"]),
        ("q=ca3", ["CA3"]),
        ("q=%2B.!", ["CA3", "CA2", "CA1"]),
        ("q=", ["CA3", "CA2", "CA1"]),
        ("state=ended&q=buch+3", ["CB3"]),
        ("state=all&q=buch", ["CA3", "CA2", "CB3", "CB2", "CB1"]),
    ],
)
async def test_calls_are_listed_newest_first(many: Stage, query: str, found: list[str]) -> None:
    assert await ids(many, query) == found


async def test_live_calls_are_found_by_tools_that_run_or_wait(stage: Stage) -> None:
    stage.call.now = snapshot(
        open_tools=("order_status",),
        approvals=(PendingApproval("c1", "refund", "{}", 28.0),),
    )

    assert await ids(stage, "q=order+status") == ["CA1"]
    assert await ids(stage, "q=status+refu") == ["CA1"]
    assert await ids(stage, "q=parameters") == []


@pytest.fixture
async def over(stage: Stage) -> Stage:
    """Calls that have ended, each of which has begun a second after the one before."""
    wav = Recording(file="CB4.wav", seconds=1.0, rate_hz=8000, failure=None)
    told: dict[int, CallEvent] = {2: AgentInterrupted(), 3: TurnAnswered(801)}
    ends = {5: EndReason.CALLER_LOST, 6: EndReason.SHUTDOWN}
    for number in range(1, 7):
        if number in told:
            stage.bus.publish(f"CB{number}", told[number])
        call = snapshot(
            f"CB{number}",
            began_at_s=NOON_S + number,
            ended=ends.get(number, EndReason.CALLER_HUNG_UP),
            lines=(Line("caller", 1.0, "Äpfel" if number % 2 else "Birnen", ""),),
        )
        await stage.keep_record(call, wav if number == 4 else None)
    return stage


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("agent=Paper+Lantern", "654321"),
        ("agent=Paper", ""),
        ("agent=", "654321"),
        ("agent=%ED%A0%80%00", ""),
        ("end_reason=caller_lost", "5"),
        ("end_reason=caller_lost,shutdown,busy", "65"),
        ("interrupted=true", "2"),
        ("recorded=true", "4"),
        ("slower_than_ms=800", "3"),
        ("slower_than_ms=801", ""),
        ("began_from=2026-11-28T12:00:05Z", "65"),
        ("began_before=2026-11-28T12:00:02.001Z", "21"),
        ("began_from=2026-11-28T12:00:02.000Z&began_before=2026-11-28T12:00:04Z", "32"),
        ("q=apf&end_reason=caller_hung_up", "31"),
        ("q=apf&recorded=true", ""),
    ],
)
async def test_ended_calls_are_chosen_by_what_they_were(
    over: Stage, query: str, found: str
) -> None:
    assert await ids(over, f"state=ended&{query}") == [f"CB{number}" for number in found]


async def test_chosen_calls_are_given_in_pages(over: Stage) -> None:
    query = "state=ended&limit=3&end_reason=caller_hung_up&agent=Paper+Lantern"

    assert await pages(over, query) == [["CB4", "CB3", "CB2"], ["CB1"]]


@pytest.mark.parametrize(("agent", "found"), [("Paper+Lantern", ["CA1"]), ("Paper", [])])
async def test_live_calls_are_chosen_by_the_agent(
    over: Stage, agent: str, found: list[str]
) -> None:
    assert await ids(over, f"agent={agent}") == found
    everything = await ids(over, f"state=all&agent={agent}")
    assert len(everything) == 7 * len(found)


@pytest.mark.parametrize("state", ["", "state=live&", "state=all&"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("end_reason", "caller_lost"),
        ("began_from", NOON),
        ("began_before", NOON),
        ("interrupted", "true"),
        ("slower_than_ms", "800"),
        ("recorded", "true"),
    ],
)
async def test_calls_that_go_on_are_not_chosen_by_how_they_have_ended(
    stage: Stage, state: str, name: str, value: str
) -> None:
    answer = await stage.get(f"/v1/calls?{state}{name}={value}")

    assert [loc for loc, _ in answer.faults] == [["query", name]]
    assert "state=ended" in answer.json()["detail"][0]["msg"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("limit=1", [["CA3"], ["CA2"], ["CA1"]]),
        ("limit=2", [["CA3", "CA2"], ["CA1"]]),
        ("limit=3", [["CA3", "CA2", "CA1"]]),
        ("limit=2&state=ended", [["CB3", "CB2"], ["CB1"]]),
        ("limit=2&state=all", [["CA3", "CA2"], ["CA1", "CB3"], ["CB2", "CB1"]]),
        ("limit=3&state=all", [["CA3", "CA2", "CA1"], ["CB3", "CB2", "CB1"]]),
        ("limit=4&state=all", [["CA3", "CA2", "CA1", "CB3"], ["CB2", "CB1"]]),
        ("limit=2&state=all&q=buch", [["CA3", "CA2"], ["CB3", "CB2"], ["CB1"]]),
    ],
)
async def test_a_long_list_is_given_in_pages(
    many: Stage, query: str, found: list[list[str]]
) -> None:
    assert await pages(many, query) == found


async def test_a_call_that_comes_between_pages_moves_none(many: Stage) -> None:
    first = (await many.get("/v1/calls?limit=2")).json()
    newest = snapshot("CA4", began_at_s=many.call.now.began_at_s + 4)
    many.calls.live["CA4"] = type(many.call)(newest)

    assert await ids(many, f"limit=2&before={first['next']}") == ["CA1"]


async def test_calls_that_began_together_keep_an_order(stage: Stage) -> None:
    for call_id in ("a.1", "a.2"):
        stage.calls.live[call_id] = type(stage.call)(snapshot(call_id))

    assert await pages(stage, "limit=1") == [["a.2"], ["a.1"], ["CA1"]]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("state=over", "state"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        (f"q={'a' * 201}", "q"),
        (f"agent={'a' * 201}", "agent"),
        ("state=ended&end_reason=", "end_reason"),
        ("state=ended&end_reason=hunger", "end_reason"),
        ("state=ended&end_reason=busy,", "end_reason"),
        ("state=ended&end_reason=busy,hunger", "end_reason"),
        ("state=ended&began_from=yesterday", "began_from"),
        ("state=ended&began_before=2026-11-31T00:00:00Z", "began_before"),
        ("state=ended&interrupted=false", "interrupted"),
        ("state=ended&recorded=yes", "recorded"),
        ("state=ended&slower_than_ms=-1", "slower_than_ms"),
        (f"state=ended&slower_than_ms={10**30}", "slower_than_ms"),
        ("before=yesterday", "before"),
        ("before=live.1", "before"),
        ("before=live.x.CA1", "before"),
        ("before=live.99999999999999999999.CA1", "before"),
        ("state=ended&before=ended.yesterday", "before"),
        (f"before={'a' * 301}", "before"),
        ("stat=live", "stat"),
    ],
)
async def test_a_question_that_cannot_be_answered_is_refused(
    stage: Stage, query: str, place: str
) -> None:
    answer = await stage.get(f"/v1/calls?{query}")

    assert [loc for loc, _ in answer.faults] == [["query", place]]


@pytest.mark.parametrize("query", ["q=%00", "q=%FF%FE", "q=%ED%A0%80", "state=ended&q=%FF%00"])
async def test_any_characters_can_be_asked_for(stage: Stage, query: str) -> None:
    assert (await stage.get(f"/v1/calls?{query}")).status == 200
