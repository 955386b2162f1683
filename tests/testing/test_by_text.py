import asyncio
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from evibridge import Agent
from evibridge.errors import EngineSetupError
from evibridge.events import EndReason
from evibridge.testing import ToolUse, call_by_text
from tests.testing.workshop import AGENT, ANSWERS_KEYS, BOSS


async def test_the_caller_is_greeted_and_answered_in_whole_sentences() -> None:
    async with call_by_text(AGENT) as call:
        assert call.greeting == "Bicycle workshop. What can I do for you?"

        assert await call.says("Bicycle 7?") == "I look. One moment. It is ready. Come by."
        assert await call.says("Bicycle 7?") == "I look. One moment. It is ready. Come by."

        assert call.said[:3] == ["Bicycle workshop.", "What can I do for you?", "I look."]
        assert call.called == 2 * [
            ToolUse("repair_status", {"number": 7}, "answered", "It is ready. Come by.")
        ]
        assert call.ended is None


async def test_what_a_tool_refuses_is_told_to_the_model() -> None:
    async with call_by_text(AGENT) as call:
        assert "There is no bicycle 8." in await call.says("Bicycle 8?")

        assert call.called == [
            ToolUse("repair_status", {"number": 8}, "unknown_bicycle", "There is no bicycle 8.")
        ]


async def test_of_a_tool_that_fails_the_model_is_told_the_fallback() -> None:
    async with call_by_text(AGENT) as call:
        await call.says("The price list, please.")

        assert call.called == [ToolUse("price_list", {}, "failed", "The prices cannot be read.")]


async def test_tools_know_who_calls_whom() -> None:
    numbers = {"caller": "+14155550111", "called": "+14155550122"}
    async with call_by_text(AGENT, **numbers, parameters={"about": "spring"}) as call:
        assert await call.says("Who am I?") == "+14155550111 calls +14155550122 about spring."

    async with call_by_text(AGENT, caller=None) as call:
        assert "None calls +14155550199" in await call.says("Who am I?")


async def test_what_a_tool_has_the_agent_say_is_part_of_the_answer() -> None:
    async with call_by_text(AGENT) as call:
        answer = await call.says("Is there a holiday?")

    assert "On Monday we are closed." in answer
    assert "Was that all?" in answer


async def test_what_a_background_tool_came_to_is_known() -> None:
    async with call_by_text(AGENT) as call:
        assert await call.says("The receipt, please.") == "It is on its way."

    (receipt,) = call.called
    assert receipt.outcome == "no_address"
    assert receipt.answer is not None
    assert receipt.answer.startswith("Started.")


async def test_keys_are_there_for_tools_and_get_no_answer_by_themselves() -> None:
    async with call_by_text(AGENT) as call:
        assert await call.presses("42#") == ""
        assert await call.says("My pin?") == "Your keys were 42#."


@pytest.mark.parametrize("keys", ["42#", "42"])
async def test_keys_that_count_as_words_are_answered_when_their_entry_is_over(keys: str) -> None:
    async with call_by_text(ANSWERS_KEYS) as call:
        assert await call.presses(keys) == "You have pressed 42."


async def test_the_agent_presses_keys() -> None:
    async with call_by_text(AGENT) as call:
        assert await call.says("The extension, please.") == "I dial."

        assert call.digits_sent == ["12w#"]


async def test_the_agent_hangs_up() -> None:
    async with call_by_text(AGENT) as call:
        assert await call.says("Goodbye.") == "Goodbye."

        assert call.ended is EndReason.AGENT_HUNG_UP
        with pytest.raises(RuntimeError, match=r"agent_hung_up.*'Hello'"):
            await call.says("Hello")
        with pytest.raises(RuntimeError, match="keys 1"):
            await call.presses("1")


async def test_a_last_word_of_a_tool_ends_the_call() -> None:
    async with call_by_text(AGENT) as call:
        assert await call.says("Are you closed?") == "We are closed. Goodbye."

        assert call.ended is EndReason.AGENT_HUNG_UP


async def test_the_caller_is_put_through() -> None:
    async with call_by_text(AGENT) as call:
        assert await call.says("The boss, please.") == "I put you through."

        assert call.ended is EndReason.TRANSFERRED
        assert call.transferred_to == BOSS


async def test_an_operator_approves_of_a_tool() -> None:
    async with call_by_text(AGENT) as call:
        assert await call.says("My money back!") == "One moment. I have to ask the boss."
        assert call.called == [ToolUse("refund", {"pounds": 5}, "open", None)]

        assert await call.approve("refund") == "You get 5 pounds."

        assert call.called == [ToolUse("refund", {"pounds": 5}, "answered", "You get 5 pounds.")]


async def test_an_operator_declines_a_tool_and_the_model_is_told_why() -> None:
    async with call_by_text(AGENT) as call:
        await call.says("My money back!")

        await call.decline("refund", "The bell rings.")

        (refund,) = call.called
        assert refund.outcome == "declined"
        assert refund.answer is not None
        assert "The bell rings." in refund.answer


async def test_words_of_the_script_do_for_a_caller_who_waits_for_an_operator() -> None:
    async with call_by_text(AGENT) as call:
        assert "That is a pity." in await call.says("A refund!")

        assert "You get 5 pounds." in await call.approve("refund")


async def test_only_a_tool_that_waits_can_be_decided_about() -> None:
    async with call_by_text(AGENT) as call:
        with pytest.raises(LookupError, match=r"'refund'.*none"):
            await call.approve("refund")
        await call.says("My money back!")
        with pytest.raises(LookupError, match=r"'repair_status'.*refund"):
            await call.decline("repair_status")


async def test_an_answer_that_does_not_come_is_told_with_all_that_came() -> None:
    async with call_by_text(AGENT) as call:
        with pytest.raises(TimeoutError) as late:
            await call.says("An eternity.", timeout_s=0.1)

    assert "'An eternity.' within 0.1 s" in str(late.value)
    assert "That takes long." in str(late.value)
    assert "wait_for_ever (open)" in str(late.value)
    assert [use.outcome for use in call.called] == ["cancelled"]


@pytest.mark.parametrize("words", ["", " \n"])
async def test_a_caller_cannot_say_nothing(words: str) -> None:
    async with call_by_text(AGENT) as call:
        with pytest.raises(ValueError, match="needs words"):
            await call.says(words)


@pytest.mark.parametrize("keys", ["", "12w", "seven"])
async def test_a_caller_has_only_the_keys_of_a_telephone(keys: str) -> None:
    async with call_by_text(AGENT) as call:
        with pytest.raises(ValueError, match="there are 0-9"):
            await call.presses(keys)


async def test_leaving_hangs_up_and_leaves_nothing_behind() -> None:
    def leftovers() -> tuple[set[asyncio.Task[object]], int]:
        sockets = [link for link in Path("/proc/self/fd").iterdir() if link.is_socket()]
        return asyncio.all_tasks(), len(sockets)

    before = leftovers()
    async with call_by_text(AGENT) as call:
        await call.says("Bicycle 7?")

    assert call.ended is EndReason.CALLER_HUNG_UP
    assert leftovers() == before


async def test_what_was_said_has_been_heard_when_the_answer_is_there() -> None:
    with capture_logs() as logs:
        async with call_by_text(AGENT) as call:
            await call.says("Bicycle 7?")

    assert not [line for line in logs if line["event"] == "agent_cut_short"]


async def test_no_other_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, ...]] = []

    async def refuse(*program: str, **_: object) -> None:
        started.append(program)
        raise OSError("no process may be started")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)

    async with call_by_text(AGENT) as call:
        await call.says("Bicycle 7?")

    assert not started


async def test_a_failed_test_closes_its_call() -> None:
    with pytest.raises(ZeroDivisionError):
        async with call_by_text(AGENT) as call:
            _ = 1 / 0

    assert call.ended is EndReason.CALLER_HUNG_UP


async def test_calls_at_the_same_time_know_nothing_of_each_other() -> None:
    async with call_by_text(AGENT) as first, call_by_text(AGENT) as second:
        answers = await asyncio.gather(first.says("Bicycle 7?"), second.says("Bicycle 8?"))

    assert "It is ready." in answers[0]
    assert "There is no bicycle 8." in answers[1]
    assert [len(call.called) for call in (first, second)] == [1, 1]


async def test_an_agent_may_leave_the_first_word_to_the_caller(tmp_path: Path) -> None:
    script = tmp_path / "silent.yaml"
    script.write_text("turns: [{name: hello, heard: [hello], say: Hello.}]\n")

    async with call_by_text(Agent(system_prompt="Be brief.", script=script)) as call:
        assert call.greeting == ""
        assert await call.says("Hello!") == "Hello."


async def test_the_settings_of_a_service_do_not_reach_a_test(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("EVIBRIDGE_MAX_CALLS=none\nTWILIO_AUTH_TOKEN=secret\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVIBRIDGE_EVI_URL", "https://evi.example.com")

    async with call_by_text(AGENT) as call:
        assert "It is ready." in await call.says("Bicycle 7?")


@pytest.mark.parametrize(
    ("script", "sentence"), [(None, r"no script.*docs/script\.md"), ("nowhere.yaml", "nowhere")]
)
async def test_an_agent_needs_a_script(script: str | None, sentence: str) -> None:
    with pytest.raises(EngineSetupError, match=sentence):
        async with call_by_text(Agent(system_prompt="Be brief.", script=script)):
            pass


def test_a_missing_engine_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evibridge.testing.by_text", None)

    with pytest.raises(EngineSetupError, match=r"install evibridge\[engine\]"):
        from evibridge.testing import TextCall  # noqa: F401


async def test_a_call_leaves_nothing_in_the_folder_of_whoever_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async with call_by_text(AGENT) as call:
        await call.says("Bicycle 7?")

    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - nobody else waits
