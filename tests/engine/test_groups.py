from evibridge.engine.groups import ChatGroups


def test_a_group_is_resumed_with_its_history() -> None:
    groups = ChatGroups()
    group_id, history = groups.open()

    assert groups.resume(group_id) is history
    assert groups.resume(group_id.upper()) is history
    assert groups.resume("00000000-0000-0000-0000-000000000000") is None


def test_the_group_that_was_used_longest_ago_is_forgotten() -> None:
    groups = ChatGroups(max_groups=2)
    first, _ = groups.open()
    second, _ = groups.open()
    groups.resume(first)
    third, _ = groups.open()

    assert groups.resume(first) is not None
    assert groups.resume(second) is None
    assert groups.resume(third) is not None
