from evibridge.engine.chat.faults import NO_AUDIO, NOT_JSON
from evibridge.engine.chat.mistakes import MAX_IDENTICAL_FAULTS, Mistakes


def made(mistakes: Mistakes, times: int) -> list[bool]:
    return [mistakes.is_once_too_often(NOT_JSON) for _ in range(times)]


def test_the_tenth_identical_mistake_is_one_too_many() -> None:
    assert made(Mistakes(), MAX_IDENTICAL_FAULTS) == [False] * 9 + [True]


def test_another_mistake_begins_a_new_count() -> None:
    mistakes = Mistakes()
    made(mistakes, 9)

    assert not mistakes.is_once_too_often(NO_AUDIO)
    assert not any(made(mistakes, 9))


def test_a_message_without_a_mistake_begins_a_new_count() -> None:
    mistakes = Mistakes()
    made(mistakes, 9)
    mistakes.forgive()

    assert not any(made(mistakes, 9))
