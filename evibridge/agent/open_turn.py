"""The turn that is going on: whether the caller waits for an answer, and what he missed of it."""

ANSWER_WITHIN_S = 15.0
"""A server that has not begun to answer by then will not."""


class OpenTurn:
    """Follows one question and its answer after another. Time is an argument, in seconds."""

    def __init__(self) -> None:
        self._words: str | None = None
        self._since_s = 0.0
        self._asked_again: str | None = None
        self.to_say_again = ""
        """What the agent has said and the caller cannot have heard, because a line broke."""

    @property
    def is_answered(self) -> bool:
        """Whether the agent owes no answer."""
        return self._words is None

    def is_given_up(self, now_s: float) -> bool:
        """Whether the agent owes none, or is so late that none will come."""
        return self._words is None or now_s - self._since_s > ANSWER_WITHIN_S

    def caller_spoke(self, words: str, now_s: float) -> None:
        """The caller has spoken and waits; what was to be said again is out of date."""
        self._words, self._since_s = words, now_s
        self.to_say_again = ""

    def words_are_due(self, now_s: float) -> None:
        """The agent has been given something to say: a sentence, or the result of a tool."""
        self._words, self._since_s = self._words or "", now_s

    def answered(self) -> None:
        """The agent's turn is over."""
        self._words = None

    def take_to_say_again(self) -> str:
        """What is to be said again now, "" for nothing."""
        text, self.to_say_again = self.to_say_again, ""
        return text

    def ask_again(self) -> str:
        """The words to repeat to a server that seems to have forgotten them, "" for none."""
        self._asked_again = self._words or None
        return self._words or ""

    def was_asked_again(self, words: str) -> bool:
        """Whether these words, told by the server, are those that were repeated to it."""
        if words != self._asked_again:
            return False
        self._asked_again = None
        return True
