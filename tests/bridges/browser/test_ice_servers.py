import base64
import hashlib
import hmac

import pytest

from evibridge.bridges.browser.ice_servers import IceServer, IceServers
from evibridge.errors import SettingsError

STUN = "stun:stun.example.com:3478"
TURN = "turn:turn.example.com:3478?transport=udp"


def test_without_urls_there_are_no_servers() -> None:
    assert IceServers().issue(1000.0) == []


def test_stun_needs_no_credentials() -> None:
    (server,) = IceServers([STUN, "stuns:other.example.com"]).issue(1000.0)
    assert server.as_json() == {"urls": [STUN, "stuns:other.example.com"]}


def test_turn_gets_a_username_that_expires_and_its_signature() -> None:
    stun, turn = IceServers([STUN, TURN], "a secret", turn_ttl_s=600).issue(1000.9)
    assert stun.urls == (STUN,)
    assert turn.urls == (TURN,)
    assert turn.username is not None
    expires, _, random = turn.username.partition(":")
    assert (expires, len(random)) == ("1600", 16)
    signed = hmac.new(b"a secret", turn.username.encode(), hashlib.sha1).digest()
    assert turn.credential == base64.b64encode(signed).decode()
    assert turn.as_json() == {
        "urls": [TURN],
        "username": turn.username,
        "credential": turn.credential,
    }


def test_each_page_gets_credentials_of_its_own() -> None:
    servers = IceServers([TURN], "a secret")
    assert servers.issue(1000.0) != servers.issue(1000.0)


def test_credentials_are_not_shown() -> None:
    (turn,) = IceServers([TURN], "a secret").issue(1000.0)
    assert turn.username is not None
    assert turn.credential is not None
    assert turn.username not in repr(turn)
    assert turn.credential not in repr(turn)


@pytest.mark.parametrize("secret", [None, ""])
def test_turn_without_a_secret_is_refused(secret: str | None) -> None:
    with pytest.raises(SettingsError, match="set EVIBRIDGE_TURN_SECRET to"):
        IceServers([TURN], secret)


def test_a_server_without_credentials_is_as_browsers_have_it() -> None:
    assert IceServer((STUN,)).as_json() == {"urls": [STUN]}
