"""Commands as they come over HTTP: checked, done once, and answered.

What is wrong with a request is found out in the order of what it costs: how many its operator has
sent, whether there is such a call, and only then what the body says.
"""

import asyncio
import hashlib
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import structlog
from aiohttp import web
from pydantic import ValidationError

from evibridge.agent.commands import OperatorCommand
from evibridge.errors import CommandRefused, Overloaded
from evibridge.operator_access import Operator
from evibridge.operators.answers import Answer, answer
from evibridge.operators.bodies import AttachBody, DialBody, VoiceBody, WebSessionBody
from evibridge.operators.command_rate import CommandRate
from evibridge.operators.errors import (
    RequestRefused,
    command_refused,
    refused,
    unfit,
    unfit_for,
)
from evibridge.operators.idempotency import IDEMPOTENCY_KEY, MAX_KEY, Begin, Idempotency
from evibridge.operators.parts import ServiceParts
from evibridge.operators.request_body import parsed, read_body
from evibridge.operators.routes import MAKE_WEB_SESSION, OPEN_VOICE, Route
from evibridge.operators.views import CommandDone, VoiceAnswer, WebSessionMade

END_WITHIN_S = 2.0
"""How long commands that are being done may go on when the service ends."""

NOTHING_DONE = 503
"""An answer that is not given again: what could not be done now is tried anew."""

_LOGGED = re.compile(r"[!-~]{1,128}")
"""An id that nobody has checked, as it may stand in a log."""

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[Answer]]
"""A command whose request is in order, to be done."""


class Commanding:
    """Takes commands.

    Args:
        parts: of the service
        rate: how many commands an operator may give
        web_session_rate: how many callers he may let in from web pages, whatever else he does
    """

    def __init__(
        self, parts: ServiceParts, rate: CommandRate, web_session_rate: CommandRate
    ) -> None:
        self._parts = parts
        self._rate = rate
        self._web_session_rate = web_session_rate
        self._kept: Idempotency[Answer] = Idempotency()
        self._running: set[asyncio.Task[Answer]] = set()

    async def take(self, route: Route, request: web.Request, by: Operator) -> Answer:
        """Do what a request asks for, and answer it; one line of the log tells of it."""
        try:
            answered = await self._take(route, request, by)
        except RequestRefused as refusal:
            answered = refusal.answer
        except Overloaded:
            answered = refused("overloaded").answer
        call_id = request.match_info.get("call_id", "")
        log.info(
            "operator_command",
            command=route.operation,
            by=by.name,
            call_id=call_id if _LOGGED.fullmatch(call_id) else None,
            status=answered.status,
        )
        return answered

    async def close(self) -> None:
        """Wait for the commands that are being done, and give up those that take too long."""
        if self._running:
            await asyncio.wait(self._running, timeout=END_WITHIN_S)
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _take(self, route: Route, request: web.Request, by: Operator) -> Answer:
        now_s = asyncio.get_running_loop().time()
        self._check_rate(route, by, now_s)
        key = _key(request) if route.is_done_once else None
        is_known = key is not None and self._kept.knows(by.name, request.path, key, now_s)
        call_id = request.match_info.get("call_id")
        if call_id is not None and not is_known:  # it may have ended the call
            await self._check_call(call_id)
        body = await read_body(request)
        work = self._work(route, parsed(body), request.match_info, by)
        if key is None:
            return await self._do(work, lambda _: None)
        return await self._do_once(by.name, request.path, key, body, work)

    def _check_rate(self, route: Route, by: Operator, now_s: float) -> None:
        is_web_session = route.operation == MAKE_WEB_SESSION
        rate = self._web_session_rate if is_web_session else self._rate
        wait_s = rate.wait_s(by.name, now_s)
        if wait_s > 0.0:
            raise refused("too_many_commands", **{"Retry-After": str(math.ceil(wait_s))})

    async def _check_call(self, call_id: str) -> None:
        call = self._parts.calls.get(call_id)
        if call is not None and not call.is_over:
            return
        was_there = call is not None or self._parts.calls.snapshot(call_id) is not None
        if was_there or await self._parts.records.load(call_id) is not None:
            raise refused("call_is_over")
        raise refused("call_not_found")

    def _work(self, route: Route, document: Any, names: Mapping[str, str], by: Operator) -> Work:
        try:
            if route.command is not None:
                command = route.command.read(document, names)
                return partial(self._operate, route.operation, command, names["call_id"], by)
            if route.operation == MAKE_WEB_SESSION:
                return partial(self._make_web_session, WebSessionBody.model_validate(document))
            if route.operation == OPEN_VOICE:
                body = VoiceBody.model_validate(document)
                return partial(self._open_voice, body, names["call_id"], by)
            if isinstance(document, dict) and "chat_id" in document:
                return partial(self._attach, AttachBody.model_validate(document), by)
            return partial(self._dial, DialBody.model_validate(document), by)
        except ValidationError as error:
            raise unfit("body", error) from None

    async def _operate(
        self, name: str, command: OperatorCommand, call_id: str, by: Operator
    ) -> Answer:
        call = self._parts.calls.get(call_id)
        if call is None:
            raise refused("call_is_over")
        via = await call.operate(command, by.name)
        done: CommandDone = {"call_id": call_id, "command": name, "by": by.name, "via": via}
        return answer(200, done)

    async def _dial(self, body: DialBody, by: Operator) -> Answer:
        call = await self._parts.dial(body.to, body.from_, body.parameters, by.name)
        return answer(201, self._parts.summary_of(call))

    async def _attach(self, body: AttachBody, by: Operator) -> Answer:
        call, is_new = await self._parts.attach(body.chat_id, by.name)
        return answer(201 if is_new else 200, self._parts.summary_of(call))

    async def _open_voice(self, body: VoiceBody, call_id: str, by: Operator) -> Answer:
        sdp = await self._parts.open_voice(call_id, body.sdp, by.name)
        voice: VoiceAnswer = {"sdp": sdp, "type": "answer"}
        return answer(201, voice)

    async def _make_web_session(self, body: WebSessionBody) -> Answer:
        token = self._parts.make_web_session(body.session(), body.lifetime_s)
        made: WebSessionMade = {"token": token, "expires_in_s": body.lifetime_s}
        return answer(201, made)

    async def _do_once(self, author: str, path: str, key: str, body: bytes, work: Work) -> Answer:
        now_s = asyncio.get_running_loop().time()
        stands_for = hashlib.sha256(body).digest()
        begun = self._kept.begin(author, path, key, stands_for, now_s)
        if isinstance(begun, Answer):
            headers = {**begun.headers, "Idempotency-Replayed": "true"}
            return Answer(begun.status, begun.body, headers)
        if begun is Begin.RUNNING:
            raise refused("still_running")
        if begun is Begin.OTHER_BODY:
            raise unfit_for(
                ["header", IDEMPOTENCY_KEY],
                "Another request was sent with this key: send each with its own",
                "idempotency_key_reused",
            )

        def keep(answered: Answer | None) -> None:
            if answered is None or answered.status == NOTHING_DONE:
                self._kept.drop(author, path, key)
            else:
                self._kept.finish(author, path, key, answered)

        return await self._do(work, keep)

    async def _do(self, work: Work, keep: Callable[[Answer | None], None]) -> Answer:
        """Do something to its end, also when who asked for it has gone."""
        task = asyncio.get_running_loop().create_task(_done(work, keep))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)


async def _done(work: Work, keep: Callable[[Answer | None], None]) -> Answer:
    """The answer to a command; `keep` gets it, or None if the command was given up."""
    answered = None
    try:
        answered = await work()
    except CommandRefused as refusal:
        answered = command_refused(refusal).answer
    except RequestRefused as refusal:
        answered = refusal.answer
    except Overloaded:
        answered = refused("overloaded").answer
    except Exception:
        log.exception("operator_command_failed")
        answered = refused("fault").answer
    finally:
        keep(answered)
    return answered


def _key(request: web.Request) -> str | None:
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        raise unfit_for(
            ["header", IDEMPOTENCY_KEY],
            f"String should have 1 to {MAX_KEY} characters",
            "string_length",
        )
    return key
