"""Finding the route of a path, whose segments may be parameters: `/chat/{chat_id}/connect`."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import unquote

from evibridge.sockets.interface import PARAMETER, SocketRoute

_NOTHING: Mapping[str, str] = MappingProxyType({})


class Paths:
    """The routes of one port by their paths."""

    def __init__(self, routes: Iterable[SocketRoute] = ()) -> None:
        self._exact: dict[str, SocketRoute] = {}
        self._patterns: list[tuple[re.Pattern[str], SocketRoute]] = []
        for route in routes:
            if "{" in route.path:
                self._patterns.append((_pattern(route.path), route))
            else:
                self._exact[route.path] = route

    def find(self, path: str) -> tuple[SocketRoute, Mapping[str, str]] | None:
        """Find a route and the values of its parameters.

        Args:
            path: as it was sent, without the query
        """
        route = self._exact.get(path)
        if route is not None:
            return route, _NOTHING
        for pattern, route in self._patterns:
            match = pattern.fullmatch(path)
            if match is not None:
                return route, {name: unquote(raw) for name, raw in match.groupdict().items()}
        return None


def _pattern(path: str) -> re.Pattern[str]:
    # Splitting by an expression with one group leaves what stands between, and the names.
    parts = PARAMETER.split(path)
    parts[::2] = [re.escape(literal) for literal in parts[::2]]
    parts[1::2] = [f"(?P<{name}>[^/]+)" for name in parts[1::2]]
    return re.compile("".join(parts))


def as_aiohttp_wants_it(path: str) -> str:
    """Let a parameter be any segment: without an expression, aiohttp takes none with braces."""
    return PARAMETER.sub(r"{\1:[^/]+}", path)
