from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.chat.faults import Fault
from evibridge.engine.chat.handshake import DEFAULT_EVENT_LIMIT, MAX_PARAMETERS, read_handshake
from evibridge.engine.chat.messages import AudioSettings, Context, SessionSettings
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
    handshake = read_handshake(upgrade(query))
    assert isinstance(handshake.fault, Fault)
    assert handshake.settings is None
    return handshake.fault


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
    assert read_handshake(upgrade("api_key=k1")).api_keys == ("k1",)
    assert read_handshake(upgrade(**{"X-Hume-Api-Key": "k2"})).api_keys == ("k2",)
    both = read_handshake(upgrade("api_key=k1", **{"X-Hume-Api-Key": "k2"}))
    assert both.api_keys == ("k2", "k1")
    assert read_handshake(upgrade()).api_keys == ()


def test_a_key_counts_even_beside_too_many_parameters() -> None:
    query = "&".join(f"p{number}=1" for number in range(MAX_PARAMETERS + 1))
    handshake = read_handshake(upgrade(query, **{"X-Hume-Api-Key": "k1"}))

    assert handshake.api_keys == ("k1",)
    assert handshake.fault is not None


def test_the_token_is_found_in_the_query() -> None:
    assert read_handshake(upgrade("access_token=t1")).access_token == "t1"
    assert read_handshake(upgrade("access_token=")).access_token is None


def test_credentials_are_not_shown() -> None:
    query = "api_key=secret1&access_token=secret2&session_settings[language_model_api_key]=secret3"

    assert "secret" not in repr(read_handshake(upgrade(query)))


def test_options_of_the_chat_are_read() -> None:
    query = (
        "verbose_transcription=true&allow_connection=true&event_limit=50&voice_id=Ava"
        "&resumed_chat_group_id=8859a139&config_id=1b60e1a0&config_version=3"
        "&session_settings[language_model_api_key]=sk-1"
    )
    handshake = read_handshake(upgrade(query))

    assert handshake.verbose_transcription
    assert handshake.event_limit == 50
    assert handshake.resumed_chat_group_id == "8859a139"
    assert handshake.settings is not None
    assert handshake.settings.voice_id == "Ava"
    assert handshake.settings.language_model_api_key == "sk-1"
    assert handshake.fault is None


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("1B60E1A0-cc59-424a-8d2c-189d354db3f3", "1B60E1A0-cc59-424a-8d2c-189d354db3f3"),
        ("1b60e1a0cc59424a8d2c189d354db3f3", None),
        ("1b60e1a0-cc59-424a-8d2c-189d354db3f3%0A", None),
        ("mine", None),
        ("", None),
    ],
)
def test_the_id_of_a_configuration_is_kept_as_it_came_if_it_is_one(
    written: str, told: str | None
) -> None:
    handshake = read_handshake(upgrade(f"config_id={written}"))

    assert handshake.config_id == told
    assert handshake.fault is None


def test_options_have_defaults() -> None:
    for query in ("", "verbose_transcription=&event_limit=&resumed_chat_group_id=&voice_id="):
        handshake = read_handshake(upgrade(query))
        assert not handshake.verbose_transcription
        assert handshake.event_limit == DEFAULT_EVENT_LIMIT
        assert handshake.resumed_chat_group_id is None
        assert handshake.config_id is None
        assert handshake.settings is None


def test_options_within_the_settings_win() -> None:
    query = (
        "event_limit=50&session_settings[event_limit]=7&voice_id=Ava&session_settings[voice_id]=Ito"
    )
    handshake = read_handshake(upgrade(query))

    assert handshake.event_limit == 7
    assert handshake.settings is not None
    assert handshake.settings.voice_id == "Ito"


@pytest.mark.parametrize(
    "query",
    ["verbose_transcription=maybe", "allow_connection=2", "event_limit=-1", "event_limit=many"],
)
def test_an_option_that_cannot_be_read_is_a_fault_that_names_it(query: str) -> None:
    assert query.partition("=")[0] in fault_of(query).message


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

    handshake = read_handshake(upgrade(query))

    assert handshake.settings is None or handshake.fault is None
