from evibridge.engine.chat.groups import ChatGroups


class Member:
    """A chat that counts how often its conversation was taken over."""

    def __init__(self) -> None:
        self.taken_over = 0

    def resumed_elsewhere(self) -> None:
        self.taken_over += 1


def lived(groups: ChatGroups, owner: str = "ada") -> str:
    """Begin a group whose only chat is over."""
    group, member = groups.open(owner), Member()
    group.members.append(member)
    groups.leave(group, member)
    return group.id


def test_a_group_is_resumed_with_its_history() -> None:
    groups = ChatGroups()
    group = groups.open("ada")

    assert groups.resume(group.id, "ada") is group
    assert groups.resume(group.id.upper(), "ada") is group
    assert groups.resume("00000000-0000-0000-0000-000000000000", "ada") is None


def test_nobody_goes_on_with_the_conversation_of_another() -> None:
    groups = ChatGroups()

    assert groups.resume(lived(groups, "ada"), "bob") is None


def test_a_chat_is_told_that_its_conversation_goes_on_elsewhere() -> None:
    groups = ChatGroups()
    group, member = groups.open("ada"), Member()
    group.members.append(member)

    groups.resume(group.id, "bob")
    assert member.taken_over == 0
    groups.resume(group.id, "ada")
    assert member.taken_over == 1


def test_the_group_that_was_used_longest_ago_is_forgotten() -> None:
    groups = ChatGroups(max_groups=2)
    first, second = lived(groups), lived(groups)
    again, member = groups.resume(first, "ada"), Member()
    assert again is not None
    again.members.append(member)
    groups.leave(again, member)
    third = lived(groups)

    assert groups.resume(first, "ada") is not None
    assert groups.resume(second, "ada") is None
    assert groups.resume(third, "ada") is not None


def test_the_group_of_an_open_chat_is_never_forgotten() -> None:
    groups = ChatGroups(max_groups=1)
    group = groups.open("ada")
    group.members.append(Member())
    for _ in range(5):
        lived(groups)

    assert groups.resume(group.id, "ada") is group
