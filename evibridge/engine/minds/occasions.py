"""What the agent says unasked when neither its owner nor its mind has words for the occasion."""

from evibridge.engine.minds.mind import Occasion

_SENTENCES: dict[Occasion, str] = {
    "nudge": "Take your time. I am still here.",
    "inactivity": "Are you still there? If not, I will end our conversation in a moment.",
    "max_duration": "Our time is up, so I have to say goodbye now. Thank you for talking with me.",
}


def standard_sentence(occasion: Occasion) -> str | None:
    """Return one or two friendly sentences, None for the greeting: the caller may begin."""
    return _SENTENCES.get(occasion)
