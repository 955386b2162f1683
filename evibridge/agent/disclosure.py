"""What the agent has to say before anything else, until the caller has heard all of it."""

from enum import Enum, auto

from evibridge.agent import evi_messages as evi
from evibridge.events import AgentHeard

BEGINS_WITHIN_S = 3.0
"""How long the server may take to begin with it, before it is told again."""
MAX_TELLS = 5
"""After which the agent may speak without: a server that cannot say it, or a caller who does not
let it be said, is not kept waiting for ever."""


class _State(Enum):
    OWED = auto()
    TOLD = auto()
    """The server knows, and has not begun."""
    SAID = auto()
    """It is being said; whether all of it is heard is not known yet."""
    OVER = auto()


class Disclosure:
    """Follows one text from the first time it is told to its last word. Time is an argument.

    Args:
        text: word for word; None if the agent has nothing to disclose
    """

    def __init__(self, text: str | None) -> None:
        self.text = text
        self._words = _words(text or "")
        self._state = _State.OVER if text is None else _State.OWED
        self._tells = 0
        self._utterances: set[str] = set()
        self._said: list[str] = []
        """Words of its sentences that the caller heard, or hears."""
        self.is_given_up = False
        """Whether the agent speaks without."""
        self.wake_s: float | None = None
        """When `woke` has to be called next."""

    @property
    def utterances(self) -> frozenset[str]:
        """Ids of those that it is being said in."""
        return frozenset(self._utterances)

    @property
    def comes_first(self) -> bool:
        """Whether the agent may not say anything else yet."""
        return self._state in (_State.OWED, _State.TOLD)

    def tell(self, now_s: float) -> list[evi.ClientMessage]:
        """What the server has to be told now, if it has to be; asked while it can be heard."""
        if self._state is not _State.OWED or self.text is None:
            return []
        if self._tells >= MAX_TELLS:
            self._state, self.wake_s, self.is_given_up = _State.OVER, None, True
            return []
        self._tells += 1
        self._state, self.wake_s = _State.TOLD, now_s + BEGINS_WITHIN_S
        return [evi.AssistantInput(self.text)]

    def woke(self, now_s: float, *, caller_speaks: bool) -> bool:
        """Whether the server has had its time, so that it is to be told again; not into words."""
        if self.wake_s is None or now_s < self.wake_s:
            return False
        if caller_speaks:
            self.wake_s = now_s + BEGINS_WITHIN_S
            return False
        self.wake_s = None
        self.forgotten()
        return True

    def forgotten(self) -> None:
        """The server has not begun, and may not know any more: the caller spoke, or it is gone."""
        if self._state is _State.TOLD:
            self._state, self.wake_s = _State.OWED, None

    def is_part(self, said: evi.AssistantMessage) -> bool:
        """Whether a sentence of the agent is of it.

        EVI marks what it was told to speak. A server may write it in another way, numbers in words
        and without its stops; as long as this has to come first, it was told nothing else.
        """
        if self._state is _State.OVER:
            return False
        words = _words(said.content)
        if not said.from_text:
            return words == self._words
        return self._state is _State.TOLD or words in self._words

    def begun(self, utterance_id: str, text: str) -> None:
        """A sentence of it is about to be spoken."""
        self._utterances.add(utterance_id)
        self._said.append(_words(text))
        self._state, self.wake_s = _State.SAID, None

    def is_copy(self, said: evi.AssistantMessage) -> bool:
        """Whether the server, told again, says a sentence that was said already or is being said.

        That is nobody's answer, and the caller has to hear it once.
        """
        return said.from_text and self._tells > 1 and _words(said.content) in self._said

    def heard(self, report: AgentHeard, now_s: float) -> None:
        """What of an utterance was heard, now that it is over."""
        if report.utterance_id not in self._utterances:
            return
        self._utterances.discard(report.utterance_id)
        if report.heard_ms < report.sent_ms or report.sent_ms == 0:
            self.broken_off(now_s)
        elif not self._utterances and self._state is _State.SAID:
            self._state = _State.OVER

    @property
    def is_being_said(self) -> bool:
        """Whether it has begun, and not all of it was heard yet."""
        return self._state is _State.SAID

    def broken_off(self, now_s: float) -> None:
        """The rest of it will not be heard: it is owed again, as a whole."""
        if self.is_being_said:
            self._utterances.clear()
            self._said.clear()
            self._state, self.wake_s = _State.OWED, now_s + BEGINS_WITHIN_S


def _words(text: str) -> str:
    """What is said, however it is written."""
    return " ".join("".join(filter(str.isalnum, word)) for word in text.casefold().split())
