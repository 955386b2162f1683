import io
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge.terminal.live_lines import Line, LiveLines, Tone, live_lines

WIDTH = 40


class Terminal(io.StringIO):
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def screen(written: str, width: int = WIDTH) -> list[str]:
    """The rows of a terminal after what was written; it knows what `LiveLines` may use."""
    rows = [""]
    column = 0
    for part in re.findall(r"\r|\n|\x1b\[K|[^\r\n\x1b]+", written):
        if part == "\n":
            rows.append("")
            column = 0
        elif part == "\r":
            column = 0
        elif part == "\x1b[K":
            rows[-1] = rows[-1][:column]
        else:
            assert column == len(rows[-1]), "nothing is written over"
            rows[-1] += part
            column += len(part)
            assert len(rows[-1]) <= width, "nothing wraps by itself"
    return rows


def interim(text: str, head: str = "caller  ") -> Line:
    return Line(head, text, Tone.FAINT, is_interim=True)


def test_interim_text_is_replaced_in_place() -> None:
    terminal = Terminal()
    lines = LiveLines(terminal, lambda: WIDTH)
    for text in ("Where", "Where is", "Where is my"):
        lines.show(interim(text))

    assert screen(terminal.getvalue()) == ["caller  Where is my"]

    lines.show(Line("tool    ", "order_status {}"))

    assert screen(terminal.getvalue()) == ["tool    order_status {}", "caller  Where is my"]

    lines.show(interim(""))
    lines.show(Line("caller  ", "Where is my order?"))

    assert screen(terminal.getvalue())[1:] == ["caller  Where is my order?", ""]


def test_of_long_interim_text_the_newest_words_are_shown_in_one_row() -> None:
    terminal = Terminal()
    lines = LiveLines(terminal, lambda: 20)
    lines.show(interim("I would like to know where it is"))

    assert screen(terminal.getvalue(), 19) == ["caller  …here it is"]


def test_long_lines_stand_beside_their_head() -> None:
    terminal = Terminal()
    LiveLines(terminal, lambda: WIDTH).show(Line("agent   ", "one two three four five six seven"))

    assert screen(terminal.getvalue()) == [
        "agent   one two three four five six",
        "        seven",
        "",
    ]


def test_what_is_no_terminal_gets_plain_lines_alone() -> None:
    stream = io.StringIO()
    lines = LiveLines(stream)
    lines.show(interim("Where is"))
    lines.show(Line("caller  ", "Where is it? " * 10, Tone.NEEDED))
    lines.end()

    assert stream.getvalue() == f"caller  {'Where is it? ' * 10}\n"
    assert not lines.takes_interim


def test_at_the_end_nothing_interim_is_left() -> None:
    terminal = Terminal()
    lines = LiveLines(terminal, lambda: WIDTH)
    lines.end()
    assert terminal.getvalue() == ""

    lines.show(interim("Where is"))
    lines.end()

    assert screen(terminal.getvalue()) == [""]


@settings(max_examples=50)
@given(
    st.lists(
        st.builds(
            Line,
            st.just("who   "),
            st.text("ab ", max_size=60).map(lambda text: " ".join(text.split()) or "x"),
            st.sampled_from(Tone),
            st.booleans(),
        )
    )
)
def test_final_lines_stay_and_the_last_interim_one_is_below_them(shown: list[Line]) -> None:
    terminal, plain = Terminal(), LiveLines(stream := io.StringIO())
    lines = LiveLines(terminal, lambda: WIDTH)
    for line in shown:
        lines.show(line)
        plain.show(line)

    rows = screen(terminal.getvalue())

    texts = [line.text for line in shown if not line.is_interim]
    assert " ".join(" ".join(row[6:] for row in rows[:-1]).split()) == " ".join(texts)
    assert stream.getvalue() == "".join(f"who   {text}\n" for text in texts)
    last = [line.text for line in shown if line.is_interim][-1:]
    assert rows[-1] == (f"who   {last[0]}" if last and len(last[0]) < WIDTH - 6 else rows[-1])
    assert bool(rows[-1]) is bool(last)


@pytest.mark.parametrize(
    ("variables", "colour"),
    [
        ({}, "\x1b[33mIt waits.\x1b[0m\n"),
        ({"NO_COLOR": "1"}, "It waits.\n"),
        ({"NO_COLOR": ""}, "\x1b[33mIt waits.\x1b[0m\n"),
    ],
)
def test_colours_are_for_those_who_want_them(variables: dict[str, str], colour: str) -> None:
    terminal = Terminal()
    lines = live_lines(terminal, variables)
    lines.show(Line("", "It waits.", Tone.NEEDED))
    lines.show(Line("", "It goes on."))

    assert terminal.getvalue() == f"{colour}It goes on.\n"
    assert lines.takes_interim


def test_a_terminal_that_can_do_nothing_gets_plain_lines() -> None:
    assert not live_lines(Terminal(), {"TERM": "dumb"}).takes_interim
    assert not live_lines(io.StringIO(), os.environ).takes_interim
