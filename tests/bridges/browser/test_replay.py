"""What a page that connects is told of the past."""

import pytest

from evibridge import events
from evibridge.bridges.browser import replay
from evibridge.bridges.browser.replay import Replay
from evibridge.events import CallEvent, EndReason

SAID = events.CallerSaid("Hello.", interim=False, typed=False)


def told(*past: tuple[CallEvent, bytes]) -> Replay:
    gathered = Replay()
    for event, message in past:
        gathered.add(event, message)
    return gathered


def test_all_that_fits_is_told_in_its_order() -> None:
    past = told((events.CallHeld(), b"held"), (SAID, b"one"), (SAID, b"two"))
    assert past.messages() == [b"held", b"one", b"two"]
    assert not past.is_cut


def test_of_more_the_newest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MAX_BYTES", 6)
    past = told((SAID, b"one"), (SAID, b"two"), (SAID, b"six"))
    assert past.messages() == [b"two", b"six"]
    assert past.is_cut
    assert told((SAID, b"far too much")).messages() == []


def test_how_things_are_is_told_however_long_ago_it_came_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay, "MAX_BYTES", 6)
    past = told(
        (events.CallerMuted(is_muted=True), b"muted"),
        (events.CallHeld(), b"held"),
        (SAID, b"hello"),
        (events.CallerMuted(is_muted=False), b"heard"),
        (events.HangUpDecided(EndReason.AGENT_HUNG_UP), b"ending"),
        (SAID, b"newest"),
    )
    assert past.messages() == [b"held", b"heard", b"ending", b"newest"]
