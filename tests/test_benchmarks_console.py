"""The benchmark of the console runs, and its figures make sense."""

from benchmarks import console_page

CALLS, LINES = 3, 60


async def test_the_page_and_what_it_costs_the_service_are_measured() -> None:
    measured = await console_page.measure(
        CALLS, seconds=0.6, rounds=1, lines=LINES, opened=1, consoles=2
    )

    (opening,) = measured.openings
    assert opening.rows_ms >= opening.paint_ms > 0
    flow = measured.flow
    assert flow.rows >= LINES
    assert flow.told == 36
    assert flow.told >= len(flow.late_ms) > 0
    assert min(flow.late_ms) >= -1
    assert flow.frames > 0
    assert flow.longest_ms > 0
    assert flow.work_ms > 0
    assert measured.unwatched.core > 0
    assert measured.watched.core > 0
    assert "3, 2 consoles are open" in console_page.shown(measured)
