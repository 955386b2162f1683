"""What becomes of calls when they end: alone, many at once, and again under the same id."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from evibridge.bus import EventBus
from evibridge.events import CallBegan, CallEnded, CommandGiven, EndReason
from evibridge.records import keeper as keeping
from evibridge.records import records as disk
from evibridge.records.disk_work import Patience
from evibridge.records.keeper import Keeper
from evibridge.records.records import Records
from tests.agent.stage import Stage
from tests.records.calls import ENDED

WAIT_S = 5.0


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    records = Records(tmp_path)
    records.open()
    yield records
    await records.close()


@pytest.fixture
def bus() -> EventBus:
    return EventBus()


@pytest.fixture
def keeper(bus: EventBus, records: Records, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    monkeypatch.setattr(keeping, "MAX_ENDED", 2)
    return Keeper(bus, records, records_sound=True, agent="Paper Lantern")


def end(bus: EventBus, keeper: Keeper, call_id: str, said: str = "Hello.") -> None:
    """A call begins, an operator says something in it, and it ends."""
    bus.publish(call_id, CallBegan())
    bus.publish(call_id, CommandGiven("say", "ada", said))
    bus.publish(call_id, CallEnded(EndReason.CALLER_HUNG_UP))
    keeper.ended(replace(ENDED, call_id=call_id))


def wait(event: Event) -> None:
    event.wait(WAIT_S)


async def kept(keeper: Keeper) -> None:
    """Everything is on the disk."""
    async with asyncio.timeout(WAIT_S):
        await keeper.close()


def record(folder: Path, call_id: str) -> dict[str, Any]:
    members: dict[str, Any] = orjson.loads((folder / f"{call_id}.json").read_bytes())
    return members


def commands(folder: Path, call_id: str) -> list[str]:
    return [command["text"] for command in record(folder, call_id)["commands"]]


async def test_calls_that_end_together_keep_their_events(
    bus: EventBus, keeper: Keeper, tmp_path: Path
) -> None:
    for number in range(10):
        end(bus, keeper, f"CA{number}", f"Word {number}.")
    await kept(keeper)

    for number in range(10):
        assert commands(tmp_path, f"CA{number}") == [f"Word {number}."]
        assert record(tmp_path, f"CA{number}")["agent"] == "Paper Lantern"
        assert bool(bus.history(f"CA{number}")) == (number >= 8)


async def test_a_call_that_comes_again_keeps_its_events_while_the_first_is_forgotten(
    bus: EventBus, keeper: Keeper, tmp_path: Path
) -> None:
    end(bus, keeper, "CA1", "First.")
    bus.publish("CA1", CallBegan())
    bus.publish("CA1", CommandGiven("say", "ada", "Second."))
    for number in range(2, 5):
        end(bus, keeper, f"CA{number}")
    await asyncio.gather(*keeper._keeping)
    assert len(bus.history("CA1")) == 2

    bus.publish("CA1", CallEnded(EndReason.CALLER_HUNG_UP))
    keeper.ended(ENDED)
    await kept(keeper)
    assert commands(tmp_path, "CA1") == ["Second."]
    assert len(bus.history("CA1")) == 3


async def test_a_call_that_ended_twice_is_forgotten_after_its_second_end(
    bus: EventBus, keeper: Keeper
) -> None:
    for call_id in ("CA1", "CA2", "CA1", "CA3"):
        end(bus, keeper, call_id)
    await kept(keeper)
    assert [bool(bus.history(f"CA{number}")) for number in (1, 2, 3)] == [True, False, True]


async def test_a_sidecar_that_found_no_chat_leaves_no_record_and_is_forgotten_in_its_turn(
    bus: EventBus, keeper: Keeper, tmp_path: Path
) -> None:
    bus.publish("chat-1", CallBegan())
    bus.publish("chat-1", CallEnded(EndReason.CHAT_ENDED))
    keeper.came_to_nothing("chat-1")
    end(bus, keeper, "CA1")
    end(bus, keeper, "CA2")
    await kept(keeper)

    assert not (tmp_path / "chat-1.json").exists()
    assert bus.history("chat-1") == ()


async def test_what_a_disk_does_not_take_in_time_is_told_and_given_up(
    bus: EventBus, keeper: Keeper, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "KEEPING", Patience(timeout_s=0.01, max_ahead=5))
    hangs = Event()
    records._disk.begin(partial(wait, hangs))
    with capture_logs() as logs:
        for number in range(8):
            end(bus, keeper, f"CA{number}")
        async with asyncio.timeout(WAIT_S):
            await asyncio.gather(*keeper._keeping)
    hangs.set()

    told = [line for line in logs if line["event"] == "call_record_not_kept"]
    assert {line["call_id"] for line in told} == {f"CA{number}" for number in range(8)}
    assert sorted({line["why"].split()[0] for line in told}) == ["The", "Too"]
    assert sum(bool(bus.history(f"CA{number}")) for number in range(8)) == 2
    await kept(keeper)


async def test_a_call_that_comes_back_after_a_crash_is_recorded_beside_what_there_is(
    keeper: Keeper, records: Records, tmp_path: Path
) -> None:
    (tmp_path / "CA1.wav").write_bytes(b"left behind")
    stage = Stage()
    keeper.began(stage.call)
    await stage.leave()
    keeper.ended(stage.call.snapshot())
    await asyncio.gather(*keeper._keeping)

    facts = record(tmp_path, "CA1")["recording"]
    assert (facts["file"], facts["failure"]) == ("CA1.2.wav", None)
    assert await records.recording("CA1") == tmp_path / "CA1.2.wav"
    assert (tmp_path / "CA1.wav").read_bytes() == b"left behind"
    await kept(keeper)


async def test_a_call_that_comes_back_before_the_first_has_ended_has_its_own_recording(
    keeper: Keeper, tmp_path: Path
) -> None:
    first, second = Stage(), Stage()
    for stage in (first, second):
        keeper.began(stage.call)
    for stage, file in ((first, "CA1.wav"), (second, "CA1.2.wav")):
        await stage.leave()
        keeper.ended(stage.call.snapshot())
        await asyncio.gather(*keeper._keeping)
        assert record(tmp_path, "CA1")["recording"]["file"] == file
    await kept(keeper)
