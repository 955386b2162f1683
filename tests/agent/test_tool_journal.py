from evibridge.agent import evi_messages as evi
from evibridge.agent.tool_journal import MemoryJournal


def response(tool_call_id: str, content: str = "Ordered.") -> evi.ToolResponse:
    return evi.ToolResponse(tool_call_id, content)


async def test_an_answer_is_recalled_by_call_and_tool_call() -> None:
    journal = MemoryJournal()
    journal.record("CA1", response("call_1"))

    assert await journal.recall("CA1", "call_1") == response("call_1")
    assert await journal.recall("CA1", "call_2") is None
    assert await journal.recall("CA2", "call_1") is None


async def test_what_is_recorded_stays() -> None:
    journal = MemoryJournal()
    journal.record("CA1", response("call_1", "first"))
    journal.record("CA1", response("call_1", "second"))

    assert await journal.recall("CA1", "call_1") == response("call_1", "first")


async def test_the_oldest_answers_are_forgotten() -> None:
    journal = MemoryJournal(max_answers=2)
    for number in range(3):
        journal.record("CA1", response(f"call_{number}"))

    kept = [await journal.recall("CA1", f"call_{number}") for number in range(3)]
    assert kept == [None, response("call_1"), response("call_2")]
