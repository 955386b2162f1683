"""Sockets whose pages have not said who they are."""

import pytest

from evibridge.bridges.browser import strangers
from evibridge.bridges.browser.strangers import Strangers


class Someone:
    """A socket, open until it has to make room."""

    is_open = True

    def make_room(self) -> None:
        """It has to go."""
        self.is_open = False


def test_the_oldest_makes_room_for_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "MAX_STRANGERS", 2)
    room, (one, two, three, four) = Strangers(), (Someone(), Someone(), Someone(), Someone())
    for each in (one, two, three):
        room.enter(each)
    assert [each.is_open for each in (one, two, three)] == [False, True, True]

    room.leave(two)
    room.leave(two)  # once known, and once gone
    room.enter(four)
    assert three.is_open
    assert len(room) == 2
