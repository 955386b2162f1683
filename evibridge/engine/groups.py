"""Chat groups: conversations that go on over several chats."""

import uuid
from collections import OrderedDict

from evibridge.engine.history import History

MAX_GROUPS = 1000
"""Kept in memory at most, the last used ones: some hundred megabytes of talk at the very worst."""


class ChatGroups:
    """What was said in each group, for chats that resume it.

    The groups live as long as the process. Of a group that is forgotten, or was another engine's,
    a client hears E0708 and starts anew.
    """

    def __init__(self, max_groups: int = MAX_GROUPS) -> None:
        self._max_groups = max_groups
        self._histories: OrderedDict[str, History] = OrderedDict()

    def open(self) -> tuple[str, History]:
        """Begin a group: its id and its empty history."""
        group_id = str(uuid.uuid4())
        history = self._histories[group_id] = History()
        if len(self._histories) > self._max_groups:
            self._histories.popitem(last=False)
        return group_id, history

    def resume(self, group_id: str) -> History | None:
        """Return the history of a group to go on with, None when there is no such group."""
        group_id = group_id.lower()  # some clients write hexadecimal digits in capitals
        history = self._histories.get(group_id)
        if history is not None:
            self._histories.move_to_end(group_id)
        return history
