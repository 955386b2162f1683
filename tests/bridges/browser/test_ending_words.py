import pytest

from evibridge.agent.actions import HangUp
from evibridge.bridges.browser.ending_words import ending_words
from evibridge.events import EndReason


@pytest.mark.parametrize("reason", EndReason)
def test_every_end_has_a_sentence_for_the_caller(reason: EndReason) -> None:
    words = ending_words(HangUp(reason))
    assert words[0].isupper()
    assert words.endswith(".")
    assert "EVI" not in words


def test_what_the_agent_could_not_say_is_told_instead() -> None:
    how = HangUp(EndReason.AGENT_HUNG_UP, last_words="Your order is on its way.")
    assert ending_words(how) == "Your order is on its way."
