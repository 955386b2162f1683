"""The turn that is going on: what the agent owes the caller, an answer or words he missed."""

from collections import deque
from dataclasses import dataclass

ANSWER_WITHIN_S = 15.0
"""A server that has not begun to answer by then will not."""
STALE_S = 60.0
"""Words so old are neither answered nor spoken any more: the conversation has gone on."""
MAX_TEXTS = 16
"""To be spoken word for word; more is a program gone astray, and the oldest are forgotten."""


@dataclass(slots=True)
class _Text:
    words: str
    since_s: float
    is_told: bool = False
    """Whether the chat in use was told to speak it."""


class OpenTurn:
    """Follows one question and its answer after another. Time is an argument, in seconds.

    A text that the server was told to speak is owed until it has begun to speak it, so that it is
    not lost with the chat.
    """

    def __init__(self) -> None:
        self._words: str | None = None
        self._since_s = 0.0
        self._asked_again: str | None = None
        self._texts: deque[_Text] = deque(maxlen=MAX_TEXTS)
        self._spoken = ""
        """The text whose sentences are being spoken."""
        self._only_texts: bool | None = None
        """Whether the server's turn has been nothing but texts; None before it has begun."""
        self._missed = ""
        self._may_be_repeated = False
        self._missed_turn_is_over = False

    # The caller's words

    @property
    def is_answered(self) -> bool:
        """Whether the agent owes no answer."""
        return self._words is None

    def is_given_up(self, now_s: float) -> bool:
        """Whether the agent owes none, or is so late that none will come."""
        return self._words is None or now_s - self._since_s > ANSWER_WITHIN_S

    def owes_answer(self, now_s: float) -> bool:
        """Whether it is worth while to have the caller's words answered now."""
        return bool(self._words) and now_s - self._since_s <= STALE_S

    def caller_spoke(self, words: str, now_s: float) -> None:
        """The caller has spoken and waits; what he missed before that is out of date."""
        self._words, self._since_s = words, now_s
        self._missed = ""
        self.forget_told()

    def operator_answers(self) -> None:
        """An operator speaks in the agent's place: what it owed of itself is out of date."""
        self._words = None
        self._missed = ""

    def words_are_due(self, now_s: float) -> None:
        """The agent has been given something to say: a sentence, or the result of a tool."""
        self._words, self._since_s = self._words or "", now_s

    def ended(self) -> None:
        """The server's turn is over: an answer, unless it has only spoken what it was told to."""
        if not (self._only_texts and self._words):
            self._words = None
        self._only_texts = None
        self._spoken = ""
        self._missed_turn_is_over = True

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

    # The agent's words

    @property
    def has_missed(self) -> bool:
        """Whether the caller has missed something that the server may yet repeat by itself."""
        return bool(self._missed)

    def missed(self, words: str, *, may_be_repeated: bool) -> None:
        """The caller cannot have heard these words, because something broke or silenced them.

        `may_be_repeated` tells whether the server goes on with them by itself.
        """
        if words:
            self._missed, self._may_be_repeated = words, may_be_repeated
            self._missed_turn_is_over = False

    def refused(self, sentence: str, *, from_text: bool, may_be_repeated: bool) -> None:
        """The server began to speak a sentence when it must not be heard."""
        if from_text:
            text = self._told_text(sentence)
            if text is not None:
                text.is_told = False
        else:
            # Of a long silence, the last turn is worth repeating.
            before = "" if self._missed_turn_is_over else self._missed
            self.missed(f"{before} {sentence}".strip(), may_be_repeated=may_be_repeated)

    def server_answers(self) -> None:
        """The agent speaks of itself."""
        self._only_texts = False
        if self._may_be_repeated:
            self._missed = ""

    def repeat_missed(self, now_s: float, *, also_if_repeated: bool = False) -> None:
        """What the caller missed is to be spoken again, unless the server does that by itself."""
        if self._missed and (also_if_repeated or not self._may_be_repeated):
            self.say(self._missed, now_s)
            self._missed = ""

    def say(self, words: str, now_s: float) -> None:
        """This is to be spoken word for word."""
        self._texts.append(_Text(words, now_s))

    def owes(self, words: str) -> bool:
        """Whether this very text is still to be spoken."""
        return any(text.words == words for text in self._texts)

    def retract(self, words: str) -> None:
        """This text needs not be spoken any more."""
        self._texts = deque((each for each in self._texts if each.words != words), MAX_TEXTS)

    def forget_told(self) -> None:
        """The caller speaks: a server drops what it was told to speak and has not begun."""
        self._texts = deque((text for text in self._texts if not text.is_told), MAX_TEXTS)

    def owes_texts(self, now_s: float) -> bool:
        """Whether a text is still to be spoken."""
        self._forget_stale(now_s)
        return bool(self._texts)

    def untold(self, now_s: float) -> list[str]:
        """Texts that the chat in use has not been told yet; it is told them now."""
        self._forget_stale(now_s)
        texts = [text for text in self._texts if not text.is_told]
        for text in texts:
            text.is_told = True
        return [text.words for text in texts]

    def was_told(self, sentence: str) -> bool:
        """Whether a sentence is of a text that the server was told to speak."""
        return any(text.is_told and sentence in text.words for text in self._texts)

    def speaks_texts(self) -> None:
        """The server speaks what it was told to, and perhaps nothing else."""
        if self._only_texts is None:
            self._only_texts = True

    def spoken(self, sentence: str) -> None:
        """The server speaks a sentence that it was told; a text may be several."""
        self.speaks_texts()
        text = self._told_text(sentence)
        if text is not None:
            self._texts.remove(text)
            self._spoken = text.words

    def _told_text(self, sentence: str) -> _Text | None:
        """The text that a sentence begins; the server may write it in another way."""
        told = [text for text in self._texts if text.is_told]
        fitting = next((text for text in told if sentence in text.words), None)
        if fitting is not None or self._spoken or not told:
            return fitting
        return told[0]

    def _forget_stale(self, now_s: float) -> None:
        while self._texts and now_s - self._texts[0].since_s > STALE_S:
            self._texts.popleft()

    def chat_lost(self) -> None:
        """Another chat has to be told what this one has not begun to speak."""
        self._spoken, self._only_texts = "", None
        for text in self._texts:
            text.is_told = False
