"""The benchmarks run and their figures make sense; how large a figure is, no test asks."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pybase64
import pytest
from aiohttp import web

from benchmarks import (
    call_figures,
    conversations,
    engine_caller,
    engine_under_test,
    engine_work,
    response_time,
)
from benchmarks.caller_lines import RATE_HZ
from benchmarks.engine_caller import calling
from benchmarks.engine_work import Meter, Work
from benchmarks.other_bridge import OtherBridge
from benchmarks.processes import free_port
from benchmarks.questions import QUESTIONS
from benchmarks.sound import sound
from benchmarks.turns import Others, take_turns
from evibridge.audio.wav import wav_file
from evibridge.engine.metrics import EngineMetrics
from evibridge.sockets import Socket, SocketListener, SocketRoute, serve

QUESTION = sound(100, RATE_HZ, loud=True)


async def test_a_bridge_that_cannot_be_called_does_not_stop_the_others() -> None:
    nobody = OtherBridge("nobody", "twilio", f"http://127.0.0.1:{free_port()}")
    usages = await take_turns(
        2, ["nobody"], others=Others([nobody]), rounds=1, turn_s=0.3, warm_up_s=0.2
    )

    without, missing = call_figures.results(usages)
    assert without.fault is None
    assert missing.fault is not None
    assert "2, nobody" in call_figures.shown([without, missing])


@pytest.fixture
def brief_minds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured of an answer is over when it begins, but all of it is listened to."""
    script = tmp_path / "brief.yaml"
    script.write_text(
        "greeting: Hello.\nturns: [{name: hello, heard: [hello], say: Hello.}]\nfallback: Yes.\n"
    )
    monkeypatch.setattr(engine_under_test, "SCRIPT", script)
    monkeypatch.setattr(engine_under_test, "MODEL", "brief")


@pytest.mark.usefixtures("brief_minds")
async def test_the_response_time_with_a_language_model_is_measured() -> None:
    result = await response_time.measure(QUESTIONS[:1], mind="model", first_token_ms=1)

    [answer] = result.answers
    assert answer.turn.understood_as
    assert 0 < answer.turn.understood_ms <= answer.turn.words_ms <= answer.turn.response_ms
    assert result.p50_ms == result.p95_ms == answer.turn.response_ms
    assert QUESTIONS[0] in response_time.shown(result)


@pytest.mark.usefixtures("brief_minds")
async def test_conversations_at_the_same_time_are_measured_beside_a_single_one() -> None:
    results = await conversations.measure(
        [1, 2], rounds=1, questions_end=["at once"], mind="script"
    )

    assert [(result.conversations, len(result.turns)) for result in results] == [(1, 1), (2, 2)]
    for result in results:
        assert result.response_ms(0.5) > 0
        assert result.engine_cores > 0
        assert {"ears work", "voice works"} <= {work.step for work in result.work}
    assert "2, at once" in conversations.shown(results)


async def test_an_answer_is_timed_step_by_step() -> None:
    async with engine_that_says([0, 0]) as origin, calling(origin) as caller:
        turn = await caller.ask(QUESTION)

    assert turn.understood_as == "Hello?"
    assert 0 < turn.understood_ms <= turn.words_ms <= turn.response_ms


async def test_a_question_may_be_asked_again_and_again() -> None:
    async with engine_that_says([0]) as origin, calling(origin) as caller:
        turns = [await caller.ask(QUESTION) for _ in range(2)]

    assert all(turn.understood_as == "Hello?" and turn.response_ms > 0 for turn in turns)


async def test_audio_that_comes_too_late_leaves_a_hole_in_the_answer() -> None:
    async with engine_that_says([0, 20]) as origin, calling(origin) as caller:
        turn = await caller.ask(QUESTION)

    assert turn.holes_ms > 0


async def test_a_caller_who_waits_in_vain_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with engine_that_says(None) as origin, calling(origin) as caller:
        monkeypatch.setattr(engine_caller, "ANSWER_TIMEOUT_S", 0.5)
        with pytest.raises(RuntimeError, match="has understood 'Hello\\?'"):
            await caller.ask(QUESTION)


async def test_a_chat_that_ends_is_no_answer() -> None:
    async with engine_that_says([]) as origin, calling(origin) as caller:
        with pytest.raises(RuntimeError, match="has ended the chat"):
            await caller.ask(QUESTION)


async def test_the_work_of_an_engine_is_read_from_its_metrics() -> None:
    metrics = EngineMetrics()
    async with serving_metrics(metrics.page) as origin:
        meter = Meter(origin)
        metrics.mind_began(9.0)
        await meter.start()
        assert await meter.read() == []
        metrics.mind_began(0.25)
        metrics.mind_began(0.75)
        work = await meter.read()

    assert work == [Work("mind begins", times=2, mean_ms=500.0)]
    assert engine_work.cell(work, "mind begins") == "500"
    assert engine_work.cell(work, "ears work") == ""


class _Chat(SocketListener):
    """Greets, and answers 60 ms after a question; time passes with the caller's frames.

    Args:
        gaps: of each 20 ms of an answer, how many frames after the one before it comes; none at
            all ends the chat instead, None says nothing
    """

    def __init__(self, gaps: list[int] | None) -> None:
        self._gaps = gaps
        self._socket: Socket
        self._heard = 0
        self._due: dict[int, list[Callable[[], None]]] = {}

    def on_open(self, socket: Socket) -> None:
        self._socket = socket
        self._say()
        self._send(type="assistant_end")

    def on_text(self, text: bytes) -> None:
        if any(pybase64.b64decode(orjson.loads(text)["data"])):
            self._due.clear()
            self._heard = 0
            self._plan_answer()
        self._heard += 1
        for act in self._due.get(self._heard, []):
            act()

    def _plan_answer(self) -> None:
        frame = 4
        heard = {"message": {"content": "Hello?"}, "interim": False}
        self._plan(frame, lambda: self._send(type="user_message", **heard))
        if self._gaps is None:
            return
        if not self._gaps:
            self._plan(frame, self._socket.close)
            return
        self._plan(frame, lambda: self._send(type="assistant_message"))
        for gap in self._gaps:
            frame += gap
            self._plan(frame, self._say)
        self._plan(frame, lambda: self._send(type="assistant_end"))

    def _plan(self, frame: int, act: Callable[[], None]) -> None:
        self._due.setdefault(frame, []).append(act)

    def _say(self) -> None:
        file = wav_file(sound(20, 48_000, loud=True), 48_000)
        self._send(type="audio_output", data=pybase64.b64encode(file).decode())

    def _send(self, **message: object) -> None:
        self._socket.send_text(orjson.dumps(message))


@asynccontextmanager
async def engine_that_says(gaps: list[int] | None) -> AsyncIterator[str]:
    route = SocketRoute("/v0/evi/chat", lambda _: _Chat(gaps), 2**20)
    server = await serve(web.Application(), [route], host="127.0.0.1", port=0)
    yield f"http://127.0.0.1:{server.port}"
    await server.close()


@asynccontextmanager
async def serving_metrics(page: Callable[[], bytes]) -> AsyncIterator[str]:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=page())

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    server = await serve(app, [], host="127.0.0.1", port=0)
    yield f"http://127.0.0.1:{server.port}"
    await server.close()
