"""Pages of the documentation as tests read them: their code, their tables, and requests in them."""

import asyncio
import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

import aiohttp

from tests.parties import PATIENCE_S

_SECTION = re.compile(r"^##+ (.+?)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def quoted(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`\n]+)`", cell)


def like(shown: Any, real: Any) -> bool:
    """Whether a document has the members, and values of the kinds, that a page shows."""
    if isinstance(shown, dict):
        return shown.keys() == real.keys() and all(like(shown[name], real[name]) for name in shown)
    if isinstance(shown, list):
        return len(shown) == len(real) and all(map(like, shown, real))
    return isinstance(real, (float, int) if isinstance(shown, float) else type(shown))


@dataclass(frozen=True)
class Section:
    """What stands below a heading, until the next one."""

    text: str

    def code(self, kind: str) -> list[str]:
        """The blocks of code of a kind; "" for those that name none."""
        return [text for of, text in _BLOCK.findall(self.text) if of == kind]

    @property
    def document(self) -> Any:
        """The first JSON document."""
        return json.loads(self.code("json")[0])

    def typed(self, **variables: str) -> list[list[str]]:
        """The words of every line that is typed into a shell, which knows these variables."""
        lines = "".join(self.code("sh")).replace("\\\n", "").splitlines()
        return [shlex.split(Template(line).substitute(variables)) for line in lines]

    def requests(self, **variables: str) -> list["Request"]:
        """What is sent by `curl`."""
        lines = self.typed(**variables)
        return [_request(words[1:]) for words in lines if words[0] == "curl"]

    def table(self, heading: str, *, after: str = "") -> list[list[str]]:
        """The cells of the table whose first column has this heading, after some words."""
        text = self.text[self.text.index(after) :]
        rows = text.partition(f"\n| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
        return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]


def sections(page: Path) -> dict[str, Section]:
    """A page by its headings."""
    return {name: Section(text) for name, text in _SECTION.findall(page.read_text())}


@dataclass(frozen=True)
class Request:
    """A request as `curl` sends it."""

    path: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None

    async def send(self, http: aiohttp.ClientSession, origin: str) -> tuple[int, Any]:
        """Status and body of the answer: a document, or bytes."""
        how: Any = {"headers": self.headers, "data": self.body}
        async with (
            asyncio.timeout(PATIENCE_S),
            http.request(self.method, origin + self.path, **how) as answer,
        ):
            is_json = answer.content_type == "application/json"
            return answer.status, await (answer.json() if is_json else answer.read())


def _request(words: list[str]) -> Request:
    method, body, paths = None, None, []
    headers: dict[str, str] = {}
    while words:
        match words.pop(0):
            case "-s":
                pass
            case "-o":
                words.pop(0)
            case "-X":
                method = words.pop(0)
            case "-d":
                body = words.pop(0)
            case "-H":
                name, _, value = words.pop(0).partition(": ")
                headers[name] = value
            case path:
                paths.append(path)
    (path,) = paths
    return Request(path, method or ("GET" if body is None else "POST"), headers, body)
