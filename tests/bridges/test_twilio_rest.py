import asyncio
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from evibridge.bridges import twilio_http, twilio_rest
from evibridge.bridges.twilio_rest import TwilioRest
from evibridge.errors import CommandRefused
from tests.bridges.twilio_rest_server import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CALL_IS_OVER,
    Answer,
    Fault,
    TinyTwilioRest,
    error,
    new_call_sid,
    tiny_twilio_rest,
)
from tests.parties import PATIENCE_S

CALL_SID = new_call_sid()


@pytest.fixture
async def server() -> AsyncIterator[TinyTwilioRest]:
    async with tiny_twilio_rest() as server:
        yield server


@pytest.fixture
async def rest(server: TinyTwilioRest) -> AsyncIterator[TwilioRest]:
    async with at(server.origin) as rest:
        yield rest


@asynccontextmanager
async def at(origin: str, auth_token: str = AUTH_TOKEN) -> AsyncIterator[TwilioRest]:
    rest = TwilioRest(ACCOUNT_SID, auth_token, origin=origin)
    try:
        yield rest
    finally:
        await rest.close()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_rest, "RETRY_PAUSES_S", (0.0, 0.0))


async def complete(rest: TwilioRest, call_sid: str = CALL_SID) -> list[Any]:
    """End a call; returns what was logged, which never holds a secret."""
    with capture_logs() as lines:
        async with asyncio.timeout(PATIENCE_S):
            await rest.complete(call_sid)
    basic = b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
    assert not any(secret in repr(lines) for secret in (AUTH_TOKEN, basic))
    return lines


async def call_somebody(rest: TwilioRest) -> str:
    async with asyncio.timeout(PATIENCE_S):
        return await rest.create_call(
            to="+14155550111",
            from_="+14155550199",
            url="https://voice.example.com/answered?a=1&b=2",
            status_callback="https://voice.example.com/status",
            ring_s=30,
        )


async def refused(rest: TwilioRest) -> CommandRefused:
    """Why nobody is called; the reason never holds a secret."""
    with pytest.raises(CommandRefused) as error:
        await call_somebody(rest)
    assert AUTH_TOKEN not in str(error.value)
    return error.value


async def test_a_call_is_ended_at_the_carrier(server: TinyTwilioRest, rest: TwilioRest) -> None:
    assert await complete(rest) == []

    request = await server.asked(CALL_SID)
    assert request.fields == {"Status": "completed"}
    assert server.completed() == [CALL_SID]


class TestCallingSomebody:
    async def test_twilio_names_the_call(self, server: TinyTwilioRest, rest: TwilioRest) -> None:
        call_sid = await call_somebody(rest)

        (made,) = server.created
        assert made.call_sid == call_sid
        assert made.fields == {
            "To": "+14155550111",
            "From": "+14155550199",
            "Url": "https://voice.example.com/answered?a=1&b=2",
            "StatusCallback": "https://voice.example.com/status",
            "StatusCallbackEvent": "initiated completed",
            "Timeout": "30",
        }

    @pytest.mark.parametrize(
        ("answer", "sentence"),
        [
            (error(400, 21211), '(error 21211, "The words of Twilio"): the number to call does'),
            (error(400, 21212), "the number to call from is not one of the account's"),
            (error(403, 21215), "allow calls to that country in Twilio's console"),
            (error(400, 21219), "verify the number in Twilio's console"),
            (error(400, 21299), "see https://www.twilio.com/docs/api/errors/21299."),
            (error(404, 20404), "see https://www.twilio.com/docs/api/errors/20404."),
            (error(401, 20003), "check both, and that the account is active."),
            (error(403, 20005), "does not accept TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN"),
            (Answer(400, '{"code": 21299}'), "Twilio refuses the call (error 21299): see"),
            (Answer(400, "<html>"), "no error of Twilio's: check EVIBRIDGE_TWILIO_API_URL."),
            (Answer(201, "<html>"), "not Twilio's (JSONDecodeError): check EVIBRIDGE_TWILIO_API"),
            (Answer(201, '{"sid": "../Messages"}'), "a form that is not Twilio's (ValueError)"),
            (Answer(201, '{"sid": 7}'), "a form that is not Twilio's (ValueError)"),
        ],
    )
    async def test_a_refusal_says_what_to_do(
        self, server: TinyTwilioRest, rest: TwilioRest, answer: Answer, sentence: str
    ) -> None:
        server.script("", answer)

        refusal = await refused(rest)

        assert (refusal.code, refusal.retryable) == ("carrier_refused", False)
        assert sentence in str(refusal)
        assert len(server.requests) + server.refused == 1

    async def test_too_many_requests_are_worth_another_try(
        self, server: TinyTwilioRest, rest: TwilioRest
    ) -> None:
        server.script("", error(429, 20429))

        refusal = await refused(rest)

        assert (refusal.code, refusal.retryable) == ("carrier_refused", True)
        assert "answers with HTTP 429: nobody was called, try again later." in str(refusal)
        assert len(server.requests) == 1

    async def test_nobody_at_the_address_is_worth_another_try(self) -> None:
        async with tiny_twilio_rest() as server:
            origin = server.origin

        async with at(origin) as rest:
            refusal = await refused(rest)

        assert (refusal.code, refusal.retryable) == ("carrier_unreachable", True)

    @pytest.mark.parametrize(
        ("answer", "what"),
        [
            (error(500, 20500), "answers with HTTP 500"),
            ("disconnect", "broke the connection off"),
            ("silence", "did not answer within 0.05 s"),
        ],
    )
    async def test_a_wish_without_a_clear_answer_is_not_repeated(
        self,
        server: TinyTwilioRest,
        rest: TwilioRest,
        monkeypatch: pytest.MonkeyPatch,
        answer: Answer | Fault,
        what: str,
    ) -> None:
        if answer == "silence":
            monkeypatch.setattr(twilio_http, "REQUEST_TIMEOUT_S", 0.05)
        server.script("", answer)

        refusal = await refused(rest)

        assert (refusal.code, refusal.retryable) == ("carrier_unclear", False)
        assert f"{what}" in str(refusal)
        assert len(server.requests) <= 1

    async def test_a_service_that_ends_calls_nobody(
        self, server: TinyTwilioRest, rest: TwilioRest
    ) -> None:
        await rest.close()

        assert "is not asked any more" in str(await refused(rest))
        assert server.requests == []


class TestCallingOff:
    async def cancel(self, rest: TwilioRest, call_sid: str) -> list[Any]:
        with capture_logs() as lines:
            async with asyncio.timeout(PATIENCE_S):
                await rest.cancel(call_sid)
        return lines

    async def test_a_telephone_stops_ringing(
        self, server: TinyTwilioRest, rest: TwilioRest
    ) -> None:
        call_sid = await call_somebody(rest)

        assert await self.cancel(rest, call_sid) == []

        assert server.statuses[call_sid] == "canceled"
        assert server.completed() == []

    async def test_who_has_answered_is_hung_up_on(
        self, server: TinyTwilioRest, rest: TwilioRest
    ) -> None:
        call_sid = await call_somebody(rest)
        server.statuses[call_sid] = "in-progress"

        assert await self.cancel(rest, call_sid) == []

        assert server.statuses[call_sid] == "completed"

    async def test_a_call_that_is_over_is_as_good(
        self, server: TinyTwilioRest, rest: TwilioRest
    ) -> None:
        call_sid = await call_somebody(rest)
        server.statuses[call_sid] = "busy"

        assert await self.cancel(rest, call_sid) == []

        assert server.completed() == [call_sid]  # Twilio may have meant that it was answered

    async def test_what_passes_is_tried_again(
        self, server: TinyTwilioRest, rest: TwilioRest
    ) -> None:
        call_sid = await call_somebody(rest)
        server.script(call_sid, error(503, 20503), "disconnect")

        assert await self.cancel(rest, call_sid) == []

        assert server.statuses[call_sid] == "canceled"

    async def test_what_does_not_pass_is_logged(
        self, server: TinyTwilioRest, rest: TwilioRest
    ) -> None:
        server.script(CALL_SID, error(400, 20001))

        (line,) = await self.cancel(rest, CALL_SID)

        assert line["event"] == "call_not_completed"


async def test_many_calls_end_together(server: TinyTwilioRest, rest: TwilioRest) -> None:
    call_sids = [new_call_sid() for _ in range(3 * twilio_http.MAX_CONNECTIONS)]

    with capture_logs() as lines:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*map(rest.complete, call_sids))

    assert lines == []
    assert sorted(server.completed()) == sorted(call_sids)


@pytest.mark.parametrize("answer", [CALL_IS_OVER, error(400, 21220)])
async def test_a_call_that_is_over_already_is_as_good(
    server: TinyTwilioRest, rest: TwilioRest, answer: Answer
) -> None:
    server.script(CALL_SID, answer)

    assert await complete(rest) == []
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "fault", [error(429, 20429), error(500, 20500), Answer(503, "Sorry."), "disconnect"]
)
async def test_what_passes_is_tried_again(
    server: TinyTwilioRest, rest: TwilioRest, fault: Answer | Fault
) -> None:
    server.script(CALL_SID, fault, fault)

    assert await complete(rest) == []
    assert server.completed() == [CALL_SID] * 3


async def test_what_does_not_pass_is_logged_once(server: TinyTwilioRest, rest: TwilioRest) -> None:
    server.script(CALL_SID, "disconnect", error(429, 20429), error(503, 20503))

    (line,) = await complete(rest)

    assert line == {
        "event": "call_not_completed",
        "log_level": "warning",
        "call_id": CALL_SID,
        "error": f"Twilio's REST API at {server.origin} answers with HTTP 503: "
        "the call may go on there until the caller hangs up.",
    }
    assert len(server.requests) == 3


async def test_a_request_has_a_time_limit(
    server: TinyTwilioRest, rest: TwilioRest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_http, "REQUEST_TIMEOUT_S", 0.05)
    server.script(CALL_SID, "silence", "silence", "silence")

    (line,) = await complete(rest)

    assert "did not answer within 0.05 s" in line["error"]


async def test_nobody_at_the_address_is_logged() -> None:
    async with tiny_twilio_rest() as server:
        origin = server.origin

    async with at(origin) as rest:
        (line,) = await complete(rest)

    assert f"{origin} cannot be reached (Cannot connect to host" in line["error"]


@pytest.mark.parametrize("token", ["another-token", "a-tokeń-mistyped"])
async def test_wrong_credentials_are_told_once(server: TinyTwilioRest, token: str) -> None:
    async with at(server.origin, token) as rest:
        lines = [await complete(rest) for _ in range(2)]

    ((line,), later) = lines
    assert (line["event"], line["call_id"], later) == ("twilio_credentials_refused", CALL_SID, [])
    assert "TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN (HTTP 401, error 20003)" in line["error"]
    assert token not in repr(line)
    assert server.refused == 2


async def test_an_account_that_may_not_is_told_once_too(
    server: TinyTwilioRest, rest: TwilioRest
) -> None:
    server.script(CALL_SID, error(403, 20005), error(403, 20005))

    assert [len(await complete(rest)) for _ in range(2)] == [1, 0]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            error(400, 20001),
            "refuses to end the call: see https://www.twilio.com/docs/api/errors/20001.",
        ),
        (Answer(404, "<html>"), "HTTP 404 and no error of Twilio's: check EVIBRIDGE_TWILIO_API_"),
        (Answer(302, "", (("Location", "/"),)), "HTTP 302 and no error of Twilio's"),
        (Answer(200, "<html>"), "that is not Twilio's (JSONDecodeError): check EVIBRIDGE_TWILIO_"),
        (Answer(200, "null"), "that is not Twilio's (AttributeError)"),
        (Answer(200, "[" * 100_000), "that is not Twilio's (RecursionError)"),
    ],
)
async def test_other_answers_are_told_and_not_tried_again(
    server: TinyTwilioRest, rest: TwilioRest, answer: Answer, sentence: str
) -> None:
    server.script(CALL_SID, answer)

    (line,) = await complete(rest)

    assert (line["event"], line["call_id"]) == ("call_not_completed", CALL_SID)
    assert sentence in line["error"]
    assert len(server.requests) == 1


async def test_an_error_in_the_newer_form_is_understood(
    server: TinyTwilioRest, rest: TwilioRest
) -> None:
    body = '{"type": "about:blank", "title": "Not found", "status": 404, "code": 20404}'
    server.script(CALL_SID, Answer(404, body))

    assert await complete(rest) == []


@pytest.mark.parametrize("status", ['"400"', "null", "400"])
async def test_an_error_of_no_known_form_is_borne(
    server: TinyTwilioRest, rest: TwilioRest, status: str
) -> None:
    body = f'{{"type": "about:blank", "title": ["?"], "status": {status}, "code": {{}}}}'
    server.script(CALL_SID, Answer(400, body))

    (line,) = await complete(rest)

    assert "no error of Twilio's: check EVIBRIDGE_TWILIO_API_URL" in line["error"]


async def test_closing_gives_up_the_calls_that_are_being_completed(
    server: TinyTwilioRest, rest: TwilioRest
) -> None:
    server.script(CALL_SID, "silence")
    completing = asyncio.create_task(complete(rest))
    await server.asked(CALL_SID)

    await rest.close()

    (line,) = await completing
    assert "is not asked any more, because the service ends" in line["error"]
    assert len(await complete(rest)) == 1
    assert len(server.requests) == 1


async def test_one_that_was_never_asked_closes() -> None:
    async with at(twilio_rest.TWILIO_ORIGIN) as rest:
        pass

    assert len(await complete(rest)) == 1


async def test_the_environment_does_not_lead_elsewhere(
    server: TinyTwilioRest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "TWILIO_ACCOUNT_SID": f"AC{'f' * 32}",
        "TWILIO_AUTH_TOKEN": "of-the-environment",
        "TWILIO_EDGE": "dublin",
        "TWILIO_REGION": "ie1",
    }.items():
        monkeypatch.setenv(name, value)

    async with at(server.origin) as rest:
        assert await complete(rest) == []
    assert server.completed() == [CALL_SID]


async def test_no_secret_shows(rest: TwilioRest) -> None:
    await complete(rest)

    shown = [repr(part) for part in (rest, *vars(rest).values())]
    assert not any(AUTH_TOKEN in text for text in shown)


def test_the_client_is_loaded_only_by_who_uses_it() -> None:
    check = (
        "import sys, evibridge.service, evibridge.bridges.twilio_rest\n"
        "assert not {'twilio.rest', 'twilio.http', 'requests'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)
