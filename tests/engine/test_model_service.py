from collections.abc import AsyncIterator

import httpx2
import openai
import pytest
from structlog.testing import capture_logs

from evibridge.engine.model_service import (
    FAULTS,
    MAX_LOGGED_CHARACTERS,
    MAX_RETRY_AFTER_S,
    Fault,
    ModelService,
    is_passing,
    is_sendable_key,
    retry_after_s,
)
from evibridge.errors import BadMessage, EngineSetupError

KEY = "sk-very-secret"


@pytest.fixture
async def service() -> AsyncIterator[ModelService]:
    service = ModelService("language model", "https://models.example/v1/", KEY)
    yield service
    await service.close()


def refusal(status: int, body: object = None, **headers: str) -> openai.APIStatusError:
    request = httpx2.Request(
        "POST", "https://models.example/v1", headers={"Authorization": f"Bearer {KEY}"}
    )
    response = httpx2.Response(status, request=request, headers=headers)
    return openai.APIStatusError(f"Error {status}: {body}", response=response, body=body)


REQUEST = httpx2.Request("POST", "https://models.example/v1")


def lost_connection() -> openai.APIConnectionError:
    fault = openai.APIConnectionError(request=REQUEST)
    fault.__cause__ = httpx2.ReadError("Connection reset by peer.")
    return fault


def no_connection() -> openai.APIConnectionError:
    fault = openai.APIConnectionError(request=REQUEST)
    fault.__cause__ = httpx2.ConnectError("Name or service not known")
    return fault


@pytest.mark.parametrize(
    ("fault", "words", "passing"),
    [
        (refusal(400), "refuses the request", False),
        (refusal(401), "API key", False),
        (refusal(403), "API key", False),
        (refusal(404), "check its address", False),
        (refusal(404, {"message": "Not Found"}), "check its address", False),
        (refusal(404, {"message": "model not found"}), "no model gpt", False),
        (refusal(408), "HTTP 408", True),
        (refusal(409), "HTTP 409", True),
        (refusal(422), "refuses the request", False),
        (refusal(429), "quota", True),
        (refusal(500), "out of order", True),
        (refusal(503), "out of order", True),
        (openai.APITimeoutError(REQUEST), "no connection in 3 s", True),
        (no_connection(), "(Name or service not known): check that it is running.", True),
        (lost_connection(), "breaks connections: Connection reset by peer.", True),
        (openai.APIError("overloaded", REQUEST, body=None), "an error instead", True),
        (ValueError("Expecting value"), "check its address", False),
        (RecursionError(), "check its address", False),
        (BadMessage("No object."), "check its address", False),
    ],
)
async def test_each_fault_is_a_sentence_for_the_owner(
    service: ModelService, fault: Fault, words: str, passing: bool
) -> None:
    assert isinstance(fault, FAULTS)
    sentence = service.explain(fault, "gpt")
    assert words in sentence
    assert sentence.startswith("The language model at https://models.example/v1 ")
    assert sentence.endswith(".")
    assert not sentence.endswith("..")
    assert is_passing(fault) is passing


def kinds(error: type[openai.APIError]) -> set[type[openai.APIError]]:
    return {error}.union(*(kinds(kind) for kind in error.__subclasses__()))


def test_no_fault_of_the_client_is_unknown_here() -> None:
    refusals = kinds(openai.APIStatusError)
    assert kinds(openai.APIError) - refusals == {
        openai.APIError,
        openai.APIConnectionError,
        openai.APITimeoutError,
        openai.APIResponseValidationError,
    }


async def test_what_a_service_says_is_logged_without_the_key(service: ModelService) -> None:
    fault = refusal(400, f"You sent {KEY}" + "!" * MAX_LOGGED_CHARACTERS)
    with capture_logs() as logs:
        sentence = service.explain(fault, "gpt")
    assert "You sent" not in sentence
    assert "You sent ***" in logs[0]["answer"]
    assert len(logs[0]["answer"]) == MAX_LOGGED_CHARACTERS
    assert KEY not in str(logs)


async def test_a_refusal_of_a_request_without_a_key_is_logged_as_it_is(
    service: ModelService,
) -> None:
    fault = refusal(400, "Too long")
    del fault.request.headers["Authorization"]
    with capture_logs() as logs:
        service.explain(fault, None)
    assert "Too long" in logs[0]["answer"]


@pytest.mark.parametrize(
    ("fault", "wait_s"),
    [
        (refusal(429, **{"Retry-After": "0"}), 0.0),
        (refusal(429, **{"Retry-After": "1"}), 1.0),
        (refusal(429, **{"Retry-After": "3600"}), MAX_RETRY_AFTER_S),
        (refusal(503, **{"Retry-After": "9" * 400}), MAX_RETRY_AFTER_S),
        (refusal(503, **{"Retry-After": "Fri, 13 Nov 2026 00:01:00 GMT"}), 0.0),
        (refusal(503), 0.0),
        (no_connection(), 0.0),
    ],
)
def test_a_service_is_left_alone_for_as_long_as_a_caller_can_wait(
    fault: Fault, wait_s: float
) -> None:
    assert retry_after_s(fault) == wait_s


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost:8000/v1",
        "ftp://models.example/v1",
        "http://",
        "http:///v1",
        "http://models.example:99999/v1",
        "http://models.example/\n",
        "http://models.example:port/",
    ],
)
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(EngineSetupError, match="address of the language model"):
        ModelService("language model", address, None)


@pytest.mark.parametrize("key", ["", "sk secret", "sk-secret\n", "sk-sécret"])
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(key: str) -> None:
    assert not is_sendable_key(key)
    with pytest.raises(EngineSetupError, match=r"check OPENAI_API_KEY, .*api_key_env") as refused:
        ModelService("language model", None, key)
    assert key not in str(refused.value) or not key


async def test_the_name_of_a_service_shows_no_credentials() -> None:
    address = "http://me:secret@models.example:8000/v1?token=secret"
    service = ModelService("language model", address, None)
    assert service.name == "The language model at http://models.example:8000/v1"
    assert service.host == "models.example"
    await service.close()


async def test_a_service_without_an_address_is_that_of_openai(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    service = ModelService("language model", None, KEY)
    assert service.host == "api.openai.com"
    await service.close()
