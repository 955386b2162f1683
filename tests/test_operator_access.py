import pytest

from evibridge.operator_access import OperatorAccess

HOST = {"Host": "voice.example.com"}
LOCAL = {"Host": "127.0.0.1:8080"}
FAR = "203.0.113.9"


def shown(credentials: str) -> dict[str, str]:
    return {**HOST, "Authorization": credentials}


def test_a_program_of_this_machine_is_answered_while_no_token_is_set() -> None:
    assert OperatorAccess(None).refusal(LOCAL, "127.0.0.1") is None


@pytest.mark.parametrize(
    "credentials", ["Bearer hush", "bearer hush", "BEARER  hush", "Bearer hush "]
)
def test_the_token_opens_it_to_anybody(credentials: str) -> None:
    assert OperatorAccess("hush").refusal(shown(credentials), FAR) is None


@pytest.mark.parametrize("token", ["hush\n", " hush "])
def test_space_around_the_token_is_none_of_it(token: str) -> None:
    assert OperatorAccess(token).refusal(shown("Bearer hush"), FAR) is None


@pytest.mark.parametrize("token", ["schlüssel", "\udce9\udcff", "\ud800"])
def test_a_token_may_be_of_any_characters(token: str) -> None:
    access = OperatorAccess(token)

    assert access.refusal(shown(f"Bearer {token}"), FAR) is None
    assert access.refusal(shown("Bearer hush"), FAR) is not None


@pytest.mark.parametrize("headers", [HOST, shown("Bearer hush"), shown("Bearer "), LOCAL])
def test_without_a_token_nobody_else_is_answered(headers: dict[str, str]) -> None:
    refusal = OperatorAccess(None).refusal(headers, FAR)

    assert refusal is not None
    assert (refusal.status, refusal.headers) == (403, {})
    assert "set EVIBRIDGE_OPERATOR_TOKEN" in refusal.sentence


@pytest.mark.parametrize(
    "headers",
    [
        HOST,
        LOCAL,
        shown(""),
        shown("hush"),
        shown("Basic hush"),
        shown("Bearer"),
        shown("Bearer hus"),
        shown("Bearer Hush"),
        shown("Bearer hush hush"),
        shown("Bearer schlüssel"),
        shown("Bearer \udcff\udce9"),
        {**LOCAL, "X-Forwarded-For": FAR},
    ],
)
def test_who_does_not_show_the_token_is_asked_for_it(headers: dict[str, str]) -> None:
    refusal = OperatorAccess("hush").refusal(headers, "127.0.0.1")

    assert refusal is not None
    assert (refusal.status, refusal.headers) == (401, {"WWW-Authenticate": "Bearer"})
    assert "EVIBRIDGE_OPERATOR_TOKEN" in refusal.sentence
    assert "hush" not in refusal.sentence
