"""Where a voice pauses: a reply cut into pieces that are synthesised and sent one by one. Pure."""

import re

MAX_CHARACTERS = 200
"""About 12 s of speech: synthesised long before the piece ahead of it has been played."""

# A longer first sentence gives up its first clause, so that the voice begins early; pieces below
# the lower limit do not sound like speech by themselves.
_FIRST_CHARACTERS = 80
_CLAUSE_CHARACTERS = 20

_OPENING, _CLOSING = "\"'([*_\u2018\u201c", "\"')]*_\u2019\u201d"
_CLAUSE_END = re.compile(rf"(?:[,;:\u2013\u2014][{re.escape(_CLOSING)}]*|\s-)\s")
_BEFORE_NAMES = frozenset({"mr", "mrs", "ms", "dr", "prof", "st", "mt", "e.g", "i.e", "vs", "cf"})
_BEFORE_NUMBERS = frozenset({"no", "nos", "p", "pp", "vol", "fig", "ch", "tel", "ext", "approx"})

# No more of a word decides whether the one before it ends a sentence.
_MAX_OPENING = 16
_RUN = re.compile(rf"\S{{1,{MAX_CHARACTERS}}}|\s+")


def sentences(text: str) -> list[str]:
    """Cut a reply into sentences, and long sentences into clauses.

    Words are never changed or reordered, and only one longer than a whole piece is cut. A line
    break ends a sentence. What cannot be spoken, such as an emoji, stays with the words beside it.

    Returns:
        pieces of 1 to `MAX_CHARACTERS` characters with single spaces; none for blank text
    """
    stream = SentenceStream()
    return stream.feed(text) + stream.flush()


class SentenceStream:
    """Cuts a reply while it is being written.

    However the text is cut into the pieces that are fed, the sentences are those of the whole
    text. Each is given at the first letter or digit behind it: until then, an emoji may follow
    that belongs to it, and `3.` may become `3.50`. At most two sentences are held.
    """

    def __init__(self) -> None:
        self._complete = ""  # a sentence that unspeakable characters may still join
        self._sentence = ""  # what is left of the sentence that is being written
        self._speakable = False  # whether it has had a letter or digit
        self._words = 0
        self._word = ""  # its last word, or the end of a very long one
        self._word_over = False
        self._following = ""  # first characters of the next word, which do not decide yet
        self._begun = False  # whether any sentence has been given
        self._given: list[str] = []

    def feed(self, piece: str) -> list[str]:
        """Take the next characters; return the sentences that are known with them."""
        for run in _RUN.findall(piece):
            if run.isspace():
                self._end_word(line_ends=run.splitlines() != [run])
            elif self._word_over:
                self._following += run
                if self._following.lstrip(_OPENING + "#") or len(self._following) >= _MAX_OPENING:
                    self._begin_word()
            else:
                self._add(run)
        return self._take()

    def flush(self) -> list[str]:
        """Return what is left: the text is over."""
        self._end_word(line_ends=True)
        if self._complete:  # otherwise it would be a piece of its own that cannot be spoken
            self._sentence = " ".join(filter(None, (self._complete, self._sentence)))
            self._complete = ""
            self._cut()
        if self._sentence:
            self._give(self._sentence)
        self._begin_sentence()
        return self._take()

    def _take(self) -> list[str]:
        given, self._given = self._given, []
        return given

    def _give(self, piece: str) -> None:
        self._given.append(piece)
        self._begun = True

    def _end_word(self, *, line_ends: bool) -> None:
        if self._following:
            self._begin_word()
        self._word_over = bool(self._word)
        if line_ends and self._speakable:
            self._end_sentence()

    def _begin_word(self) -> None:
        first, self._following = self._following, ""
        opening = first[:_MAX_OPENING]
        if self._speakable and _ends_sentence(self._word, opening, alone=self._words == 1):
            self._end_sentence()
        self._word_over, self._word = False, ""
        self._add(first)

    def _add(self, characters: str) -> None:
        """Lengthen the sentence by the next characters of a word, or by its first ones."""
        if not self._word:
            self._words += 1
            self._sentence += " " if self._sentence else ""
        self._word = (self._word + characters)[-MAX_CHARACTERS:]
        self._sentence += characters
        self._speakable = self._speakable or any(map(str.isalnum, characters))
        together = len(self._complete) + 1 + len(self._sentence)
        if self._complete and (self._speakable or together > MAX_CHARACTERS):
            self._give(self._complete)
            self._complete = ""
        if not self._complete:
            self._cut()

    def _cut(self) -> None:
        """Give what is too long for one piece."""
        if not self._begun and (cut := _first_clause(self._sentence)):
            self._give_until(cut)
        while len(self._sentence) > MAX_CHARACTERS:
            self._give_until(_last_pause(self._sentence))

    def _give_until(self, cut: int) -> None:
        self._give(self._sentence[:cut].rstrip())
        self._sentence = self._sentence[cut:].lstrip()

    def _end_sentence(self) -> None:
        self._complete = self._sentence
        self._begin_sentence()

    def _begin_sentence(self) -> None:
        self._sentence, self._speakable, self._words = "", False, 0
        self._word, self._word_over = "", False


def _ends_sentence(last: str, following: str, *, alone: bool) -> bool:
    """Tell whether a word ends a sentence; `alone` when it is the first of it too."""
    word = last.strip(_OPENING + _CLOSING)
    if not word.endswith((".", "!", "?", "…")) or following.lstrip(_OPENING)[:1].islower():
        return False
    if not word.endswith("."):
        return True
    stem = word[:-1].lower()
    if stem in _BEFORE_NUMBERS:
        return not following.lstrip("#")[:1].isdigit()
    initial = len(stem) == 1 and stem.isalpha() and stem != "i"
    list_number = alone and stem.isdigit()
    return not (stem in _BEFORE_NAMES or initial or list_number)


def _first_clause(sentence: str) -> int:
    """Where the first clause of a long sentence ends, 0 to keep it whole."""
    if len(sentence) <= _FIRST_CHARACTERS:
        return 0
    ends = (clause.end() for clause in _CLAUSE_END.finditer(sentence))
    latest = min(MAX_CHARACTERS, len(sentence)) - _CLAUSE_CHARACTERS
    return next((end for end in ends if _CLAUSE_CHARACTERS <= end <= latest), 0)


def _last_pause(text: str) -> int:
    """Where to cut text that is too long: behind a clause, else a word, else anywhere."""
    within = text[: MAX_CHARACTERS + 1]
    ends = [clause.end() for clause in _CLAUSE_END.finditer(within)]
    if ends and ends[-1] >= _CLAUSE_CHARACTERS:
        return ends[-1]
    space = within.rfind(" ")
    return space if space > 0 else MAX_CHARACTERS
