"""What is heard of a call by whoever listens to it: the real call and its tap, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
from numpy.typing import NDArray

from tests.agent.stage import MemoryPhone, Stage
from tests.virtual_clock import run_in_virtual_time

RATE_HZ = 8000
Sound = NDArray[np.int16]


def listened(scene: Callable[[Stage], Awaitable[None]]) -> Sound:
    """The sound of a call from its second second on: left the caller, right the agent."""

    async def play() -> bytes:
        stage = Stage()
        await stage.talk(1)
        heard = bytearray()
        stop = stage.call.tap.listen(heard.extend)
        await scene(stage)
        await stage.talk(1)
        stop()
        await stage.leave()
        return bytes(heard)

    return np.frombuffer(run_in_virtual_time(play()), np.int16).reshape(-1, 2)


def seconds_of_agent(sound: Sound) -> float:
    """How long the agent is heard."""
    return float(np.count_nonzero(np.abs(sound[:, 1]) > 50)) / RATE_HZ


def begins_s(sound: Sound) -> float:
    """When the agent is heard first."""
    return float(np.argmax(np.abs(sound[:, 1]) > 50)) / RATE_HZ


def test_both_sides_are_heard() -> None:
    async def scene(stage: Stage) -> None:
        stage.evi.chats[0].speak("u1", "Good day.", 1000)
        await stage.talk(2, loud=True)

    sound = listened(scene)

    assert np.abs(sound[:, 0]).max() > 1000
    assert 0.5 < seconds_of_agent(sound) <= 1.1


def test_whoever_comes_in_the_middle_of_a_sentence_hears_the_next_one_in_its_time() -> None:
    async def scene_before(stage: Stage) -> None:
        stage.evi.chats[0].speak("u2", "And you?", 1000)
        await stage.talk(4)

    async def play() -> bytes:
        stage = Stage()
        await stage.talk(1)
        stage.evi.chats[0].speak("u1", "Good day.", 3000)
        await stage.talk(1)
        heard = bytearray()
        stage.call.tap.listen(heard.extend)
        await scene_before(stage)
        await stage.leave()
        return bytes(heard)

    sound = np.frombuffer(run_in_virtual_time(play()), np.int16).reshape(-1, 2)

    assert 1.7 < begins_s(sound) < 2.4  # two of three seconds were not played yet


def test_what_a_lost_line_has_not_played_is_not_heard() -> None:
    async def scene(stage: Stage) -> None:
        stage.evi.chats[0].speak("u1", "Good day.", 5000)
        await asyncio.sleep(0.5)
        stage.call.caller_lost()
        await asyncio.sleep(3)

    assert seconds_of_agent(listened(scene)) < 1.0


def test_a_caller_who_comes_back_by_another_line_is_listened_to_on() -> None:
    async def scene(stage: Stage) -> None:
        stage.call.caller_lost()
        await asyncio.sleep(0.5)
        other = MemoryPhone()
        other.call = stage.call
        stage.call.caller_returned(other)
        await stage.talk(1)
        stage.evi.chats[-1].speak("u1", "There you are.", 1000)
        await stage.talk(2)

    assert seconds_of_agent(listened(scene)) > 0.5
