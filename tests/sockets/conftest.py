import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop
from aiohttp import web
from aiohttp.test_utils import TestServer

from evibridge.sockets import mount, serve
from tests.sockets.peers import Desk


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every asynchronous test of this folder on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def _application() -> web.Application:
    async def plain(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.method} plain")

    app = web.Application()
    app.router.add_get("/plain", plain)
    return app


@pytest.fixture
async def no_task_left() -> AsyncIterator[None]:
    yield
    # A task that has just been told to end needs a turn of the loop, never time.
    for _ in range(20):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
async def one_port(no_task_left: None) -> AsyncIterator[Desk]:
    """A server of ours: picows takes its sockets from the first byte."""
    del no_task_left
    desk = Desk()
    server = await serve(_application(), desk.routes(), host="127.0.0.1", port=0)
    desk.port = server.port
    yield desk
    await server.close()


@pytest.fixture
async def mounted(no_task_left: None) -> AsyncIterator[Desk]:
    """Somebody else's aiohttp server: the upgrade request has been read by aiohttp."""
    del no_task_left
    desk = Desk()
    app = _application()
    mount(app, desk.routes())
    async with TestServer(app) as server:
        assert server.port is not None
        desk.port = server.port
        yield desk


@pytest.fixture(params=["one_port", "mounted"])
def desk(request: pytest.FixtureRequest) -> Desk:
    """Both entrances of a server: what follows must not depend on which was taken."""
    chosen = request.getfixturevalue(request.param)
    assert isinstance(chosen, Desk)
    return chosen
