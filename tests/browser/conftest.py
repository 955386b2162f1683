from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Protocol

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from evibridge.engine.hearing.ears import WhisperEars
from tests.browser.chromium import Chromium, microphone_flags
from tests.browser.console_calls import ConsoleCalls, open_console_calls
from tests.browser.console_operator import Operator, operator
from tests.browser.microphone import MicrophoneFile
from tests.browser.shop import Shop, open_shop
from tests.browser.visitor import Transport, Visitor, visitor
from tests.processes import Running, run_service

LOOPBACK_SERVICE = "tests.browser.loopback_service"

Microphones = Callable[..., MicrophoneFile]


class Visit(Protocol):
    async def __call__(
        self,
        transport: Transport = "webrtc",
        *,
        microphone: MicrophoneFile | None = None,
        flags: tuple[str, ...] | None = None,
        origin: str | None = None,
        may_complain: str | None = None,
    ) -> Visitor: ...


class Desk(Protocol):
    async def __call__(
        self,
        token: str | None = None,
        *,
        microphone: MicrophoneFile | None = None,
        origin: str | None = None,
        may_complain: str | None = None,
    ) -> Operator: ...


@pytest.fixture(scope="package")
def ears() -> Iterator[WhisperEars]:
    ears = WhisperEars.load()
    yield ears
    ears.close()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def shop() -> AsyncIterator[Shop]:
    async with open_shop() as shop:
        yield shop


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def service(shop: Shop) -> AsyncIterator[Running]:
    async with run_service(
        module=LOOPBACK_SERVICE, EVIBRIDGE_ALLOWED_ORIGINS=shop.origin
    ) as running:
        shop.service_origin = running.origin
        yield running
        faults = [line for line in running.log if '"level": "error"' in line]
        assert not faults


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def chromium() -> AsyncIterator[Chromium]:
    async with async_playwright() as playwright:
        chromium = Chromium(playwright)
        yield chromium
        await chromium.close()


@pytest.fixture(scope="package")
def microphones(tmp_path_factory: pytest.TempPathFactory) -> Microphones:
    """The microphone in which somebody says so at these times."""
    folder = tmp_path_factory.mktemp("microphones")
    made: dict[tuple[tuple[float, str], ...], MicrophoneFile] = {}

    def microphone(*utterances: tuple[float, str]) -> MicrophoneFile:
        if utterances not in made:
            made[utterances] = MicrophoneFile(folder / f"{len(made)}.wav", *utterances)
        return made[utterances]

    return microphone


@pytest_asyncio.fixture(loop_scope="package")
async def visit(
    service: Running, chromium: Chromium, microphones: Microphones
) -> AsyncIterator[Visit]:
    """Somebody opens a page; without a microphone of his own he has one in which nobody speaks."""
    async with AsyncExitStack() as leaving:
        visitors: list[tuple[Visitor, str | None]] = []

        async def visit(
            transport: Transport = "webrtc",
            *,
            microphone: MicrophoneFile | None = None,
            flags: tuple[str, ...] | None = None,
            origin: str | None = None,
            may_complain: str | None = None,
        ) -> Visitor:
            if flags is None:
                flags = microphone_flags((microphone or microphones()).path)
            context = await (await chromium.browser(flags)).new_context()
            leaving.push_async_callback(context.close)
            person = await visitor(context, origin or service.origin, transport)
            visitors.append((person, may_complain))
            return person

        yield visit
        for person, may_complain in visitors:
            await person.leaves()
            assert not person.unexpected(may_complain)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def console_service(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[ConsoleCalls]:
    async with open_console_calls(tmp_path_factory.mktemp("console")) as calls:
        yield calls
        faults = [line for line in calls.service.log if '"level": "error"' in line]
        assert not faults
        assert not calls.evi.complaints


@pytest_asyncio.fixture(loop_scope="package")
async def calls(console_service: ConsoleCalls) -> AsyncIterator[ConsoleCalls]:
    """Nobody calls when a test begins, and nobody when it is over."""
    yield console_service
    await console_service.clear()


@pytest_asyncio.fixture(loop_scope="package")
async def desk(
    console_service: ConsoleCalls, chromium: Chromium, microphones: Microphones
) -> AsyncIterator[Desk]:
    """An operator sits down at the console, and signs in if he has a token."""
    async with AsyncExitStack() as leaving:
        operators: list[tuple[Operator, str | None]] = []

        async def desk(
            token: str | None = None,
            *,
            microphone: MicrophoneFile | None = None,
            origin: str | None = None,
            may_complain: str | None = None,
        ) -> Operator:
            flags = microphone_flags((microphone or microphones()).path)
            context = await (await chromium.browser(flags)).new_context(accept_downloads=True)
            leaving.push_async_callback(context.close)
            person = await operator(context, origin or console_service.service.origin)
            operators.append((person, may_complain))
            if token is not None:
                await person.signs_in(token)
            return person

        yield desk
        for person, may_complain in operators:
            await person.leaves()
            assert not person.unexpected(may_complain)
