import gc
import weakref

import pytest

from evibridge import web_sessions
from evibridge.errors import Overloaded
from evibridge.web_sessions import (
    MAX_CHARACTERS,
    WebSession,
    WebSessionRefused,
    WebSessions,
)

SHOP = "https://shop.example"
ADA = WebSession("Ada", {"customer": "17"}, {"vip": True}, SHOP)


def refusal(sessions: WebSessions, token: str, origin: str | None, now_s: float) -> str:
    with pytest.raises(WebSessionRefused) as refused:
        sessions.redeem(token, origin, now_s)
    assert str(refused.value).endswith(".")
    assert token not in str(refused.value)
    return refused.value.code


def test_a_token_stands_for_its_session_once() -> None:
    sessions = WebSessions()
    token = sessions.create(ADA, 0.0)
    assert sessions.check(token, SHOP, 1.0) is ADA
    assert sessions.redeem(token, SHOP, 59.9) is ADA
    assert refusal(sessions, token, SHOP, 59.9) == "token_used"


def test_no_two_tokens_are_alike() -> None:
    sessions = WebSessions()
    tokens = {sessions.create(ADA, 0.0) for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) >= 43 for token in tokens)


def test_a_token_that_is_not_used_in_time_is_worth_nothing() -> None:
    sessions = WebSessions()
    token = sessions.create(ADA, 0.0, lifetime_s=5.0)
    assert refusal(sessions, token, SHOP, 5.0) == "token_expired"
    assert refusal(sessions, token, SHOP, 6.0) == "token_expired"


@pytest.mark.parametrize("token", ["", "nonsense", "\ud800"])
def test_a_token_that_was_never_given_out_is_not_known(token: str) -> None:
    with pytest.raises(WebSessionRefused) as refused:
        WebSessions().check(token, None, 0.0)
    assert refused.value.code == "token_unknown"


@pytest.mark.parametrize("origin", ["https://evil.example", "http://shop.example", "null", None])
def test_a_token_for_one_origin_is_not_taken_from_another(origin: str | None) -> None:
    sessions = WebSessions()
    token = sessions.create(ADA, 0.0)
    assert refusal(sessions, token, origin, 0.0) == "token_for_another_origin"
    assert sessions.redeem(token, SHOP, 0.0) is ADA


@pytest.mark.parametrize("shown", [SHOP, "HTTPS://SHOP.EXAMPLE:443"])
@pytest.mark.parametrize("written", [SHOP, "https://Shop.example/", "https://shop.example:443"])
def test_an_origin_may_be_written_in_several_ways(written: str, shown: str) -> None:
    sessions = WebSessions()
    token = sessions.create(WebSession(origin=written), 0.0)
    assert sessions.redeem(token, shown, 0.0).origin == SHOP


@pytest.mark.parametrize("nonsense", ["null", "*", "shop.example", "https://shop.example/page"])
def test_a_session_is_not_for_what_is_no_origin(nonsense: str) -> None:
    with pytest.raises(ValueError, match="must be an origin such as"):
        WebSession(origin=nonsense)


def test_what_a_session_says_is_bounded() -> None:
    ada: tuple[dict[str, str], dict[str, str | float | bool]] = {"order": "1042"}, {"vip": True}
    rest = "a" * (MAX_CHARACTERS - len("Adaorder1042vipTrue"))
    WebSession("Ada" + rest, *ada)
    more: list[tuple[str, dict[str, str], dict[str, str | float | bool]]] = [
        ("Ada" + rest + "a", *ada),
        ("Ada", {"order" + rest + "a": "1042"}, {"vip": True}),
        ("Ada", {"order": "1042" + rest + "1"}, {"vip": True}),
        ("Ada", {"order": "1042"}, {"vip": True, rest: 1}),
    ]
    for each in more:
        with pytest.raises(ValueError, match="may have 16000 characters together"):
            WebSession(*each)


@pytest.mark.parametrize("origin", [SHOP, None])
def test_a_token_without_an_origin_is_taken_from_everywhere(origin: str | None) -> None:
    sessions = WebSessions()
    assert sessions.redeem(sessions.create(WebSession(), 0.0), origin, 0.0) == WebSession()


def test_unused_tokens_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_sessions, "MAX_OPEN", 2)
    sessions = WebSessions()
    first, second = sessions.create(ADA, 0.0), sessions.create(ADA, 1.0)
    with pytest.raises(Overloaded):
        sessions.create(ADA, 59.0)
    sessions.create(ADA, 60.0)  # the first is no use any more
    assert refusal(sessions, first, SHOP, 60.0) == "token_expired"
    assert sessions.redeem(second, SHOP, 60.0) is ADA
    sessions.create(ADA, 60.0)


class Said(dict[str, str]):
    """Parameters of a caller that can be watched."""


def watched(sessions: WebSessions, now_s: float, lifetime_s: float) -> weakref.ref[Said]:
    said = Said(customer="17")
    sessions.create(WebSession(parameters=said), now_s, lifetime_s)
    return weakref.ref(said)


def test_what_an_expired_token_stood_for_is_forgotten_when_another_is_made() -> None:
    sessions = WebSessions()
    first, second = watched(sessions, 0.0, 5.0), watched(sessions, 0.0, 60.0)
    sessions.create(ADA, 5.0)
    gc.collect()
    assert first() is None
    assert second() == {"customer": "17"}


def test_what_an_expired_token_stood_for_is_forgotten_when_another_is_shown() -> None:
    sessions = WebSessions()
    token = sessions.create(ADA, 0.0)
    said = watched(sessions, 0.0, 5.0)
    sessions.check(token, SHOP, 5.0)
    gc.collect()
    assert said() is None


def test_expired_tokens_are_looked_for_once_a_second() -> None:
    sessions = WebSessions()
    said = watched(sessions, 0.0, 5.0)
    sessions.create(ADA, 4.5)
    sessions.create(ADA, 5.4)
    gc.collect()
    assert said() is not None
    sessions.create(ADA, 5.5)
    gc.collect()
    assert said() is None


def test_a_token_that_has_expired_since_is_not_taken() -> None:
    sessions = WebSessions()
    token = sessions.create(ADA, 0.0, lifetime_s=5.0)
    sessions.create(ADA, 4.5)
    assert refusal(sessions, token, SHOP, 5.0) == "token_expired"


def test_past_tokens_are_bounded_and_the_oldest_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web_sessions, "MAX_REMEMBERED", 2)
    sessions = WebSessions()
    tokens = [sessions.create(ADA, 0.0) for _ in range(3)]
    for token in tokens:
        sessions.redeem(token, SHOP, 0.0)
    codes = [refusal(sessions, token, SHOP, 0.0) for token in tokens]
    assert codes == ["token_unknown", "token_used", "token_used"]


def test_nothing_of_a_session_shows_in_a_log() -> None:
    assert repr(ADA) == "WebSession()"
