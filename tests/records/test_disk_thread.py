import threading
from functools import partial
from queue import SimpleQueue

from structlog.testing import capture_logs

from evibridge.records.disk_thread import DiskThread


def test_work_is_done_in_its_order_by_one_thread_that_is_not_ours() -> None:
    disk = DiskThread()
    done = threading.Event()
    order: list[tuple[int, int]] = []

    def note(number: int) -> None:
        order.append((number, threading.get_ident()))

    for number in range(100):
        disk.run(partial(note, number))
    disk.run(done.set)
    disk.close()

    assert done.wait(5)
    assert [number for number, _ in order] == [*range(100)]
    threads = {thread for _, thread in order}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_a_defect_is_logged_and_the_next_work_is_done() -> None:
    disk = DiskThread()
    done = threading.Event()

    def fail() -> None:
        raise ValueError

    with capture_logs() as logs:
        disk.run(fail)
        disk.run(done.set)
        assert done.wait(5)
    disk.close()

    assert [log["event"] for log in logs] == ["disk_work_failed"]


def test_the_thread_ends_when_it_has_done_everything() -> None:
    disk = DiskThread()
    threads: SimpleQueue[threading.Thread] = SimpleQueue()
    disk.run(lambda: threads.put(threading.current_thread()))
    thread = threads.get(timeout=5)
    disk.close()

    thread.join(5)
    assert not thread.is_alive()
