"""The owner's own function behind EVI's built-in tool `web_search`."""

import asyncio
import importlib
import inspect
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path

import orjson

from evibridge.errors import EngineSetupError, Overloaded

WebSearch = Callable[[str], Awaitable[str]]
"""From a query to what was found, as text for the mind; any exception is a failed search."""

MAX_THREADS = 32
"""For functions that block: one that hangs cannot be stopped, and must not fill the process."""
_THREAD_NAME = "web_search"

MAX_RESULT_CHARACTERS = 20_000
"""More than a mind can turn into a spoken answer; a whole web page would crowd out the talk."""


def load_search(where: str, folder: Path) -> WebSearch:
    """Import `module:function`, a function from a query to a text or a dictionary.

    A function that is not async runs in a thread of its own.

    Args:
        where: module and function
        folder: where the module may be, besides Python's own path

    Raises:
        EngineSetupError: there is no such function, or its module fails; half a sentence, for
            whoever knows where it is configured
    """
    module_name, _, name = where.partition(":")
    if not name.isidentifier() or not all(part.isidentifier() for part in module_name.split(".")):
        raise EngineSetupError(f'"{where}" is no function; write module:function')
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.insert(0, place)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise EngineSetupError(
            f"the module {module_name} cannot be imported ({type(error).__name__}: {error}); "
            f"it belongs on Python's path or into {folder}"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise EngineSetupError(f'the module {module_name} has no function "{name}"; write it there')
    if not _takes_one_argument(function):
        raise EngineSetupError(f"{where} cannot be called with a query alone; let it take one text")
    return _searching(function)


def _takes_one_argument(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind("query")
    except (TypeError, ValueError):
        return False
    return True


def _searching(function: Callable[[str], object]) -> WebSearch:
    async def search(query: str) -> str:
        is_async = inspect.iscoroutinefunction(function)
        found = function(query) if is_async else await _in_thread(function, query)
        if inspect.isawaitable(found):  # a decorated function may hide that it is async
            found = await found
        if isinstance(found, str):
            # What EVI's clients read: `{"summary", "references"}`.
            found = {"summary": found[:MAX_RESULT_CHARACTERS], "references": []}
        text = orjson.dumps(found).decode()
        if len(text) > 2 * MAX_RESULT_CHARACTERS:
            raise ValueError(f"a search found {len(text)} characters: return fewer")
        return text

    return search


async def _in_thread(function: Callable[[str], object], query: str) -> object:
    """Call a function that blocks.

    In asyncio's own threads, a few that hang would hold up look-ups of host names, and the end of
    the process.
    """
    if sum(thread.name == _THREAD_NAME for thread in threading.enumerate()) >= MAX_THREADS:
        raise Overloaded("Too many searches are under way: let the function give up in time.")
    answer: Future[object] = Future()
    answer.set_running_or_notify_cancel()

    def work() -> None:
        try:
            answer.set_result(function(query))
        except BaseException as error:  # noqa: BLE001 - whoever searches raises it
            answer.set_exception(error)

    threading.Thread(target=work, name=_THREAD_NAME, daemon=True).start()
    return await asyncio.wrap_future(answer)
