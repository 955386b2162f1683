"""What a caller said, prepared for the comparison with many phrases."""

from typing import Literal, NamedTuple, get_args

from evibridge.engine.minds.scripted.spoken_numbers import SpokenNumber, read_number
from evibridge.engine.minds.scripted.words import Word, alike, is_light, words_of

SlotKind = Literal["number", "word", "name", "text"]
SLOT_KINDS: tuple[SlotKind, ...] = get_args(SlotKind)

SUBJECT_POINTS = 3
ALIKE_POINTS = 2
LIGHT_POINTS = 1

_MAX_NAME_WORDS = 3

# What callers put before a bare answer: "it's ...", "my name is ...".
_LEAD_INS = (
    ("my", "name", "is"),
    ("the", "name", "is"),
    ("i", "would", "like"),
    ("i", "want"),
    ("i", "am"),
    ("it", "is"),
    ("that", "is"),
    ("this", "is"),
)


class Span(NamedTuple):
    """Words `begin` up to, not including, `end` of an utterance, and the points they earn."""

    begin: int
    end: int
    points: int


class Utterance:
    """Words with the numbers among them; where a word was heard is found once per word."""

    def __init__(self, text: str) -> None:
        self._words: list[Word] = words_of(text)
        self._texts = [word.text for word in self._words]
        self._numbers = [read_number(self._texts, at) for at in range(len(self._texts))]
        self._spans: dict[str, tuple[Span, ...]] = {}

    def __len__(self) -> int:
        return len(self._words)

    def heard(self, word: str) -> tuple[Span, ...]:
        """Return where a word was heard, also misspelt or written as two words."""
        if word not in self._spans:
            self._spans[word] = tuple(
                span for at in range(len(self)) if (span := self._heard_at(word, at))
            )
        return self._spans[word]

    def number_at(self, at: int) -> SpokenNumber | None:
        """Return the number that begins at a word."""
        return self._numbers[at]

    def has_number(self) -> bool:
        """Tell whether a number is said anywhere."""
        return any(self._numbers)

    def points(self, begin: int, end: int) -> int:
        """Return the points of the words of subject in a stretch; light words count nothing."""
        return sum(SUBJECT_POINTS for text in self._texts[begin:end] if not is_light(text))

    def is_light_at(self, at: int) -> bool:
        """Tell whether a word carries grammar or courtesy only."""
        return is_light(self._texts[at])

    def written(self, begin: int, end: int) -> str:
        """Return a stretch as it was written, without punctuation and hesitations."""
        return " ".join(word.written for word in self._words[begin:end] if word.written)

    def name(self, begin: int, end: int) -> str:
        """Return a stretch as a person's name: "ada lovelace" is "Ada Lovelace"."""
        return " ".join(
            word.capitalize() if word.islower() else word
            for word in self.written(begin, end).split()
        )

    def name_end(self, begin: int) -> int:
        """Return where a name that begins at a word ends at the latest: three words on."""
        end = begin
        while end < min(len(self), begin + _MAX_NAME_WORDS) and self._may_be_name(end):
            end += 1
        return end

    def answer(self, kind: SlotKind) -> str | None:
        """Return the answer to a question for a slot: "It's ten forty-two." gives "1042"."""
        if kind == "number":
            # "The two books of order 1042": the number that somebody asks for is the long one.
            return max((found.digits for found in self._numbers if found), key=len, default=None)
        begin = self._after_lead_in()
        if begin == len(self):
            return None
        if kind == "text":
            return self.written(begin, len(self))
        # "It's for Ada" gives "Ada"; "It's Will" has nothing but "Will" to give.
        begin = next((at for at in range(begin, len(self)) if not self.is_light_at(at)), begin)
        if kind == "word":
            return self.written(begin, begin + 1)
        return self.name(begin, max(begin + 1, self.name_end(begin)))

    def _heard_at(self, word: str, at: int) -> Span | None:
        here = self._texts[at]
        if is_light(word):
            return Span(at, at + 1, LIGHT_POINTS) if here == word else None
        if here == word:
            return Span(at, at + 1, SUBJECT_POINTS)
        if at + 1 < len(self) and here + self._texts[at + 1] == word:
            return Span(at, at + 2, SUBJECT_POINTS)
        if not is_light(here) and alike(here, word):
            return Span(at, at + 1, ALIKE_POINTS)
        return None

    def _may_be_name(self, at: int) -> bool:
        return self._texts[at].isalpha() and not self.is_light_at(at)

    def _after_lead_in(self) -> int:
        begins = (len(words) for words in _LEAD_INS if tuple(self._texts[: len(words)]) == words)
        return next(begins, 0)
