from evibridge.engine.mind import HistoryEntry, Prompt, ToolOffer


def test_the_last_words_of_the_caller_are_the_ones_to_answer() -> None:
    prompt = Prompt(
        history=[
            HistoryEntry("user", "Where is my order?"),
            HistoryEntry("assistant", "Which one?"),
            HistoryEntry("user", "1042"),
            HistoryEntry("tool", "It is late."),
        ]
    )
    assert prompt.last_heard() == "1042"


def test_a_caller_who_has_not_spoken_said_nothing() -> None:
    assert Prompt(history=[HistoryEntry("assistant", "Hello.")]).last_heard() == ""


def test_a_tool_is_found_by_its_name() -> None:
    offer = ToolOffer("order_status")
    assert Prompt(tools=[ToolOffer("other"), offer]).tool("order_status") is offer
    assert Prompt(tools=[offer]).tool("other") is None
