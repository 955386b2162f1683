import threading
from collections.abc import Callable
from queue import SimpleQueue

import pytest

from evibridge.tools_registry.threads import ToolThreads

PATIENCE_S = 5.0


class Work:
    """Something to do that takes until it is let go."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.began = threading.Event()
        self.may_end = threading.Event()

    def __call__(self) -> None:
        self.thread = threading.current_thread()
        self.began.set()
        assert self.may_end.wait(PATIENCE_S)


def tool_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tool"]


def all_end() -> None:
    for thread in tool_threads():
        thread.join(PATIENCE_S)
    assert tool_threads() == []


@pytest.fixture
def threads() -> ToolThreads:
    return ToolThreads()


def do(threads: ToolThreads, what: Callable[[], None]) -> threading.Thread:
    """Have something done, and wait until its thread may be had again."""
    done: SimpleQueue[threading.Thread] = SimpleQueue()

    def work() -> None:
        what()
        done.put(threading.current_thread())

    threads.run(work)
    thread = done.get(timeout=PATIENCE_S)
    never = threading.Event()
    for _ in range(5000):  # the thread is free a moment after its work is done
        if threads._idle:
            return thread
        never.wait(0.001)
    raise AssertionError("the thread was not given back")


def test_one_thing_after_another_is_done_by_one_thread(threads: ToolThreads) -> None:
    used = {do(threads, lambda: None) for _ in range(5)}

    assert len(used) == 1
    assert all(thread.daemon for thread in used)
    threads.close()
    all_end()


def test_what_is_asked_for_at_the_same_time_is_done_at_the_same_time(threads: ToolThreads) -> None:
    works = [Work() for _ in range(3)]
    for work in works:
        threads.run(work)
    for work in works:
        assert work.began.wait(PATIENCE_S)

    assert len({work.thread for work in works}) == 3
    for work in works:
        work.may_end.set()
    threads.close()
    all_end()


def test_a_thread_that_is_busy_when_the_others_are_closed_ends_afterwards(
    threads: ToolThreads,
) -> None:
    work = Work()
    threads.run(work)
    assert work.began.wait(PATIENCE_S)

    threads.close()
    work.may_end.set()

    all_end()


def test_what_is_asked_for_after_the_end_is_done_all_the_same(threads: ToolThreads) -> None:
    do(threads, lambda: None)
    threads.close()
    all_end()
    work = Work()
    work.may_end.set()

    threads.run(work)

    assert work.began.wait(PATIENCE_S)
    all_end()
