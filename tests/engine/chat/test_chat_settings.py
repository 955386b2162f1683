from typing import Any

import pytest

from evibridge.engine.chat.chat_settings import AudioFormat, ChatSettings
from evibridge.engine.chat.faults import Fault
from evibridge.engine.chat.messages import Context, SessionSettings, read_settings
from evibridge.engine.chat.tool_calls import BUILT_IN
from evibridge.engine.minds.mind import HistoryEntry, Prompt, ToolOffer

TOOL = {"type": "function", "name": "get_slot", "parameters": '{"type": "object"}'}


def change(**members: Any) -> SessionSettings:
    settings = read_settings(members)
    assert isinstance(settings, SessionSettings)
    return settings


def merged(before: ChatSettings, **members: Any) -> ChatSettings:
    settings = before.merged(change(**members))
    assert isinstance(settings, ChatSettings)
    return settings


EVERYTHING = merged(
    ChatSettings(),
    audio={"encoding": "linear16", "sample_rate": 16000, "channels": 2},
    system_prompt="Be brief.",
    variables={"name": "Jo"},
    context={"text": "Verified.", "type": "persistent"},
    tools=[TOOL],
    builtin_tools=[{"name": "hang_up"}, {"name": "web_search", "fallback_content": "Nothing."}],
    voice_id="Ava",
    language_model_api_key="sk-1",
    custom_session_id="call-7",
    metadata={"anything": 1},
)


def test_settings_start_empty_and_take_what_a_message_contains() -> None:
    assert (
        ChatSettings(
            audio=AudioFormat(16000, 2),
            system_prompt="Be brief.",
            variables={"name": "Jo"},
            context=Context(text="Verified.", type="persistent"),
            tools=(ToolOffer("get_slot", None, {"type": "object"}, None),),
            builtin_tools={"hang_up": None, "web_search": "Nothing."},
            voice_id="Ava",
            language_model_api_key="sk-1",
            custom_session_id="call-7",
        )
        == EVERYTHING
    )


def test_a_message_changes_only_the_members_that_it_contains() -> None:
    assert merged(EVERYTHING) == EVERYTHING

    after = merged(EVERYTHING, system_prompt="Sing.")

    assert after.system_prompt == "Sing."
    assert after.variables == {"name": "Jo"}
    assert after.tools == EVERYTHING.tools


def test_null_takes_everything_but_the_audio_format_back() -> None:
    names = (
        "audio",
        "system_prompt",
        "variables",
        "context",
        "tools",
        "builtin_tools",
        "voice_id",
        "language_model_api_key",
        "custom_session_id",
        "metadata",
    )

    after = merged(EVERYTHING, **dict.fromkeys(names))

    assert after == ChatSettings(audio=EVERYTHING.audio)


def test_maps_and_lists_are_replaced() -> None:
    after = merged(EVERYTHING, variables={"age": 3}, tools=[{**TOOL, "name": "other"}])

    assert after.variables == {"age": "3"}
    assert [tool.name for tool in after.tools] == ["other"]


def test_variables_become_text() -> None:
    after = merged(ChatSettings(), variables={"a": 30.0, "b": True, "c": 3, "d": "x"})

    assert after.variables == {"a": "30.0", "b": "true", "c": "3", "d": "x"}


def test_built_in_tools_are_not_offers_of_the_client() -> None:
    assert merged(ChatSettings(), tools=[{**TOOL, "type": "builtin"}]).tools == ()


def test_of_two_tools_of_one_name_the_later_counts() -> None:
    after = merged(ChatSettings(), tools=[TOOL, {**TOOL, "description": "Later."}])

    assert [tool.description for tool in after.tools] == ["Later."]


def test_an_unreadable_schema_is_a_fault_and_changes_nothing() -> None:
    for parameters in ("{", "7", "[]"):
        tools = [{**TOOL, "parameters": parameters}]
        fault = EVERYTHING.merged(change(system_prompt="Sing.", tools=tools))
        assert isinstance(fault, Fault)
        assert "parameters" in fault.message


@pytest.mark.parametrize("name", ["", "look up", "x" * 65, "größe"])
def test_a_tool_that_no_model_could_call_is_a_fault(name: str) -> None:
    fault = EVERYTHING.merged(change(tools=[{**TOOL, "name": name}]))

    assert isinstance(fault, Fault)
    assert "name of a tool" in fault.message


def test_offers_are_found_by_name() -> None:
    assert EVERYTHING.offer("get_slot") == EVERYTHING.tools[0]
    assert EVERYTHING.offer("dance") is None


def test_a_temporary_context_is_gone_after_the_answer_that_used_it() -> None:
    temporary = merged(EVERYTHING, context={"text": "Verified."})

    assert temporary.after_answer("Verified.").context is None
    assert temporary.after_answer("Angry.") == temporary
    assert EVERYTHING.after_answer("Verified.") == EVERYTHING
    assert ChatSettings().after_answer(None) == ChatSettings()


def test_a_mind_is_told_of_everything_that_concerns_it() -> None:
    history = [HistoryEntry("user", "Hello?")]

    prompt = EVERYTHING.prompt(history, "Verified.", search=True)

    assert prompt == Prompt(
        system_prompt="Be brief.",
        variables={"name": "Jo"},
        context="Verified.",
        tools=[*EVERYTHING.tools, BUILT_IN["hang_up"], BUILT_IN["web_search"]],
        history=history,
        custom_session_id="call-7",
        language_model_api_key="sk-1",
    )
    offered = EVERYTHING.prompt(history, None, search=False).tools
    assert [tool.name for tool in offered] == ["get_slot", "hang_up"]
    assert ChatSettings().prompt([], None, search=True).tools == []


def test_the_owners_prompt_stands_in_until_the_client_sets_one() -> None:
    settings = ChatSettings(configured_prompt="You sell books.")

    assert settings.prompt([], None, search=False).system_prompt == "You sell books."
    sings = merged(settings, system_prompt="Sing.")
    assert sings.prompt([], None, search=False).system_prompt == "Sing."
    back = merged(sings, system_prompt=None)
    assert back.prompt([], None, search=False).system_prompt == "You sell books."
