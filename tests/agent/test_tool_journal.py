from evibridge.agent import evi_messages as evi
from evibridge.agent.tool_journal import MAX_ANSWERS, MemoryJournal


def response(tool_call_id: str, content: str = "Ordered.") -> evi.ToolResponse:
    return evi.ToolResponse(tool_call_id, content)


async def test_an_answer_is_recalled_by_call_and_tool_call() -> None:
    journal = MemoryJournal()
    journal.record("CA1", response("call_1"))

    assert await journal.recall("CA1", "call_1") == response("call_1")
    assert await journal.recall("CA1", "call_2") is None
    assert await journal.recall("CA2", "call_1") is None


async def test_the_newest_answer_counts() -> None:
    journal = MemoryJournal()
    journal.record("CA1", response("call_1", "first"))
    journal.record("CA1", response("call_1", "second"))

    assert await journal.recall("CA1", "call_1") == response("call_1", "second")


async def test_the_oldest_answers_of_a_call_are_forgotten() -> None:
    journal = MemoryJournal()
    journal.record("CA2", response("call_0"))
    for number in range(MAX_ANSWERS + 1):
        journal.record("CA1", response(f"call_{number}"))

    assert await journal.recall("CA1", "call_0") is None
    assert await journal.recall("CA1", "call_1") == response("call_1")
    assert await journal.recall("CA2", "call_0") == response("call_0")


async def test_nothing_is_kept_of_a_call_that_is_over() -> None:
    journal = MemoryJournal()
    journal.record("CA1", response("call_1"))
    journal.forget("CA1")
    journal.forget("CA1")

    assert await journal.recall("CA1", "call_1") is None
