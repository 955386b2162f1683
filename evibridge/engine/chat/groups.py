"""Chat groups: conversations that go on over several chats."""

import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

from evibridge.engine.chat.history import History

MAX_GROUPS = 1000
"""Kept in memory at most besides those of open chats, the last used ones: some hundred megabytes of
talk at the very worst."""


class GroupMember(Protocol):
    """A chat, as its group sees it."""

    def resumed_elsewhere(self) -> None:
        """Another chat goes on: most often this one has lost its client without knowing it."""


@dataclass(slots=True)
class ChatGroup:
    """One conversation.

    Attributes:
        owner: who began it, as `Access.admits` tells; nobody else may go on with it
    """

    id: str
    owner: str
    history: History = field(default_factory=History)
    members: list[GroupMember] = field(default_factory=list)


class ChatGroups:
    """The groups of one engine; they live as long as the process.

    Of a group that is forgotten, or was another engine's, a client hears E0708 and starts anew.
    """

    def __init__(self, max_groups: int = MAX_GROUPS) -> None:
        self._max_groups = max_groups
        self._groups: OrderedDict[str, ChatGroup] = OrderedDict()

    def open(self, owner: str) -> ChatGroup:
        """Begin a group."""
        group = ChatGroup(str(uuid.uuid4()), owner)
        self._groups[group.id] = group
        return group

    def resume(self, group_id: str, owner: str) -> ChatGroup | None:
        """Return the group to go on with, None when its owner has no such group."""
        group = self._groups.get(group_id.lower())  # some clients write hexadecimal in capitals
        if group is None or group.owner != owner:
            return None
        for member in group.members:
            member.resumed_elsewhere()
        return group

    def leave(self, group: ChatGroup, member: GroupMember) -> None:
        """A chat of the group is over: the group may be forgotten, when it is the oldest."""
        group.members.remove(member)
        self._groups.move_to_end(group.id)
        idle = [other.id for other in self._groups.values() if not other.members]
        for group_id in idle[: max(0, len(idle) - self._max_groups)]:
            del self._groups[group_id]
