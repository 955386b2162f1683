from evibridge.engine.chat.history import LINE_CHARACTERS, MAX_CHARACTERS, History
from evibridge.engine.minds.mind import HistoryEntry, ToolUse

LOOK = ToolUse("call_1", "look", {"order": "1042"})


def test_sentences_of_the_agent_are_one_entry() -> None:
    history = History()
    history.add_user("Where is my order?")
    history.add_sentence("a", "One moment.")
    history.add_sentence("b", "I am looking.")
    history.add_tool(LOOK, "on its way")
    history.add_sentence("c", "It is on its way.")

    assert history.entries() == [
        HistoryEntry("user", "Where is my order?"),
        HistoryEntry("assistant", "One moment. I am looking."),
        HistoryEntry("tool", "on its way", LOOK),
        HistoryEntry("assistant", "It is on its way."),
    ]


def test_utterances_of_the_caller_stay_apart() -> None:
    history = History()
    history.add_user("Hello?")
    history.add_user("Are you there?")

    assert [entry.content for entry in history.entries()] == ["Hello?", "Are you there?"]


def test_only_what_was_heard_is_kept() -> None:
    history = History()
    for name in ("a", "b", "c"):
        history.add_sentence(name, f"Sentence {name} is here.")
    history.add_user("Stop.")

    history.keep_heard({"b": "Sentence b", "c": "", "unknown": ""})

    assert history.entries() == [
        HistoryEntry("assistant", "Sentence a is here. Sentence b"),
        HistoryEntry("user", "Stop."),
    ]


def test_an_empty_text_of_the_caller_is_kept() -> None:
    history = History()
    history.add_user("")
    history.keep_heard({})

    assert history.entries() == [HistoryEntry("user", "")]


def test_the_oldest_entries_are_forgotten() -> None:
    history = History()
    history.add_user("first")
    history.add_user("x" * (MAX_CHARACTERS - 10))
    history.add_user("second to last")
    history.add_user("y" * MAX_CHARACTERS * 2)

    assert [len(entry.content) for entry in history.entries()] == [MAX_CHARACTERS * 2]

    history.add_user("last")
    assert [entry.content for entry in history.entries()] == ["last"]


def test_empty_texts_are_forgotten_as_well() -> None:
    history = History()
    for _ in range(MAX_CHARACTERS // LINE_CHARACTERS + 10):
        history.add_user("")

    assert len(history.entries()) == MAX_CHARACTERS // LINE_CHARACTERS


def test_a_resumed_chat_remembers_the_last_entries_only() -> None:
    history = History()
    for number in range(5):
        history.add_user(str(number))

    def remembered(count: int) -> list[str]:
        place = history.place_of_last(count)
        history.add_user("now")
        return [entry.content for entry in history.entries(place)]

    assert remembered(2) == ["3", "4", "now"]
    assert remembered(0) == ["now"]
    assert len(remembered(300)) == 8
