"""A service with lively calls in several states, to look at the console and to take pictures of it.

    python -m tests.browser.console_stage --port 8099

Then open http://127.0.0.1:8099/console and sign in with `ada-token` or `sam-token`, who may act, or
with `wall-token`, who may watch. Callers who are hung up on call again a moment later.
"""

import argparse
import asyncio
import itertools
import logging
import random
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
from aiohttp import web

from evibridge.emulators.caller import Listen, Say, Speech, Step, WaitForAgent
from evibridge.emulators.twilio import TwilioPhone
from evibridge.errors import EvibridgeError
from tests.browser.console_evi import Voice, serve_evi
from tests.processes import Running, running

log = logging.getLogger(__name__)
TOKENS = "ada:control=ada-token,sam:control=sam-token,wall:read=wall-token"
TARGETS = "workshop=+442079460100,accounts=+442079460101"
AGENT = Path(__file__).with_name("console_agent.py")
CALLERS = (
    "+447700900142", "+441134960144", "+447700900871", "+442079460318",
    "+441314960027", "+442920180061", "+447700900466",
)  # fmt: skip
CALLER_RATE_HZ = 8000
LONGEST_S = 1500.0
SHORT_CALLS = 4
"""That have ended soon, so that the history is not empty."""
BEGIN_APART_S = 1.0
CALL_AGAIN_S = 3.0
DONE_BY_SAM = ((4, "hold"), (5, "pause"), (6, "takeover"))
"""Number of the call, and the command."""


def talk(number: int, turns: int | None = None) -> Iterator[Step]:
    """What somebody on the phone does: one turn after another; in between he lets nobody finish.

    Args:
        number: of the caller
        turns: after which he hangs up; None talks until the call is ended
    """
    chance = random.Random(number)
    voice = Voice(100 + 12 * number, CALLER_RATE_HZ)
    yield WaitForAgent(quiet_ms=600, limit_ms=8000)
    for _ in range(turns) if turns is not None else itertools.count():
        yield Say(Speech(voice.says(chance.randint(1200, 3500))))
        cuts_in = chance.random() < 0.2
        yield Listen(3000) if cuts_in else WaitForAgent(quiet_ms=900, limit_ms=12_000)
    yield Listen(300)


async def keep_calling(origin: str, number: int) -> None:
    """One caller, who calls again whenever his call was ended."""
    await asyncio.sleep(number * BEGIN_APART_S)
    while True:
        await call_once(origin, number, None)
        await asyncio.sleep(CALL_AGAIN_S)


async def hang_up_soon(origin: str, number: int) -> None:
    """One caller who comes after the others, and goes before them."""
    await asyncio.sleep(len(CALLERS) * BEGIN_APART_S + number / 2)
    await call_once(origin, number, 1 + number % 2)


async def call_once(origin: str, number: int, turns: int | None) -> None:
    """One call, from its beginning to its end."""
    phone = TwilioPhone(
        f"{origin}/twilio/voice",
        from_number=CALLERS[number % len(CALLERS)],
        to_number="+442079460199",
        limit_s=LONGEST_S,
    )
    try:
        await phone.call(talk(number, turns))
    except EvibridgeError as error:
        log.warning("Caller %s: %s", number, error)


async def let_sam_act(origin: str) -> None:
    """Bring some of the calls into the states that an operator brings them into."""
    headers = {"Authorization": "Bearer sam-token"}
    async with aiohttp.ClientSession(origin, headers=headers) as http:
        while True:
            async with http.get("/v1/calls") as answer:
                calls = {call["caller"]: call["call_id"] for call in (await answer.json())["calls"]}
            if len(calls) >= len(CALLERS):
                break
            await asyncio.sleep(1)
        for number, command in DONE_BY_SAM:
            path = f"/v1/calls/{calls[CALLERS[number]]}/{command}"
            async with http.post(path) as answer:
                if answer.status != 200:
                    log.warning("%s: %s", command, await answer.text())


@asynccontextmanager
async def staged(port: int = 0) -> AsyncIterator[Running]:
    """The service, with its callers.

    Args:
        port: of the service; 0 takes a free one
    """
    async with AsyncExitStack() as leaving:
        folder = leaving.enter_context(tempfile.TemporaryDirectory())
        evi = await serve_evi()
        leaving.push_async_callback(evi.cleanup)
        command = ("run", str(AGENT), "--port", str(port), "--evi-url", origin_of(evi))
        service = await leaving.enter_async_context(
            running(
                *command,
                announced_by="phone webhook",
                EVIBRIDGE_OPERATOR_TOKEN=TOKENS,
                EVIBRIDGE_TRANSFER_TARGETS=TARGETS,
                EVIBRIDGE_DATA_DIR=folder,
                EVIBRIDGE_RECORD="true",
                EVIBRIDGE_MAX_CALLS="40",
                EVIBRIDGE_DRAIN_SECONDS="0",
                HUME_API_KEY="any",
            )
        )
        group = await leaving.enter_async_context(asyncio.TaskGroup())
        short = [hang_up_soon(service.origin, number) for number in range(SHORT_CALLS)]
        long = [keep_calling(service.origin, number) for number in range(len(CALLERS))]
        tasks = [group.create_task(act) for act in (*short, *long, let_sam_act(service.origin))]
        yield service
        for task in tasks:
            task.cancel()


def origin_of(evi: web.AppRunner) -> str:
    return "http://{}:{}".format(*evi.addresses[0][:2])


async def main(port: int) -> None:
    """Until the process is ended."""
    async with staged(port) as service:
        log.warning("%s/console", service.origin)
        await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m tests.browser.console_stage")
    options.add_argument("--port", type=int, default=8099)
    with suppress(KeyboardInterrupt):
        asyncio.run(main(options.parse_args().port))
