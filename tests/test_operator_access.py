from base64 import urlsafe_b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.errors import SettingsError
from evibridge.operator_access import (
    Operator,
    OperatorAccess,
    OperatorRefusal,
    OperatorToken,
    Scope,
    parse_tokens,
)

HOST = {"Host": "voice.example.com"}
LOCAL = {"Host": "127.0.0.1:8080"}
FAR = "203.0.113.9"
READER = OperatorToken("wall", Scope.READ, "glance")
BOSS = OperatorToken("anna", Scope.CONTROL, "hush")


def shown(credentials: str) -> dict[str, str]:
    return {**HOST, "Authorization": credentials}


def refused(answer: Operator | OperatorRefusal) -> OperatorRefusal:
    assert isinstance(answer, OperatorRefusal)
    return answer


# The setting


def test_a_token_alone_may_do_everything() -> None:
    assert parse_tokens("hush") == (OperatorToken("operator", Scope.CONTROL, "hush"),)


def test_entries_give_tokens_their_names_and_scopes() -> None:
    tokens = parse_tokens("wall:read=glance, anna : control = hush ,c3VyZQ==")

    assert tokens == (READER, BOSS, OperatorToken("operator", Scope.CONTROL, "c3VyZQ=="))


def test_a_named_token_may_hold_what_separates_the_others() -> None:
    assert parse_tokens("anna:control=a:b=c=")[0].token == "a:b=c="


@pytest.mark.parametrize("text", ["hush\n", " hush "])
def test_space_around_a_token_is_none_of_it(text: str) -> None:
    assert parse_tokens(text)[0].token == "hush"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "entry 1 is empty"),
        (" ", "entry 1 is empty"),
        ("hush,", "entry 2 is empty"),
        (",hush", "entry 1 is empty"),
        ("anna:control", "entry 1 has no token"),
        ("anna:control=", "entry 1 has no token"),
        ("anna:control= ", "entry 1 has no token"),
        ("anna:admin=hush", "entry 1 has a scope that does not exist"),
        ("anna:=hush", "entry 1 has a scope that does not exist"),
        ("anna:Control=hush", "entry 1 has a scope that does not exist"),
        (":control=hush", "entry 1 has no name"),
        ("an na:control=hush", "entry 1 has no name"),
        ("an\udcffna:control=hush", "entry 1 has no name"),
        (f"{'a' * 65}:control=hush", "entry 1 has no name"),
        ("anna:control=hush,wall:read=hush", "entry 2 has a token that an entry before it has"),
        ("hush,hush", "entry 2 has a token that an entry before it has"),
        ("anna:control=hush,anna:read=glance", "entry 2 has the name of an entry before it"),
        ("hush,glance", "entry 2 has the name of an entry before it"),
    ],
)
def test_a_setting_that_cannot_be_read_is_explained_without_its_tokens(text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=f"^EVIBRIDGE_OPERATOR_TOKEN: {why}") as error:
        parse_tokens(text)

    assert "hush" not in str(error.value)
    assert "glance" not in str(error.value)


@given(st.text())
def test_any_text_is_read_or_explained(text: str) -> None:
    tokens: tuple[OperatorToken, ...] = ()
    with suppress(SettingsError):
        tokens = parse_tokens(text)

    assert all(token.name and token.token for token in tokens)
    assert len({token.token for token in tokens}) == len(tokens)


def test_a_token_does_not_show_itself() -> None:
    assert "hush" not in repr(BOSS)


# Requests


def test_a_program_of_this_machine_may_do_everything_while_no_token_is_set() -> None:
    access = OperatorAccess(())

    assert access.admit(LOCAL, "127.0.0.1", Scope.CONTROL) == Operator("local", Scope.CONTROL)
    assert access.refusal(LOCAL, "127.0.0.1", Scope.CONTROL) is None


@pytest.mark.parametrize(
    "credentials", ["Bearer hush", "bearer hush", "BEARER  hush", "Bearer hush "]
)
def test_a_token_opens_it_to_anybody(credentials: str) -> None:
    answer = OperatorAccess((READER, BOSS)).admit(shown(credentials), FAR, Scope.CONTROL)

    assert answer == Operator("anna", Scope.CONTROL)


@pytest.mark.parametrize("token", ["schlüssel", "\udce9\udcff", "\ud800"])
def test_a_token_may_be_of_any_characters(token: str) -> None:
    access = OperatorAccess(parse_tokens(token))

    assert access.refusal(shown(f"Bearer {token}"), FAR, Scope.CONTROL) is None
    assert access.refusal(shown("Bearer hush"), FAR, Scope.READ) is not None


def test_who_may_act_may_read() -> None:
    access = OperatorAccess((READER, BOSS))

    assert access.admit(shown("Bearer hush"), FAR, Scope.READ) == Operator("anna", Scope.CONTROL)


def test_a_token_that_only_reads_does_not_act() -> None:
    access = OperatorAccess((READER, BOSS))

    assert access.admit(shown("Bearer glance"), FAR, Scope.READ) == Operator("wall", Scope.READ)
    refusal = refused(access.admit(shown("Bearer glance"), FAR, Scope.CONTROL))
    assert (refusal.status, refusal.headers) == (403, {})
    assert "scope 'control'" in refusal.sentence
    assert access.refusal(shown("Bearer glance"), FAR, Scope.CONTROL) == refusal


@pytest.mark.parametrize("headers", [HOST, shown("Bearer hush"), shown("Bearer "), LOCAL])
def test_without_a_token_nobody_else_is_answered(headers: dict[str, str]) -> None:
    refusal = refused(OperatorAccess(()).admit(headers, FAR, Scope.READ))

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
def test_who_does_not_show_a_token_is_asked_for_it(headers: dict[str, str]) -> None:
    access = OperatorAccess((READER, BOSS))
    refusal = refused(access.admit(headers, "127.0.0.1", Scope.READ))

    assert (refusal.status, refusal.headers) == (401, {"WWW-Authenticate": "Bearer"})
    assert "EVIBRIDGE_OPERATOR_TOKEN" in refusal.sentence
    assert "hush" not in refusal.sentence


# WebSockets


def offered(token: str) -> str:
    return f"bearer.{urlsafe_b64encode(token.encode()).decode().rstrip('=')}"


@pytest.mark.parametrize("token", ["hush", "a", "ab", "schlüssel", "\N{GRINNING FACE}?>~", "a=b c"])
def test_a_page_shows_its_token_beside_the_subprotocol(token: str) -> None:
    access = OperatorAccess((READER, OperatorToken("anna", Scope.CONTROL, token)))

    for offers in (["evibridge", offered(token)], [offered(token), "chat", "evibridge"]):
        answer = access.admit(HOST, FAR, Scope.CONTROL, offers)
        assert answer == Operator("anna", Scope.CONTROL)
        assert access.refusal(HOST, FAR, Scope.CONTROL, offers) is None


@pytest.mark.parametrize(
    "offers",
    [
        [],
        ["evibridge"],
        [offered("hush")],
        ["Evibridge", offered("hush")],
        ["evibridge", offered("hus")],
        ["evibridge", offered("hush"), offered("glance")],
        ["evibridge", "bearer."],
        ["evibridge", "bearer.hush"],
        ["evibridge", "bearer.aHVza"],  # a length that base64 does not have
        ["evibridge", "bearer.aHVzaA=="],
        ["evibridge", "Bearer.aHVzaA"],
        ["evibridge", "bearer._-8"],  # no UTF-8
        ["evibridge", "bearer.aHVz aA"],
    ],
)
def test_what_cannot_be_read_among_subprotocols_is_no_token(offers: list[str]) -> None:
    refusal = refused(OperatorAccess((READER, BOSS)).admit(HOST, FAR, Scope.READ, offers))

    assert refusal.status == 401


def test_the_header_is_believed_before_the_subprotocol() -> None:
    access, offers = OperatorAccess((READER, BOSS)), ["evibridge", offered("hush")]

    both = access.admit(shown("Bearer glance"), FAR, Scope.READ, offers)
    wrong = access.admit(shown("Basic hush"), FAR, Scope.READ, offers)

    assert both == Operator("wall", Scope.READ)
    assert refused(wrong).status == 401


def test_a_request_that_begins_no_websocket_has_no_token_among_its_headers() -> None:
    headers = {**HOST, "Sec-WebSocket-Protocol": f"evibridge, {offered('hush')}"}

    assert refused(OperatorAccess((BOSS,)).admit(headers, FAR, Scope.READ)).status == 401


def test_a_page_of_this_machine_needs_none_while_there_are_none() -> None:
    headers = {**LOCAL, "Origin": "http://127.0.0.1:8080"}
    elsewhere = {**LOCAL, "Origin": "https://example.com"}
    access, offers = OperatorAccess(()), ["evibridge"]

    assert access.refusal(headers, "127.0.0.1", Scope.READ, offers) is None
    assert access.refusal(elsewhere, "127.0.0.1", Scope.READ, offers) is not None
