"""Following a script through one conversation: words in, actions out, without I/O or chance."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson

from evibridge.engine.minds.mind import (
    Action,
    CallTool,
    HangUp,
    Prompt,
    Say,
    ToolOffer,
    ToolOutcome,
)
from evibridge.engine.minds.scripted.alignment import Match
from evibridge.engine.minds.scripted.definition import (
    RESULT,
    SAID,
    TOOLS,
    Call,
    Script,
    Texts,
    Turn,
)
from evibridge.engine.minds.scripted.templates import Lookup, Placeholder, Template, choose
from evibridge.engine.minds.scripted.utterance import Utterance

_SAFE_DIGITS = 15  # what every JSON reader keeps exactly

_SORRY = "I am sorry, that did not work just now."
_NOT_UNDERSTOOD = "I am sorry, I did not understand that."


@dataclass(frozen=True, slots=True)
class _Question:
    """A question for a slot, put to the caller `asked` times so far."""

    turn: Turn
    slot: str
    asked: int = 0


class Interpreter:
    """The state of one conversation.

    Attributes:
        taken: name of the turn that answers at the moment, None after a fallback
    """

    def __init__(self, script: Script) -> None:
        self.taken: str | None = None
        self._script = script
        self._slots: dict[str, str] = {}
        self._expected: tuple[Turn, ...] = ()
        self._question: _Question | None = None
        self._calling: Turn | None = None
        self._not_understood = 0
        self._said = ""
        self._uses: Counter[Texts] = Counter()

    def greeting(self, prompt: Prompt) -> str | None:
        """Return what to open the chat with, None to let the caller begin."""
        text = self._choose(self._script.greeting, self._lookup(prompt))
        self._said = text or ""
        return text

    def reply(self, prompt: Prompt) -> list[Action]:
        """Answer what was heard last; never with silence."""
        self._calling = None
        utterance = Utterance(prompt.last_heard())
        best, question = self._best(utterance, prompt), self._question
        answer = self._answer(question.slot, utterance, best) if question else None
        if question and answer:
            self._slots |= answer
            return self._take(question.turn, prompt)
        if best:
            self._slots |= self._numbers(best.turn, utterance) | best.match.slots
            return self._take(best.turn, prompt)
        if question and question.asked < len(question.turn.missing[question.slot]):
            return self._ask(question, prompt)
        return self._fall_back(prompt)

    def after_tool(self, prompt: Prompt, outcome: ToolOutcome) -> list[Action]:
        """Tell how the tool of the current turn ended; never with silence."""
        turn, self._calling = self._calling, None
        if turn is None:
            return self._say(outcome.content or _SORRY)
        text = None
        if not outcome.failed:
            text = self._choose(turn.say, self._lookup(prompt, result=outcome.content))
        if text is None:
            return self._tell_failure(turn, prompt, outcome)
        return self._finish(turn, text)

    def _best(self, utterance: Utterance, prompt: Prompt) -> "_Candidate | None":
        """Return the turn that fits best; of equals the one that the script names first."""
        best: _Candidate | None = None
        for turn in (*self._expected, *self._script.turns):
            for phrase in turn.heard:
                match = phrase.match(utterance)
                if match is None or (best and match.score <= best.match.score):
                    continue
                if self._can_take(turn, match, prompt):
                    best = _Candidate(turn, match)
        return best

    def _answer(
        self, slot: str, utterance: Utterance, best: "_Candidate | None"
    ) -> dict[str, str] | None:
        """Return slots with the one that was asked for, None when something else was said."""
        if best and slot in best.match.slots:
            return best.match.slots
        if best and best.match.outright:
            return None
        answer = utterance.answer(self._script.slots[slot])
        return {slot: answer} if answer else None

    def _numbers(self, turn: Turn, utterance: Utterance) -> dict[str, str]:
        """Return the numbers that any phrase of a turn catches, not only the one that fits best."""
        return {
            name: caught
            for phrase in turn.heard
            if (match := phrase.match(utterance))
            for name, caught in match.slots.items()
            if self._script.slots[name] == "number"
        }

    def _can_take(self, turn: Turn, match: Match, prompt: Prompt) -> bool:
        """Tell whether a turn has, or can ask for, all that it needs to say or call something."""
        slots = dict.fromkeys(turn.missing, "to be asked") | self._slots | match.slots
        if turn.call:
            return turn.call.slots() <= slots.keys()
        return choose(turn.say, 0, self._lookup(prompt, slots)) is not None

    def _take(self, turn: Turn, prompt: Prompt) -> list[Action]:
        self.taken = turn.name
        self._not_understood = 0
        if not turn.repeats():
            self._question, self._expected = None, ()
        missing = next((slot for slot in turn.missing if slot not in self._slots), None)
        if missing:
            return self._ask(_Question(turn, missing), prompt)
        if turn.call:
            return self._call(turn, turn.call, prompt)
        return self._finish(turn, self._choose(turn.say, self._lookup(prompt)) or _NOT_UNDERSTOOD)

    def _ask(self, question: _Question, prompt: Prompt) -> list[Action]:
        texts = question.turn.missing[question.slot]
        text = choose(texts, question.asked, self._lookup(prompt)) or _NOT_UNDERSTOOD
        self._question = replace(question, asked=question.asked + 1)
        return self._say(text)

    def _call(self, turn: Turn, call: Call, prompt: Prompt) -> list[Action]:
        self._calling = turn
        lookup = self._lookup(prompt)
        offer = prompt.tool(call.tool)
        arguments = {
            name: _as_declared(argument.fill(lookup) or "", name, offer)
            if isinstance(argument, Template)
            else argument
            for name, argument in call.arguments.items()
        }
        meanwhile = self._choose(turn.meanwhile, lookup)
        words = [Say(meanwhile)] if meanwhile else []
        return [*words, CallTool(call.tool, arguments)]

    def _finish(self, turn: Turn, text: str) -> list[Action]:
        if turn.repeats():
            return [Say(text)]
        self._expected = turn.answers
        words = self._say(text)
        return [*words, HangUp()] if turn.hang_up else words

    def _tell_failure(self, turn: Turn, prompt: Prompt, outcome: ToolOutcome) -> list[Action]:
        # What the tool was called with may be what was misheard, so it is asked for again.
        for slot in turn.call.slots() if turn.call else ():
            self._slots.pop(slot, None)
        told = outcome.content if outcome.failed else None
        return self._say(told or self._choose(turn.failed, self._lookup(prompt)) or _SORRY)

    def _fall_back(self, prompt: Prompt) -> list[Action]:
        self.taken = None
        lookup = self._lookup(prompt)
        text = choose(self._script.fallback, self._not_understood, lookup) or _NOT_UNDERSTOOD
        self._not_understood += 1
        return self._say(text)

    def _say(self, text: str) -> list[Action]:
        self._said = text
        return [Say(text)]

    def _choose(self, texts: Texts, lookup: Lookup) -> str | None:
        text = choose(texts, self._uses[texts], lookup)
        self._uses[texts] += 1
        return text

    def _lookup(
        self, prompt: Prompt, slots: Mapping[str, str] | None = None, result: str | None = None
    ) -> Lookup:
        known = self._slots if slots is None else slots

        def lookup(placeholder: Placeholder) -> str | None:
            name, *fields = placeholder.path
            if placeholder.variable:
                return prompt.variables.get(name)
            if name == RESULT:
                return None if result is None else _field(result, fields)
            if name == SAID:
                return self._said or None
            if name == TOOLS:
                return _listed([offer.name.replace("_", " ") for offer in prompt.tools])
            return known.get(name)

        return lookup


class _Candidate(NamedTuple):
    turn: Turn
    match: Match


def _field(result: str, fields: Sequence[str]) -> str | None:
    """Return a field of a result that is a JSON object, or the result as it is."""
    if not fields:
        return result
    try:
        value: Any = orjson.loads(result)
    except orjson.JSONDecodeError:
        return None
    for name in fields:
        value = value.get(name) if isinstance(value, dict) else None
    return _spoken(value)


def _spoken(value: Any) -> str | None:
    match value:
        case bool():
            return "yes" if value else "no"
        case str() | int() | float():
            return str(value)
        case list():
            return _listed([text for item in value if (text := _spoken(item))])
    return None


def _listed(texts: Sequence[str]) -> str | None:
    """Join texts as they are spoken, "a, b and c"; None when there are none."""
    if len(texts) > 1:
        return f"{', '.join(texts[:-1])} and {texts[-1]}"
    return texts[0] if texts else None


def _as_declared(value: str, name: str, offer: ToolOffer | None) -> str | int:
    """Return an argument as the tool's schema declares it: digits for a number as a number."""
    properties = offer.parameters.get("properties") if offer else None
    schema = properties.get(name) if isinstance(properties, dict) else None
    kind = schema.get("type") if isinstance(schema, dict) else None
    is_number = value.isascii() and value.isdigit() and len(value) <= _SAFE_DIGITS
    return int(value) if kind in ("integer", "number") and is_number else value
