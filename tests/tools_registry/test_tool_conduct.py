import pytest

from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.conduct import HOLDING_AFTER_S, Answering, Conduct, ToolOptions

WAIT = "One moment, please."


def conduct_fault(options: ToolOptions) -> str:
    with pytest.raises(ToolDefinitionError) as caught:
        Conduct.of(options, "tool()")
    return str(caught.value)


def test_without_options_the_model_waits_as_long_as_the_runner_lets_it() -> None:
    conduct = Conduct.of({}, "tool()")
    assert conduct == Conduct()
    assert conduct.timeout_s is None
    assert conduct.holding is None
    assert conduct.holding_after_s == HOLDING_AFTER_S
    assert not conduct.requires_approval
    assert conduct.answering is Answering.WHEN_DONE


def test_options_that_concern_what_a_tool_is_are_left_to_others() -> None:
    options: ToolOptions = {"name": "n", "description": "d", "fallback": "f", "strict": True}
    assert Conduct.of(options, "tool()") == Conduct()


def test_an_option_of_none_is_as_if_left_out() -> None:
    options: ToolOptions = {"timeout": None, "holding": None, "holding_after_s": None}
    assert Conduct.of(options, "tool()") == Conduct()
    holds = Conduct.of({"holding": WAIT, "holding_after_s": None}, "tool()")
    assert holds.holding_after_s == HOLDING_AFTER_S


def test_a_slow_tool_may_have_a_holding_sentence() -> None:
    conduct = Conduct.of({"timeout": 30, "holding": WAIT, "holding_after_s": 0.5}, "tool()")
    assert conduct == Conduct(30, WAIT, 0.5)


def test_a_tool_may_require_approval() -> None:
    conduct = Conduct.of({"requires_approval": True, "holding": WAIT}, "tool()")
    assert conduct == Conduct(holding=WAIT, requires_approval=True)


@pytest.mark.parametrize(
    ("options", "answering"),
    [
        ({"background": True}, Answering.IN_BACKGROUND),
        ({"silent": True}, Answering.SILENTLY),
        ({"background": False, "silent": True}, Answering.SILENTLY),
        ({"background": False, "silent": False}, Answering.WHEN_DONE),
    ],
)
def test_options_say_when_the_model_is_answered(options: ToolOptions, answering: Answering) -> None:
    assert Conduct.of(options, "tool()") == Conduct(answering=answering)


@pytest.mark.parametrize("option", ["background", "silent"])
def test_a_tool_that_is_answered_at_once_may_wait_for_approval(option: str) -> None:
    options: ToolOptions = {"requires_approval": True, "holding": WAIT}
    options[option] = True  # type: ignore[literal-required]
    assert Conduct.of(options, "tool()").requires_approval


def test_the_model_cannot_learn_the_result_later_and_never() -> None:
    assert conduct_fault({"background": True, "silent": True}) == (
        "tool() is both `background` and `silent`; choose `background` if the model is to learn "
        "the result."
    )


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_time_must_be_a_time(seconds: float) -> None:
    for options in (
        ToolOptions(timeout=seconds),
        ToolOptions(holding=WAIT, holding_after_s=seconds),
    ):
        name = list(options)[-1]
        assert conduct_fault(options) == (
            f"The {name} of tool() must be more than 0 seconds, not {seconds}."
        )


@pytest.mark.parametrize("sentence", ["", " \n"])
def test_a_holding_sentence_must_hold_words(sentence: str) -> None:
    assert conduct_fault({"holding": sentence}) == "The holding sentence of tool() holds no words."


def test_a_caller_is_told_that_he_waits_for_approval() -> None:
    assert conduct_fault({"requires_approval": True}) == (
        "tool() requires approval: give it a sentence for the caller who waits, such as "
        '`holding="One moment, I have to ask a colleague."`.'
    )


@pytest.mark.parametrize("options", [{"background": True}, {"silent": True}])
def test_what_nobody_waits_for_needs_no_holding_sentence(options: ToolOptions) -> None:
    assert conduct_fault({**options, "holding": WAIT}) == (
        "Nobody waits for tool(), which is answered at once; leave its `holding` out."
    )


def test_a_time_for_holding_needs_a_holding_sentence() -> None:
    assert conduct_fault({"holding_after_s": 3.0}) == (
        "tool() has a `holding_after_s` and nothing to say then; give it a `holding`."
    )
