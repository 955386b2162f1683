"""YAML in which every value knows its line, so that a fault can be told where it stands."""

import difflib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from evibridge.errors import EngineSetupError

MAX_BYTES = 1024 * 1024
"""Many times what a person writes by hand."""

MAX_DEPTH = 20
"""Twice what a script needs, the deepest of these files; composing deeper nesting could exhaust the
stack."""

# The parser in C, where PyYAML was built with it, is ten times as fast.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the file and its place."""

    node: yaml.Node
    file: str

    def fault(self, what: str) -> EngineSetupError:
        """Return the error that tells what is wrong here and what to write."""
        return _fault(self.file, self.node.start_mark, what)

    def mapping(self, what: str) -> dict[str, "Value"]:
        """Return the members of a mapping whose keys are free.

        Args:
            what: what the mapping is, for the sentence of a fault

        Raises:
            EngineSetupError: it is no mapping, or a key stands twice
        """
        if not self.is_mapping():
            raise self.fault(f'{what} is expected here; write "key: value" lines')
        members: dict[str, Value] = {}
        for key_node, node in self.node.value:
            key = Value(key_node, self.file)
            name = key.text()
            if name in members:
                raise key.fault(f'"{name}" stands twice in {what}; write it once')
            members[name] = Value(node, self.file)
        return members

    def members(self, what: str, keys: Collection[str]) -> dict[str, "Value"]:
        """Return the members of a mapping that may have these keys and no others."""
        members = self.mapping(what)
        for key_node, _ in self.node.value:
            if key_node.value not in keys:
                close = difflib.get_close_matches(key_node.value, keys, n=1)
                hint = f'"{close[0]}"' if close else f"one of {', '.join(keys)}"
                raise Value(key_node, self.file).fault(
                    f'"{key_node.value}" is no key of {what}; write {hint}'
                )
        return members

    def items(self) -> list["Value"]:
        """Return the items of a list; a single value is a list of one."""
        if not isinstance(self.node, yaml.SequenceNode):
            return [self]
        if not self.node.value:
            raise self.fault("the list is empty; write at least one item, or leave out the key")
        return [Value(node, self.file) for node in self.node.value]

    def text(self) -> str:
        """Return a text; `yes`, `12` and the like are texts here, with or without quotes."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.fault('a text is expected here; put a text that begins with "{" in quotes')
        text = str(self.node.value).strip()
        if not text:
            raise self.fault("a text is expected here; write one, or leave out the key")
        return text

    def flag(self) -> bool:
        """Return a truth value."""
        if self.node.tag != f"{_TAG}bool":
            raise self.fault("a truth value is expected here; write true or false")
        return bool(yaml.safe_load(self.node.value))

    def constant(self) -> int | float | bool | None:
        """Return a number or truth value, None for everything that is text."""
        if self.node.tag not in (f"{_TAG}int", f"{_TAG}float", f"{_TAG}bool"):
            return None
        constant = self._constant()
        if not isinstance(constant, int | float) or not math.isfinite(constant):
            raise self.fault("this number has no JSON form; put it in quotes")
        return constant

    def number(self, lowest: float, highest: float) -> float:
        """Return a number of a range, a whole one as an `int`."""
        number = self._constant() if self.node.tag in (f"{_TAG}int", f"{_TAG}float") else None
        if not isinstance(number, int | float) or not lowest <= number <= highest:
            raise self.fault(f"a number from {lowest:g} to {highest:g} is expected here")
        return number

    def whole_number(self, lowest: int, highest: int) -> int:
        """Return a whole number of a range."""
        number = self._constant() if self.node.tag == f"{_TAG}int" else None
        if not isinstance(number, int) or not lowest <= number <= highest:
            raise self.fault(f"a whole number from {lowest} to {highest} is expected here")
        return number

    def is_mapping(self) -> bool:
        """Tell whether the value has keys."""
        return isinstance(self.node, yaml.MappingNode)

    def is_null(self) -> bool:
        """Tell whether there is no value: nothing at all, `null` or `~`."""
        return bool(self.node.tag == f"{_TAG}null")

    def _constant(self) -> Any:
        try:
            return yaml.safe_load(self.node.value)
        except ValueError:  # Python reads no integers of more than 4300 digits
            return math.inf


def required(members: Mapping[str, Value], key: str, of: Value, what: str) -> Value:
    """Return the member that a mapping cannot do without.

    Args:
        members: the members of the mapping
        key: the member
        of: the mapping itself
        what: what the mapping is, for the sentence of a fault
    """
    if key not in members:
        raise of.fault(f'{what} needs the key "{key}"; write it')
    return members[key]


def read_yaml(path: Path) -> Value:
    """Read a file of at most `MAX_BYTES` that holds one YAML document.

    Raises:
        EngineSetupError: the file cannot be read, or is no such document
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise EngineSetupError(
            f"{path} cannot be read ({error.strerror}); check the path."
        ) from error
    if len(data) > MAX_BYTES:
        raise EngineSetupError(f"{path} is larger than {MAX_BYTES} bytes; write a shorter file.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise EngineSetupError(f"{path}, line {line}: save the file as UTF-8.") from error
    return Value(_compose(text, str(path)), str(path))


def _compose(text: str, file: str) -> yaml.Node:
    try:
        depth = 0
        for event in yaml.parse(text, Loader=_LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _fault(file, event.start_mark, "nested too deeply; write it flatter")
            if isinstance(event, yaml.AliasEvent):
                raise _fault(
                    file, event.start_mark, 'begins with "*"; put it in quotes, or write it out'
                )
        node: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    except yaml.reader.ReaderError as error:
        raise EngineSetupError(
            f"{file}, character {error.position + 1}: "
            "this character is not allowed in YAML; remove it."
        ) from error
    except yaml.MarkedYAMLError as error:
        problem = error.problem or error.context
        raise _fault(
            file,
            error.problem_mark or error.context_mark,
            f"the YAML cannot be read ({problem}); check the indentation, and give a text "
            "with braces or a colon quotes or a line of its own",
        ) from error
    if node is None:
        raise EngineSetupError(f"{file} is empty; write at least one key.")
    return node


def _fault(file: str, mark: Any, what: str) -> EngineSetupError:
    place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return EngineSetupError(f"{file}{place}: {what}.")
