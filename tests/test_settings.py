from pathlib import Path

import pytest

from evibridge.errors import SettingsError
from evibridge.settings import Settings, load_environment, load_settings

ACCOUNT_SID = f"AC{'0123456789abcdef' * 2}"


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, field in Settings.model_fields.items():
        variable = field.validation_alias or f"EVIBRIDGE_{name.upper()}"
        monkeypatch.delenv(str(variable), raising=False)


def test_everything_has_a_default_for_a_first_try() -> None:
    settings = load_settings()

    assert (settings.host, settings.port, settings.evi_url) == ("127.0.0.1", 8080, None)
    assert settings.twilio_auth_token is None


def test_settings_come_from_the_environment_and_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("EVIBRIDGE_PORT=9001\nHUME_API_KEY=from-file\n")
    monkeypatch.setenv("EVIBRIDGE_EVI_URL", "http://127.0.0.1:8765/")

    settings = load_settings()

    assert (settings.port, settings.evi_url) == (9001, "http://127.0.0.1:8765")
    assert settings.hume_api_key is not None
    assert settings.hume_api_key.get_secret_value() == "from-file"


def test_options_of_the_command_line_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIBRIDGE_PORT", "9001")

    assert load_settings(port=9002, host=None).port == 9002


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("TWILIO_ACCOUNT_SID", "twilio_account_sid"),
        ("TWILIO_AUTH_TOKEN", "twilio_auth_token"),
        ("OPENAI_API_KEY", "openai_api_key"),
        ("EVIBRIDGE_ENGINE_KEYS", "engine_keys"),
        ("EVIBRIDGE_FALLBACK_NUMBER", "fallback_number"),
        ("EVIBRIDGE_OPERATOR_TOKEN", "operator_token"),
    ],
)
def test_what_is_blank_is_none(monkeypatch: pytest.MonkeyPatch, variable: str, name: str) -> None:
    monkeypatch.setenv(variable, " ")

    assert getattr(load_settings(), name) is None


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_address_of_twilio_is_twilios_own(
    monkeypatch: pytest.MonkeyPatch, blank: str
) -> None:
    monkeypatch.setenv("EVIBRIDGE_TWILIO_API_URL", blank)

    assert load_settings().twilio_api_url == "https://api.twilio.com"
    assert load_settings(twilio_api_url=blank).twilio_api_url == "https://api.twilio.com"


def test_calls_that_are_cut_off_have_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().resume_seconds == 20
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", ACCOUNT_SID)
    monkeypatch.setenv("EVIBRIDGE_TWILIO_API_URL", "https://api.dublin.ie1.twilio.com/")
    monkeypatch.setenv("EVIBRIDGE_RESUME_SECONDS", "0")

    settings = load_settings()

    assert settings.twilio_account_sid == ACCOUNT_SID
    assert settings.twilio_api_url == "https://api.dublin.ie1.twilio.com"
    assert settings.resume_seconds == 0


@pytest.mark.parametrize("number", ["+1415555", "+141555501001234", "sip:desk@shop.example;a=b"])
def test_a_call_that_cannot_be_saved_goes_to_a_number_or_an_address(
    monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setenv("EVIBRIDGE_FALLBACK_NUMBER", number)

    assert load_settings().fallback_number == number


def test_the_engine_has_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIBRIDGE_ENGINE_CONFIG", "engine.yaml")
    monkeypatch.setenv("EVIBRIDGE_ENGINE_KEYS", "key:hush")
    monkeypatch.setenv("EVIBRIDGE_DRAIN_SECONDS", "0.5")
    monkeypatch.setenv("EVIBRIDGE_MODEL", "m")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "hush")

    settings = load_settings()

    assert (settings.engine_config, settings.drain_seconds) == (Path("engine.yaml"), 0.5)
    assert (settings.model, settings.openai_base_url) == ("m", "http://127.0.0.1:11434/v1")
    assert "hush" not in repr(settings)


def test_variables_of_any_name_come_from_the_environment_and_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("A_KEY=file\nB_KEY=file\nC_KEY=file\nD_KEY=\n")
    monkeypatch.setenv("B_KEY", "environment")
    monkeypatch.setenv("C_KEY", "")

    variables = load_environment()

    assert [variables.get(f"{name}_KEY") for name in "ABCD"] == [
        "file",
        "environment",
        "file",
        None,
    ]


def test_an_empty_line_of_the_file_sets_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("EVIBRIDGE_HOST=\nEVIBRIDGE_MAX_CALLS=\n")

    settings = load_settings()

    assert (settings.host, settings.max_calls) == ("127.0.0.1", 100)


def test_a_file_that_is_not_utf_8_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"EVIBRIDGE_HOST=caf\xe9\n")

    with pytest.raises(SettingsError, match="save the file as UTF-8"):
        load_settings()
    with pytest.raises(SettingsError, match="save the file as UTF-8"):
        load_environment()


def test_secrets_do_not_show() -> None:
    settings = Settings(twilio_auth_token="hush", operator_token="hush")  # type: ignore[arg-type]

    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("EVIBRIDGE_PORT", "eighty", "EVIBRIDGE_PORT: Input should be a valid integer"),
        ("EVIBRIDGE_RECORD", "perhaps", "EVIBRIDGE_RECORD: write true or false."),
        ("EVIBRIDGE_PORT", "70000", "EVIBRIDGE_PORT: Input should be less than"),
        ("EVIBRIDGE_MAX_CALLS", "0", "EVIBRIDGE_MAX_CALLS"),
        ("EVIBRIDGE_LOG_FORMAT", "xml", "EVIBRIDGE_LOG_FORMAT"),
        ("EVIBRIDGE_EVI_URL", "127.0.0.1:8765", "EVIBRIDGE_EVI_URL: must be an origin"),
        ("EVIBRIDGE_PUBLIC_URL", "https://a.example/b", "EVIBRIDGE_PUBLIC_URL: must be an origin"),
        ("EVIBRIDGE_PUBLIC_URL", "https://u:p@a.example", "no path, query or user name"),
        ("EVIBRIDGE_PUBLIC_URL", "https://a.example?", "no path, query or user name"),
        ("EVIBRIDGE_PUBLIC_URL", "http://a.example", "must begin with https://"),
        ("EVIBRIDGE_EVI_URL", "http://127.0.0.1:99999", "EVIBRIDGE_EVI_URL: Port out of range"),
        ("EVIBRIDGE_EVI_URL", "http://ex ample", "EVIBRIDGE_EVI_URL: must be an origin"),
        ("EVIBRIDGE_DRAIN_SECONDS", "-1", "EVIBRIDGE_DRAIN_SECONDS: Input should be greater"),
        ("EVIBRIDGE_RESUME_SECONDS", "-1", "EVIBRIDGE_RESUME_SECONDS: Input should be greater"),
        ("EVIBRIDGE_TWILIO_API_URL", "api.twilio.com", "EVIBRIDGE_TWILIO_API_URL: must be an or"),
        ("EVIBRIDGE_TWILIO_API_URL", "https://a.example/b", "must be an origin only: no path"),
        ("TWILIO_ACCOUNT_SID", ACCOUNT_SID[:-1], "TWILIO_ACCOUNT_SID: must be AC and 32 hexade"),
        ("TWILIO_ACCOUNT_SID", f"SK{ACCOUNT_SID[2:]}", "TWILIO_ACCOUNT_SID: must be AC and 32"),
        ("EVIBRIDGE_FALLBACK_NUMBER", "+141555", "EVIBRIDGE_FALLBACK_NUMBER: must be a number"),
        ("EVIBRIDGE_FALLBACK_NUMBER", "+1415555010012345", "must be a number such as \\+141555501"),
        ("EVIBRIDGE_FALLBACK_NUMBER", "4155550100", "EVIBRIDGE_FALLBACK_NUMBER: must be a number"),
        ("EVIBRIDGE_FALLBACK_NUMBER", "sip:desk", "EVIBRIDGE_FALLBACK_NUMBER: must be a number"),
        ("OPENAI_BASE_URL", "127.0.0.1:11434/v1", "OPENAI_BASE_URL: must be an address such as"),
        ("OPENAI_BASE_URL", "https://u:p@a.example", "OPENAI_BASE_URL: must not have a user name"),
        ("OPENAI_BASE_URL", "http://a.example:99999", "OPENAI_BASE_URL: Port out of range"),
    ],
)
def test_a_wrong_setting_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=sentence):
        load_settings()


def test_lists_have_commas_between_their_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (load_settings().allowed_origins, load_settings().ice_servers) == ((), ())
    monkeypatch.setenv("EVIBRIDGE_ALLOWED_ORIGINS", "https://Shop.example/, http://127.0.0.1:3000,")
    monkeypatch.setenv("EVIBRIDGE_ICE_SERVERS", "stun:a.example,turns:b.example:5349?transport=tcp")

    settings = load_settings()

    assert settings.allowed_origins == ("https://shop.example", "http://127.0.0.1:3000")
    assert settings.ice_servers == ("stun:a.example", "turns:b.example:5349?transport=tcp")


def test_calls_are_put_through_to_people_with_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().transfer_targets == ()
    monkeypatch.setenv(
        "EVIBRIDGE_TRANSFER_TARGETS",
        "Front desk=+442079460100, Sales = sip:sales@example.com;a=b ",
    )

    assert load_settings().transfer_targets == (
        ("Front desk", "+442079460100"),
        ("Sales", "sip:sales@example.com;a=b"),
    )
    monkeypatch.setenv("EVIBRIDGE_TRANSFER_TARGETS", " ")
    assert load_settings().transfer_targets == ()


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("+442079460100", "entry 1 is no name and number: write name=number, such as Front desk="),
        ("Desk=+442079460100,", "entry 2 is no name and number"),
        ("=+442079460100", "entry 1 has no name of 1 to 64 characters"),
        (f"{'x' * 65}=+442079460100", "entry 1 has no name of 1 to 64 characters"),
        ("Desk=", "entry 1: what is dialled must be a number such as"),
        ("Desk=+442079460100,Sales=020 7946", "entry 2: what is dialled must be a number such as"),
        ("Desk=+442079460100,Desk=+442079460101", "entry 2 has the name of an entry before it"),
    ],
)
def test_people_who_cannot_be_dialled_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, value: str, sentence: str
) -> None:
    monkeypatch.setenv("EVIBRIDGE_TRANSFER_TARGETS", value)

    with pytest.raises(SettingsError, match=f"^EVIBRIDGE_TRANSFER_TARGETS: {sentence}"):
        load_settings()


@pytest.mark.parametrize(
    "address",
    [
        "stun:stun.example.com",
        "stuns:turn_server:5349",
        "turn:192.0.2.1:3478?transport=udp",
        "turns:[2001:db8::1]:5349?transport=tcp",
        "stun:[2001:db8::1]",
    ],
)
def test_servers_for_networks_may_be_named_in_any_way_there_is(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("EVIBRIDGE_ICE_SERVERS", address)

    assert load_settings().ice_servers == (address,)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("EVIBRIDGE_ALLOWED_ORIGINS", "https://a.example,b.example", "must be an origin such as"),
        ("EVIBRIDGE_ALLOWED_ORIGINS", "*", "must be an origin such as"),
        *(
            ("EVIBRIDGE_ICE_SERVERS", value, "must be addresses such as stun:")
            for value in (
                "stun.example.com",
                "http://stun.example.com",
                "stun:",
                "stun:host:port",
                "stun:host?transport=udp",
                "stun:2001:db8::1",
                "stun:[2001:db8::1",
                "turn:host?transport=sctp",
                "turn:host:3478:3478",
                "turn:name:word@a.example",
            )
        ),
    ],
)
def test_a_wrong_entry_of_a_list_is_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError, match=sentence) as error:
        load_settings()
    assert str(error.value).startswith(f"{variable}: ")
