"""Losses that only time shows: they take place at the same time, and each is judged by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")
Scenario = Callable[[T], Awaitable[None]]


class Together(Generic[T]):
    """Collects scenarios, runs them all at once, and hands out the outcome of each."""

    def __init__(self) -> None:
        self._scenarios: dict[str, Scenario[T]] = {}
        self._running: dict[str, asyncio.Future[None]] = {}

    def __call__(self, scenario: Scenario[T]) -> Scenario[T]:
        """Add the decorated scenario."""
        self._scenarios[scenario.__name__] = scenario
        return scenario

    @property
    def names(self) -> list[str]:
        """Parameters of the test that judges them."""
        return list(self._scenarios)

    @asynccontextmanager
    async def running(self, *arguments: T) -> AsyncIterator["Together[T]"]:
        """Run all of them, each with the next of these arguments."""
        self._running = {
            name: asyncio.ensure_future(scenario(argument))
            for (name, scenario), argument in zip(self._scenarios.items(), arguments, strict=True)
        }
        yield self
        for running in self._running.values():
            running.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def outcome(self, name: str) -> None:
        """Wait for the end of a scenario; raises what it has raised."""
        await self._running[name]
