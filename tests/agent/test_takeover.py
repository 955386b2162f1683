"""What the agent is told about the time in which an operator spoke in its place."""

from evibridge.agent.takeover import MAX_CHARACTERS, MAX_LINES, Takeover


def begun() -> Takeover:
    takeover = Takeover()
    takeover.begin("Priya")
    return takeover


def test_the_agent_is_told_what_both_said_and_who_spoke_for_it() -> None:
    takeover = begun()
    takeover.caller_said("Can I have it today?")
    takeover.operator_said("Priya", "It is on the counter.")
    takeover.operator_said("Sam", "Until six.")

    assert takeover.end() == (
        "Priya, a person who works with you, has spoken with the caller in your place.\n"
        "This was said meanwhile:\n"
        "Caller: Can I have it today?\n"
        "Priya: It is on the counter.\n"
        "Sam: Until six.\n"
        "Go on from there. What Priya has answered needs no other answer."
    )
    assert takeover.by is None


def test_an_operator_who_said_nothing_is_told_as_such() -> None:
    takeover = begun()
    takeover.caller_said("Hello?")

    assert takeover.end().endswith("in your place.\nNothing was said.")


def test_a_microphone_whose_words_nobody_wrote_down_is_told_as_such() -> None:
    takeover = begun()
    takeover.microphone_on("Priya")

    assert takeover.end().endswith("in your place.\nThe words are not known.")
    assert takeover.microphone_by is None


def test_what_callers_say_to_the_agent_is_not_kept() -> None:
    takeover = Takeover()
    takeover.caller_said("Where is my order?")
    takeover.begin("Priya")
    takeover.operator_said("Priya", "Good morning.")

    assert "order" not in takeover.end()


def test_a_second_take_over_knows_nothing_of_the_first() -> None:
    takeover = begun()
    takeover.microphone_on("Priya")
    takeover.operator_said("Priya", "Good morning.")
    takeover.end()
    takeover.begin("Sam")

    assert takeover.end().endswith("Nothing was said.")


def test_of_a_long_talk_the_newest_words_are_told() -> None:
    takeover = begun()
    for number in range(MAX_LINES + 50):
        takeover.operator_said("Priya", f"{number} " + "word " * 20)

    told = takeover.end()
    assert len(told) < MAX_CHARACTERS + 500
    assert f"Priya: {MAX_LINES + 49} word" in told
    assert "Priya: 0 word" not in told


def test_one_sentence_that_is_too_long_is_cut() -> None:
    takeover = begun()
    takeover.operator_said("Priya", "x" * 3 * MAX_CHARACTERS)

    told = takeover.end()
    assert "x…\n" in told
    assert len(told) < MAX_CHARACTERS + 500
