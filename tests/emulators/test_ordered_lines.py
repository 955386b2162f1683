from collections.abc import Iterable

from evibridge.emulators.ordered_lines import MAX_HELD, Line, OrderedLines


def texts(lines: Iterable[Line]) -> list[str | None]:
    return [line.text for line in lines]


def test_a_complete_line_comes_out_at_once_and_once() -> None:
    lines = OrderedLines()
    lines.put(20, "caller", "Hello.")
    (line,) = lines.take()
    assert (line.at_ms, line.who, line.text) == (20, "caller", "Hello.")
    assert lines.take() == []


def test_a_line_waits_for_an_earlier_one_whose_text_is_not_known_yet() -> None:
    lines = OrderedLines()
    story = lines.put(1000, "agent")
    lines.put(3000, "caller", "Excuse me.")
    assert lines.take() == []
    story.text = "Once upon a time"
    assert texts(lines.take()) == ["Once upon a time", "Excuse me."]


def test_a_line_does_not_wait_for_a_later_one() -> None:
    lines = OrderedLines()
    lines.put(1000, "agent")
    lines.put(500, "caller", "Hello.")
    assert texts(lines.take()) == ["Hello."]


def test_lines_of_the_same_time_stay_in_their_order() -> None:
    lines = OrderedLines()
    lines.put(100, "agent")
    for text in ("a", "b", "c"):
        lines.put(20, "", text)
    assert texts(lines.take()) == ["a", "b", "c"]


def test_of_too_many_lines_the_earliest_complete_ones_overtake() -> None:
    lines = OrderedLines()
    story = lines.put(0, "agent")
    for at in range(MAX_HELD - 1):
        lines.put(at, "caller", str(at))
    assert lines.take() == []
    lines.put(MAX_HELD, "caller", "one more")
    lines.put(MAX_HELD, "caller", "and another one")
    assert texts(lines.take()) == ["0", "1"]
    story.text = "Once upon a time"
    assert texts(lines.take())[:2] == ["Once upon a time", "2"]


def test_at_the_end_all_lines_come_out() -> None:
    lines = OrderedLines()
    lines.put(1000, "agent")
    lines.put(2000, "caller", "Goodbye.")
    assert texts(lines.take_rest()) == [None, "Goodbye."]
    assert lines.take_rest() == []
