import asyncio

from evibridge.engine.tasks import OwnedTasks
from tests.engine.chat_client import PATIENCE_S


async def test_a_fault_is_told_and_harms_no_other_task() -> None:
    faults: list[BaseException] = []
    done = asyncio.Event()

    async def break_down() -> None:
        raise RuntimeError("broken")

    async def go_on() -> None:
        await asyncio.sleep(0)
        done.set()

    tasks = OwnedTasks(faults.append)
    tasks.start(break_down())
    tasks.start(go_on())
    await asyncio.wait_for(tasks.ended(), PATIENCE_S)

    assert [str(fault) for fault in faults] == ["broken"]
    assert done.is_set()


async def test_stopping_cancels_every_task_and_those_to_come() -> None:
    faults: list[BaseException] = []
    begun: list[str] = []

    async def wait(name: str) -> None:
        begun.append(name)
        await asyncio.Event().wait()

    tasks = OwnedTasks(faults.append)
    first = tasks.start(wait("first"))
    await asyncio.sleep(0)
    tasks.stop()
    second = tasks.start(wait("second"))
    await asyncio.wait_for(tasks.ended(), PATIENCE_S)

    assert first.cancelled()
    assert second.cancelled()
    assert begun == ["first"]
    assert faults == []
