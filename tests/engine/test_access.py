from base64 import b64encode, urlsafe_b64encode

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evibridge.engine.access import (
    NOT_LOCAL,
    TOKEN_LIFETIME_S,
    Access,
    ApiKey,
    Token,
    TokenRefusal,
    parse_keys,
)
from evibridge.errors import SettingsError
from evibridge.sockets import Upgrade

HERE = "127.0.0.1"
AWAY = "192.0.2.7"
NOW_S = 1_700_000_000.5
KEYS = parse_keys("k1:s1,k2:s2,k3")
FORM = "grant_type=client_credentials"


def upgrade(peer: str = AWAY, **headers: str) -> Upgrade:
    return Upgrade("/v0/evi/chat", {"Host": "localhost"} | headers, peer)


def basic(pair: str) -> dict[str, str]:
    return {"Host": "localhost", "Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def token(access: Access, pair: str = "k1:s1", peer: str = AWAY, now_s: float = NOW_S) -> str:
    answer = access.issue_token(basic(pair), peer, FORM, now_s)
    assert isinstance(answer, Token)
    return answer.text


def refusal(access: Access, headers: dict[str, str], form: str = FORM) -> TokenRefusal:
    answer = access.issue_token(headers, AWAY, form, NOW_S)
    assert isinstance(answer, TokenRefusal)
    return answer


def admits_token(access: Access, text: str, now_s: float = NOW_S) -> bool:
    return access.admits(upgrade(), (), text, now_s) is not None


# Keys as text


def test_keys_are_read_with_and_without_secrets() -> None:
    assert parse_keys(" k1:s1 , k2") == (ApiKey("k1", "s1"), ApiKey("k2"))


@pytest.mark.parametrize("text", ["", "  "])
def test_blank_text_is_no_key(text: str) -> None:
    assert parse_keys(text) == ()


@pytest.mark.parametrize(
    "text", ["k1,", ",", ":s1", "k1:", "k1:s1:s2", "k 1", "k1:s/1", "ключ", "k1\n,k2\x00"]
)
def test_keys_that_nobody_could_send_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="must be written as key or key:secret"):
        parse_keys(text)


def test_a_key_may_stand_in_the_list_once() -> None:
    with pytest.raises(SettingsError, match="API key 3 of the engine stands in the list already"):
        parse_keys("k1:s1,k2,k1:s2")


def test_a_fault_in_the_keys_does_not_show_them() -> None:
    with pytest.raises(SettingsError) as fault:
        parse_keys("hunter2:pass word")

    assert "hunter2" not in str(fault.value)
    assert "word" not in str(fault.value)


def test_keys_and_tokens_are_not_shown() -> None:
    shown = repr(parse_keys("hunter2:password")) + repr(Token("eyJ"))

    assert "hunter2" not in shown
    assert "password" not in shown
    assert "eyJ" not in shown


# Who may open a chat


def test_without_keys_only_this_machine_may_connect() -> None:
    access = Access()

    assert access.admits(upgrade(HERE), (), None, NOW_S)
    assert access.admits(upgrade("::1"), ("any",), "any", NOW_S)
    assert not access.admits(upgrade(AWAY), ("any",), None, NOW_S)
    assert not access.admits(upgrade(""), (), None, NOW_S)
    assert not access.admits(upgrade(HERE, Origin="https://elsewhere.example"), (), None, NOW_S)
    assert access.wrong_credentials == NOT_LOCAL


def test_with_keys_one_of_them_is_needed_from_everywhere() -> None:
    access = Access(KEYS)

    assert access.admits(upgrade(), ("k2",), None, NOW_S)
    assert access.admits(upgrade(), ("k3",), None, NOW_S)
    assert not access.admits(upgrade(HERE), ("k4",), None, NOW_S)
    assert not access.admits(upgrade(HERE), (), None, NOW_S)
    assert not access.admits(upgrade(), ("s1",), None, NOW_S)
    assert not access.admits(upgrade(), ("k1:s1",), None, NOW_S)
    assert not access.admits(upgrade(), ("ключ",), None, NOW_S)
    assert "missing, wrong or expired" in access.wrong_credentials


def test_bytes_that_are_no_text_are_no_key() -> None:
    key = b"\xff\xfe".decode(errors="surrogateescape")

    assert not Access(KEYS).admits(upgrade(), (key,), None, NOW_S)


# Tokens


def test_a_token_opens_chats_until_it_expires() -> None:
    access = Access(KEYS)
    text = token(access)

    assert admits_token(access, text)
    assert admits_token(access, text, NOW_S + TOKEN_LIFETIME_S - 1)
    assert not admits_token(access, text, NOW_S + TOKEN_LIFETIME_S)


def test_a_token_is_taken_from_the_authorization_header_as_well() -> None:
    access = Access(KEYS)
    bearing = upgrade(Authorization=f"bearer {token(access)}")

    assert access.admits(bearing, (), None, NOW_S)
    assert not access.admits(upgrade(Authorization="Bearer"), (), None, NOW_S)
    assert not access.admits(upgrade(Authorization=f"Basic {token(access)}"), (), None, NOW_S)


def test_a_token_counts_beside_a_wrong_key() -> None:
    access = Access(KEYS)

    assert access.admits(upgrade(), ("wrong",), token(access), NOW_S)


def test_engines_with_the_same_key_accept_each_others_tokens() -> None:
    text = token(Access(KEYS), "k2:s2")

    assert admits_token(Access(parse_keys("k9:s9,k2:s2")), text)


@pytest.mark.parametrize("keys", ["k2:s2", "k1:s3,k2:s2", "k1,k2:s2", "k4:s1"])
def test_a_token_ends_with_its_key_or_secret(keys: str) -> None:
    assert not admits_token(Access(parse_keys(keys)), token(Access(KEYS), "k1:s1"))


def named(pair: str) -> str:
    kid: str = jwt.get_unverified_header(token(Access(parse_keys(pair)), pair))["kid"]
    return kid


def test_a_token_says_nothing_but_when_it_ends() -> None:
    text = token(Access(KEYS))

    claims = jwt.decode(text, options={"verify_signature": False})
    assert claims == {"exp": int(NOW_S) + TOKEN_LIFETIME_S}
    assert set(jwt.get_unverified_header(text)) == {"alg", "typ", "kid"}


def test_the_name_of_a_key_cannot_be_guessed_from_the_key() -> None:
    assert named("k1:s1") == named("k1:s1")
    assert named("k1:s1") != named("k1:s2")


def forged(**header: object) -> str:
    """A token with the right name and claims, signed with a key that is known to everybody."""
    claims = {"exp": int(NOW_S) + 60}
    return jwt.encode(claims, "s1" * 16, "HS256", headers={"kid": named("k1:s1"), **header})


def test_a_token_of_somebody_else_opens_nothing() -> None:
    access = Access(KEYS)
    header, _, _ = token(access).split(".")
    claims = urlsafe_b64encode(b'{"exp":9999999999}').rstrip(b"=").decode()
    no_signature = urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()

    assert not admits_token(access, forged())
    assert not admits_token(access, forged(kid="0123456789abcdef"))
    assert not admits_token(access, f"{header}.{claims}.")
    assert not admits_token(access, f"{no_signature}.{claims}.")
    assert not admits_token(access, token(access)[:-2])


NESTED = urlsafe_b64encode(b"[" * 12_000).decode().rstrip("=")


@given(st.text(max_size=80))
@example("a.b.c")
@example("\udcff.\udcff.\udcff")
@example(f"{NESTED}.{NESTED}.x")
@example(urlsafe_b64encode(b'{"alg":"HS256","kid":7}').decode() + ".e30.x")
@example(urlsafe_b64encode(b"[]").decode() + ".e30.x")
def test_no_text_can_pass_for_a_token_or_make_checking_raise(text: str) -> None:
    assert not admits_token(Access(KEYS), text)


# Exchanging a key for a token


def test_a_token_says_how_long_it_lasts() -> None:
    answer = Access(KEYS).issue_token(basic("k1:s1"), AWAY, FORM, NOW_S)

    assert isinstance(answer, Token)
    assert answer.expires_in_s == 1800


@pytest.mark.parametrize("pair", ["k1:s2", "k1:", "k1", "k3:", "k3", "k9:s1", ":", "", "k1:s1:"])
def test_a_wrong_pair_gets_no_token(pair: str) -> None:
    answer = refusal(Access(KEYS), basic(pair))

    assert (answer.status, answer.error) == (401, "invalid_client")


@pytest.mark.parametrize(
    "authorization", ["", "Basic", "Basic ?", "Basic ÿ", "Basic /w==", "Basic a", "Bearer azE6czE="]
)
def test_a_header_that_is_no_pair_gets_no_token(authorization: str) -> None:
    answer = refusal(Access(KEYS), {"Host": "localhost", "Authorization": authorization})

    assert (answer.status, answer.error) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ("", "invalid_request"),
        ("grant_type=", "invalid_request"),
        ('{"grant_type": "client_credentials"}', "invalid_request"),
        (f"{FORM}&{FORM}", "invalid_request"),
        ("&".join([FORM, *(f"p{number}=1" for number in range(16))]), "invalid_request"),
        ("grant_type=password", "unsupported_grant_type"),
    ],
)
def test_other_forms_get_no_token(form: str, error: str) -> None:
    answer = refusal(Access(KEYS), basic("k1:s1"), form)

    assert (answer.status, answer.error) == (400, error)


def test_parameters_that_oauth_may_add_are_ignored() -> None:
    answer = Access(KEYS).issue_token(basic("k1:s1"), AWAY, f"scope=chat&{FORM}", NOW_S)

    assert isinstance(answer, Token)


def test_without_keys_any_pair_of_this_machine_gets_a_token() -> None:
    access = Access()
    text = token(access, "my-key:my-secret", HERE)

    assert access.admits(upgrade(HERE), (), text, NOW_S)
    assert not access.admits(upgrade(AWAY), (), text, NOW_S)
    assert refusal(access, basic("my-key:my-secret")).sentence == NOT_LOCAL
    nobody = access.issue_token({"Host": "localhost"}, HERE, FORM, NOW_S)
    assert isinstance(nobody, TokenRefusal)


def test_a_token_of_an_engine_without_keys_opens_no_other() -> None:
    assert not admits_token(Access(KEYS), token(Access(), "k1:s1", HERE))


@given(st.text(max_size=40))
def test_no_header_can_make_issuing_raise(authorization: str) -> None:
    refusal(Access(KEYS), {"Host": "localhost", "Authorization": authorization})


def test_a_client_is_the_same_by_its_key_and_by_its_tokens() -> None:
    access = Access(KEYS)
    ada = access.admits(upgrade(), ("k1",), None, NOW_S)

    assert ada
    assert access.admits(upgrade(), (), token(access), NOW_S) == ada
    assert access.admits(upgrade(), ("wrong", "k1"), None, NOW_S) == ada
    assert access.admits(upgrade(), ("k2",), None, NOW_S) != ada
    assert "k1" not in ada
