"""How long callers wait for an answer: from their last word to the agent's first sound."""

MAX_LATE_S = 10.0
"""A transcript tells where in the chat's audio the words ended. What lies further back, or ahead,
is no such place, and the words count as just said."""
ANSWER_WITHIN_S = 30.0
"""What is said later is said for another reason."""
UNNAMED = ""
"""Stands for an utterance whose id will be known with its audio."""


class ResponseClock:
    """Times the answers of one call. Time is an argument, in seconds.

    EVI: the times of a `user_message` are milliseconds of the audio that the chat has heard, which
    comes in real time; so they tell when a word was spoken.
    """

    def __init__(self) -> None:
        self._heard_from_s = 0.0
        self._asked_s: float | None = None
        self._answer: str | None = None
        self.is_awaited = False
        """Whether the next audio of the agent may be what the caller waits for."""

    def hears_from(self, at_s: float) -> None:
        """The first audio that the chat in use hears was spoken then."""
        self._heard_from_s = at_s

    def caller_said(self, end_ms: int, now_s: float, *, typed: bool) -> None:
        """The caller has finished saying something, and waits for an answer."""
        ended_s = now_s if typed else self._heard_from_s + end_ms / 1000
        self._asked_s = ended_s if now_s - MAX_LATE_S <= ended_s <= now_s else now_s
        self.is_awaited = False

    def answers(self, utterance_id: str | None, now_s: float) -> None:
        """The agent is about to say this for an answer; EVI: the id may be missing."""
        if self._asked_s is None or self.is_awaited:
            return
        if now_s - self._asked_s > ANSWER_WITHIN_S:
            self.forget()
        else:
            self._answer, self.is_awaited = utterance_id or UNNAMED, True

    def sounded(self, utterance_id: str, now_s: float) -> int | None:
        """The agent sounds; returns how long the caller has waited for it, in ms, if he has."""
        if self._asked_s is None or self._answer not in (utterance_id, UNNAMED):
            return None
        waited_ms = round((now_s - self._asked_s) * 1000)
        self.forget()
        return waited_ms

    def forget(self) -> None:
        """Nobody waits any more: the answer was cut off, or is that of another time."""
        self._asked_s = self._answer = None
        self.is_awaited = False
