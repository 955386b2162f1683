"""Every close code and error of the protocol, row by row (reference: evi.md 8.2 and 8.4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.agent.closing_codes import Retry, meaning_of_close
from evibridge.events import EndReason

NORMAL = 1000
NO_CLOSE_FRAME = 1006

CLOSE_CODES = {
    1000: EndReason.AGENT_HUNG_UP,  # `hang_up`, when no error was announced before
    1001: Retry.RESUME,  # the server is going away
    1005: Retry.RESUME,  # a close frame without a code
    1006: Retry.RESUME,  # no close frame, network fault
    1008: EndReason.EVI_REFUSED,  # policy: credentials, quota, repeated faulty requests
    1009: Retry.RESUME,  # a message was too big
    1011: Retry.RESUME,  # server fault
    4321: Retry.RESUME,  # not in the reference
}

ERRORS_BEFORE_A_NORMAL_CLOSE = {
    "E0100": EndReason.EVI_REFUSED,  # a frame that is not JSON, once too often
    "E0101": EndReason.EVI_REFUSED,  # a field missing or malformed, once too often
    "E0300": EndReason.EVI_REFUSED,  # out of credits
    "E0708": Retry.AFRESH,  # chat group not found
    "E0710": Retry.AFRESH,  # chat could not be resumed
    "E0712": EndReason.EVI_REFUSED,  # the custom language model timed out
    "E0714": EndReason.INACTIVITY,
    "E0715": Retry.RESUME,  # the longest duration of a chat is reached
    "E0723": EndReason.EVI_REFUSED,  # whole audio files instead of a stream
    "E0799": EndReason.EVI_REFUSED,  # not in the reference
    "I0100": Retry.RESUME,  # unexpected service error
    "I0116": Retry.RESUME,  # transcription failure
    "I0118": Retry.RESUME,  # transcription disconnected
    "I0999": Retry.RESUME,  # not in the reference
    "W0101": EndReason.AGENT_HUNG_UP,  # a warning ends nothing
}

ERRORS_THAT_SAY_IT_ALL = {
    "E0300": EndReason.EVI_REFUSED,
    "E0708": Retry.AFRESH,
    "E0710": Retry.AFRESH,
    "E0714": EndReason.INACTIVITY,
    "E0715": Retry.RESUME,
    "I0100": Retry.RESUME,
}

any_code = st.sampled_from(sorted(CLOSE_CODES))


@pytest.mark.parametrize(("code", "meaning"), CLOSE_CODES.items())
def test_a_close_without_an_error_means_what_its_code_says(
    code: int, meaning: Retry | EndReason
) -> None:
    assert meaning_of_close(code, None, opened=True) is meaning


@pytest.mark.parametrize(("error", "meaning"), ERRORS_BEFORE_A_NORMAL_CLOSE.items())
def test_a_normal_close_after_an_error_means_what_the_error_says(
    error: str, meaning: Retry | EndReason
) -> None:
    assert meaning_of_close(NORMAL, error, opened=True) is meaning


@pytest.mark.parametrize(("error", "meaning"), ERRORS_THAT_SAY_IT_ALL.items())
@given(code=any_code, opened=st.booleans())
def test_a_known_error_and_any_fault_inside_the_server_outweigh_the_code(
    error: str, meaning: Retry | EndReason, code: int, *, opened: bool
) -> None:
    assert meaning_of_close(code, error, opened=opened) is meaning


@pytest.mark.parametrize("error", ["E0101", "W0101"])
def test_a_cut_line_is_a_cut_line_whatever_was_complained_of_before(error: str) -> None:
    assert meaning_of_close(NO_CLOSE_FRAME, error, opened=True) is Retry.RESUME


@pytest.mark.parametrize("error", [None, "E0101", "W0101"])
def test_a_normal_close_before_the_chat_has_begun_is_a_refusal(error: str | None) -> None:
    assert meaning_of_close(NORMAL, error, opened=False) is EndReason.EVI_REFUSED


@pytest.mark.parametrize("code", [1001, 1005, 1006, 1009, 1011])
def test_a_fault_before_the_chat_has_begun_may_pass(code: int) -> None:
    assert meaning_of_close(code, None, opened=False) is Retry.RESUME
