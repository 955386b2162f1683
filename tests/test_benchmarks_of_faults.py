"""The benchmarks of interruptions, losses and leaks run, and their figures make sense."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from benchmarks import barge_in, resume, soak
from benchmarks.broken_calls import Stage
from benchmarks.counted_service import Held
from benchmarks.interrupted_callers import Report, Silenced
from benchmarks.numbered_sound import number_in, numbered
from benchmarks.other_bridge import OtherBridge
from benchmarks.processes import Cores, free_port, serving
from benchmarks.soak import Count, Soak
from benchmarks.turns import AGENT, BRIDGE, NO_BRIDGE
from benchmarks.wires import Exchange, Wire, exchange
from evibridge.audio.g711 import mulaw_to_pcm16, pcm16_to_mulaw
from evibridge.audio.resample import Resampler

SOON_OVER = (
    Stage.NO_STREAM,
    Stage.WRONG_TOKEN,
    Stage.START_TWICE,
    Stage.TOOL_RUNS,
    Stage.CHAT_CUT,
    Stage.REFUSED_401,
)
HELD = Held(live=0, tasks=1, timers=0, sockets=4, files=9, threads=1, objects=100, rss_kb=50_000.0)


async def test_interruptions_are_timed_with_the_bridge_and_without() -> None:
    async with running_bridge(config_id="interrupted") as (url, port):
        other = OtherBridge("other", "twilio", url)
        results = await barge_in.measure(2, seconds=2.1, warm_up_s=0.2, also=[other], evi_port=port)

    assert [result.program for result in results] == [NO_BRIDGE, BRIDGE, "other"]
    for result in results:
        assert len(result.silenced_after_ms) >= 2
        assert result.unanswered == 0
        assert result.after_ms(0.5) > 0
    without, *bridges = results
    assert math.isnan(without.cores)
    for bridge in bridges:
        assert bridge.late_frames == 0
        assert bridge.cores > 0
    assert "2, evibridge" in barge_in.shown(results)


def test_an_utterance_is_known_in_pieces_too() -> None:
    silenced = Silenced()
    for number in (5, 6):
        chunk = numbered(number, 8_000)
        for at in range(0, len(chunk), 320):
            silenced.hear(chunk[at : at + 320], 8_000)
        silenced.note(float(number))
    silenced.hear(numbered(5, 8_000), 8_000)

    assert silenced.at_s == {5: 5.0, 6: 6.0}
    assert silenced.late_frames == 10


def test_an_interruption_without_an_end_is_counted_and_not_timed() -> None:
    report = Report(
        from_s=1.0,
        until_s=9.0,
        silenced=[(1, 0.6), (2, 2.25), (5, 9.6)],
        late_frames=10,
        callers_late_p99_ms=1.0,
    )
    sent = [(1, 0.5), (2, 2.0), (3, 3.0), (5, 9.5)]

    result = barge_in.result_of(BRIDGE, 2, report, sent, cores=0.5)

    assert result.silenced_after_ms == [250.0]
    assert result.unanswered == 1
    assert result.late_frames == 10


@pytest.mark.parametrize("number", [0, 1, 0xAAAAA, 0x55555, 0xFFFFF])
def test_the_number_in_a_sound_survives_the_bridge_and_the_telephone(number: int) -> None:
    pcm16 = numbered(number, 48_000)
    through_the_bridge = pcm16_to_mulaw(Resampler(48_000, 8_000).process(pcm16))

    assert number_in(pcm16, 48_000) == number
    assert number_in(mulaw_to_pcm16(through_the_bridge), 8_000) == number


async def test_the_way_back_from_a_lost_server_is_timed() -> None:
    [round_] = await resume.measure(1)

    assert round_.same_group
    assert 0 < round_.media_ms <= round_.heard_ms
    assert 0 <= round_.silence_ms <= round_.heard_ms
    assert "1 losses; 1 were resumed" in resume.shown([round_])


async def test_what_broken_calls_leave_behind_is_counted() -> None:
    result = await soak.measure(
        2 * len(SOON_OVER),
        lanes=8,
        seconds=0.4,
        broken=SOON_OVER,
        broken_share=0.5,
        blocks=1,
    )

    assert [count.calls for count in result.counts] == [0, 2 * len(SOON_OVER)]
    assert result.calls == {Stage.WHOLE: len(SOON_OVER)} | dict.fromkeys(SOON_OVER, 1)
    assert result.failed == {}
    assert result.left_behind == {}
    assert "Left behind: nothing." in soak.shown(result)


async def test_a_bridge_that_runs_already_is_soaked() -> None:
    async with running_bridge(config_id="obedient") as (url, port):
        result = await soak.measure(
            3,
            lanes=3,
            seconds=0.2,
            broken=[Stage.WRONG_TOKEN],
            broken_share=0.4,
            blocks=1,
            url=f"{url}/twilio/voice",
            evi_port=port,
        )

    assert result.calls == {Stage.WHOLE: 2, Stage.WRONG_TOKEN: 1}
    assert result.failed == {}
    assert result.counts[-1].held.tasks is None
    assert result.counts[-1].held.rss_kb > 0
    assert "Left behind: nothing." in soak.shown(result)


@asynccontextmanager
async def running_bridge(config_id: str) -> AsyncIterator[tuple[str, int]]:
    """A bridge that somebody else has started; its URL, and where it expects the EVI server."""
    port = free_port()
    async with serving(
        ["-m", "evibridge", "run", str(AGENT), "--evi-url", f"http://127.0.0.1:{port}"],
        Cores.divided().under_test,
        EVIBRIDGE_DRAIN_SECONDS="0",  # else it waits for callers whose tickets nobody has used
        HUME_CONFIG_ID=config_id,
    ) as server:
        yield server.origin, port


def test_what_has_grown_is_said() -> None:
    counts = [
        Count(0, HELD, temporary_files=0),
        Count(10, HELD, temporary_files=0),
        Count(100, Held(2, 3, 1, 6, 11, 1, 900, 52_000.0), temporary_files=1),
    ]
    result = Soak(counts, {Stage.WHOLE: 99, Stage.RESET: 1}, {Stage.RESET: 1})

    assert result.rss_growth == pytest.approx(0.04)
    shown = soak.shown(result)
    assert "2 live, 2 tasks, 1 timers, 2 sockets, 2 files, 1 temporary files" in shown
    assert "+4.0 %" in shown


class TestAWire:
    async def test_a_reset_reaches_both_ends(self) -> None:
        async with echoed() as echo:
            assert await echo.of(b"one") == b"one"

            echo.wire.reset()

            with pytest.raises(ConnectionResetError):
                await echo.reader.read()
            assert await echo.server_ended is ConnectionResetError

    async def test_a_deaf_client_is_heard_and_hears_nothing(self) -> None:
        async with echoed() as echo:
            assert await echo.of(b"one") == b"one"

            echo.wire.deafen()
            echo.writer.write(b"end")

            assert await echo.wire.cut_by_server(5.0)
            assert await echo.server_ended is None
            assert not echo.reader.at_eof()

    async def test_a_server_that_does_not_close_is_not_waited_for_for_ever(self) -> None:
        async with echoed() as echo:
            assert await echo.of(b"one") == b"one"
            echo.wire.deafen()

            assert not await echo.wire.cut_by_server(0.05)

    async def test_a_client_hears_the_last_words_of_a_server_that_closes(self) -> None:
        async with echoed() as echo:
            assert await echo.of(b"end") == b"end"

            assert await echo.reader.read() == b""
            assert await echo.server_ended is None

    async def test_a_client_of_a_server_that_is_not_there_is_cut_off(self) -> None:
        async with exchange(f"http://127.0.0.1:{free_port()}") as line:
            reader, writer = await connected(line)

            assert await reader.read() == b""
            assert not line.wires
            writer.close()


@dataclass(frozen=True)
class Echo:
    """A server behind an exchange, which says everything again and ends after `end`."""

    wire: Wire
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server_ended: asyncio.Future[type[Exception] | None]
    """How: by a fault, or well."""

    async def of(self, words: bytes) -> bytes:
        """Say something and hear the answer."""
        self.writer.write(words)
        return await self.reader.readexactly(len(words))


@asynccontextmanager
async def echoed() -> AsyncIterator[Echo]:
    """A running `Echo`."""
    ended: asyncio.Future[type[Exception] | None] = asyncio.get_running_loop().create_future()

    async def say_again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = None
        try:
            words = b""
            while words != b"end" and (words := await reader.read(100)):
                writer.write(words)
        except ConnectionError as error:
            fault = type(error)
        writer.close()
        ended.set_result(fault)

    server = await asyncio.start_server(say_again, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with exchange(f"http://{host}:{port}") as line:
        reader, writer = await connected(line)
        writer.write(b"-")
        await reader.readexactly(1)
        yield Echo(line.wires[0], reader, writer, ended)
        writer.close()
    server.close()


async def connected(line: Exchange) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client of an exchange."""
    port = int(line.origin.rpartition(":")[2])
    return await asyncio.open_connection("127.0.0.1", port)
