from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.handshake import MAX_PARAMETERS, is_authorised, read_handshake
from evibridge.engine.messages import AudioSettings, Context, Fault, SessionSettings
from evibridge.sockets import Upgrade

HERE = "127.0.0.1"
AWAY = "192.0.2.7"


def upgrade(query: str = "", peer: str = HERE, **headers: str) -> Upgrade:
    path = "/v0/evi/chat"
    local = {"Host": "127.0.0.1:8765"}
    return Upgrade(f"{path}?{query}" if query else path, local | headers, peer)


def settings_of(query: str) -> SessionSettings:
    settings = read_handshake(upgrade(query)).settings
    assert isinstance(settings, SessionSettings)
    return settings


def fault_of(query: str) -> Fault:
    fault = read_handshake(upgrade(query)).settings
    assert isinstance(fault, Fault)
    return fault


def test_a_query_without_settings_sets_nothing() -> None:
    query = "config_id=1&allow_connection=true&fernSdkVersion=9&session_settings[event_limit]=5"

    assert read_handshake(upgrade(query)).settings is None
    assert read_handshake(upgrade()).settings is None


@pytest.mark.parametrize("spell", [str, lambda query: quote(query, safe="=&+")])
def test_bracketed_settings_are_read_in_both_spellings(spell: type[str]) -> None:
    settings = settings_of(
        spell(
            "session_settings[audio][encoding]=linear16&session_settings[audio][sample_rate]=8000"
            "&session_settings[audio][channels]=1&session_settings[system_prompt]=Be+brief."
            "&session_settings[variables][name]=Jo&session_settings[variables][age]=3.0"
            "&session_settings[context][text]=Verified.&session_settings[custom_session_id]=call-7"
        )
    )

    assert settings.audio == AudioSettings(encoding="linear16", sample_rate=8000, channels=1)
    assert settings.system_prompt == "Be brief."
    assert settings.variables == {"name": "Jo", "age": "3.0"}
    assert settings.context == Context(text="Verified.", type="temporary")
    assert settings.custom_session_id == "call-7"


@pytest.mark.parametrize(
    "query",
    [
        {"session_settings[variables]": '{"name": "Jo", "vip": true}'},
        {"session_settings": '{"variables": {"name": "Jo", "vip": true}}'},
    ],
)
def test_objects_may_be_written_as_one_json_text(query: dict[str, str]) -> None:
    assert settings_of(urlencode(query)).variables == {"name": "Jo", "vip": True}


def test_empty_values_stand_for_members_that_are_none() -> None:
    query = "session_settings[system_prompt]=&session_settings[audio]=&api_key="

    assert read_handshake(upgrade(query)).settings is None


def test_tools_are_not_taken_from_a_query() -> None:
    assert read_handshake(upgrade("session_settings[tools][0][name]=x")).settings is None


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("session_settings[audio][sample_rate]=8000", "audio.encoding"),
        ("session_settings[audio]=fast", "session_settings[audio]"),
        ("session_settings=7", "session_settings"),
        ("session_settings={", "session_settings"),
        ("&".join(f"a{n}=1" for n in range(MAX_PARAMETERS + 1)), "too many"),
    ],
)
def test_malformed_settings_are_a_fault_that_names_them(query: str, named: str) -> None:
    assert named in fault_of(query).message


def test_later_parameters_win() -> None:
    query = "session_settings[audio]=7&session_settings[audio][encoding]=linear16"

    assert "audio.sample_rate" in fault_of(query).message


def test_the_key_is_found_in_header_and_query() -> None:
    assert read_handshake(upgrade("api_key=k1")).api_key == "k1"
    assert read_handshake(upgrade(**{"X-Hume-Api-Key": "k2"})).api_key == "k2"
    assert read_handshake(upgrade()).api_key is None


def test_without_keys_only_this_machine_may_connect() -> None:
    assert is_authorised(upgrade(peer=HERE), None, frozenset())
    assert is_authorised(upgrade(peer="::1"), None, frozenset())
    assert not is_authorised(upgrade(peer=AWAY), "any", frozenset())
    assert not is_authorised(upgrade(peer=""), "any", frozenset())
    page = upgrade(peer=HERE, Origin="https://elsewhere.example")
    assert not is_authorised(page, "any", frozenset())


def test_bytes_that_are_no_text_are_no_key() -> None:
    key = b"\xff\xfe".decode(errors="surrogateescape")

    assert not is_authorised(upgrade(peer=HERE), key, frozenset({"k1"}))


def test_a_blank_key_admits_nobody() -> None:
    assert not is_authorised(upgrade(peer=HERE), None, frozenset({""}))


def test_a_key_counts_even_beside_too_many_parameters() -> None:
    query = "&".join(f"p{number}=1" for number in range(MAX_PARAMETERS + 1))
    handshake = read_handshake(upgrade(query, **{"X-Hume-Api-Key": "k1"}))

    assert handshake.api_key == "k1"
    assert isinstance(handshake.settings, Fault)


def test_with_keys_one_of_them_is_needed_from_everywhere() -> None:
    keys = frozenset({"k1", "k2"})

    assert is_authorised(upgrade(peer=AWAY), "k2", keys)
    assert not is_authorised(upgrade(peer=HERE), "k3", keys)
    assert not is_authorised(upgrade(peer=HERE), None, keys)
    assert not is_authorised(upgrade(peer=HERE), "ключ", keys)


@given(st.text(alphabet='sesion_ting[]audiovrblmpxt=&%5BD{}":1', max_size=120))
def test_no_query_can_make_reading_raise(query: str) -> None:
    read_handshake(upgrade(query))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "[audio]", "[variables]", "[variables][a]", "[context][text]"]),
            st.sampled_from(["", "1", "{}", "[]", '{"a": {"b": 1}}', '{"variables": 1}', "x"]),
        ),
        max_size=6,
    )
)
def test_no_mixture_of_settings_can_make_reading_raise(pairs: list[tuple[str, str]]) -> None:
    query = urlencode([(f"session_settings{name}", value) for name, value in pairs])

    settings = read_handshake(upgrade(query)).settings

    assert settings is None or isinstance(settings, SessionSettings | Fault)
