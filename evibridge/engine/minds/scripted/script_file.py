"""Reading a script from its YAML file; docs/script.md describes the format."""

import re
from collections.abc import Mapping
from pathlib import Path

from evibridge.engine.minds.scripted.definition import (
    BUILT_IN,
    RESULT,
    Argument,
    Call,
    Script,
    Texts,
    Turn,
)
from evibridge.engine.minds.scripted.phrases import Phrase
from evibridge.engine.minds.scripted.templates import Template
from evibridge.engine.minds.scripted.utterance import SlotKind
from evibridge.engine.yaml_file import Value, read_yaml, required
from evibridge.errors import EngineSetupError

SCRIPT_KEYS = ("greeting", "turns", "fallback")
TURN_KEYS = (
    "name",
    "heard",
    "missing",
    "call",
    "meanwhile",
    "say",
    "failed",
    "hang_up",
    "answers",
)
CALL_KEYS = ("tool", "with")

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RESULT_AS_IT_IS = (Template.parse(f"{{{RESULT}}}"),)


def read_script(path: Path) -> Script:
    """Read and check a script.

    Raises:
        EngineSetupError: the file cannot be read, or is no script; the sentence names the file,
            the line and the column, and says what to write
    """
    return _Reader().script(read_yaml(path))


class _Reader:
    """Reads the values of one file, and what has to agree between them."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._kinds: dict[str, SlotKind] = {}
        self._used: list[tuple[str, Value]] = []

    def script(self, value: Value) -> Script:
        keys = value.members("a script", SCRIPT_KEYS)
        turns = self._turns(required(keys, "turns", value, "a script"))
        greeting, fallback = self._texts(keys.get("greeting")), self._texts(keys.get("fallback"))
        for name, used in self._used:
            if name not in self._kinds:
                raise used.fault(
                    f'no phrase catches "{name}"; '
                    f'write it into a phrase under "heard", such as {{{name}:text}}'
                )
        return Script(turns=turns, slots=self._kinds, greeting=greeting, fallback=fallback)

    def _turns(self, value: Value) -> tuple[Turn, ...]:
        return tuple(self._turn(item) for item in value.items())

    def _turn(self, value: Value) -> Turn:
        keys = value.members("a turn", TURN_KEYS)
        call = self._call(keys["call"]) if "call" in keys else None
        for key in ("meanwhile", "failed"):
            if key in keys and call is None:
                raise keys[key].fault(f'"{key}" needs a tool; write "call" too, or leave it out')
        if call is None and "say" not in keys:
            raise value.fault('this turn has nothing to do; write "say" or "call"')
        return Turn(
            name=self._name(required(keys, "name", value, "a turn")),
            heard=self._phrases(required(keys, "heard", value, "a turn")),
            say=self._texts(keys.get("say"), with_result=call is not None) or _RESULT_AS_IT_IS,
            call=call,
            meanwhile=self._texts(keys.get("meanwhile")),
            missing=self._questions(keys["missing"]) if "missing" in keys else {},
            failed=self._texts(keys.get("failed")),
            hang_up="hang_up" in keys and keys["hang_up"].flag(),
            answers=self._turns(keys["answers"]) if "answers" in keys else (),
        )

    def _name(self, value: Value) -> str:
        name = value.text()
        if name in self._names:
            raise value.fault(f'two turns are named "{name}"; give each its own name')
        self._names.add(name)
        return name

    def _phrases(self, value: Value) -> tuple[Phrase, ...]:
        return tuple(self._phrase(item) for item in value.items())

    def _phrase(self, value: Value) -> Phrase:
        try:
            phrase = Phrase.parse(value.text())
        except EngineSetupError as error:
            raise value.fault(str(error)) from error
        for name, kind in phrase.slots().items():
            if name in BUILT_IN:
                raise value.fault(f'"{name}" has a meaning of its own; give the slot another name')
            known = self._kinds.setdefault(name, kind)
            if known != kind:
                raise value.fault(
                    f'"{name}" is a {known} in a phrase above and a {kind} here; '
                    "give the slots different names"
                )
        return phrase

    def _questions(self, value: Value) -> Mapping[str, Texts]:
        questions = value.mapping('"missing"')
        self._used += questions.items()
        return {name: self._texts(texts) for name, texts in questions.items()}

    def _call(self, value: Value) -> Call:
        keys = value.members('"call"', CALL_KEYS)
        tool = required(keys, "tool", value, '"call"')
        if not _TOOL_NAME.fullmatch(tool.text()):
            raise tool.fault(
                "a tool's name has up to 64 letters, digits, _ and -; write such a name"
            )
        arguments = keys["with"].mapping('"with"') if "with" in keys else {}
        return Call(tool.text(), {name: self._argument(value) for name, value in arguments.items()})

    def _argument(self, value: Value) -> Argument:
        constant = value.constant()
        return self._text(value, with_result=False) if constant is None else constant

    def _texts(self, value: Value | None, *, with_result: bool = False) -> Texts:
        items = value.items() if value else []
        return tuple(self._text(item, with_result=with_result) for item in items)

    def _text(self, value: Value, *, with_result: bool) -> Template:
        try:
            template = Template.parse(value.text())
        except EngineSetupError as error:
            raise value.fault(str(error)) from error
        for placeholder in template.placeholders():
            name, *fields = placeholder.path
            if placeholder.variable:
                continue
            if name == RESULT and not with_result:
                raise value.fault(f'{{{RESULT}}} is known only in the "say" of a turn with "call"')
            if name != RESULT and fields:
                raise value.fault(f"only {{{RESULT}}} has fields; write {{{name}}}")
            if name not in BUILT_IN:
                self._used.append((name, value))
        return template
