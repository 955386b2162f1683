"""All settings, read from the environment and from `.env`.

Only `service.py`, `engine_service.py` and `cli.py` read them; everything else is handed plain
values.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from evibridge.dialling import TransferTarget, checked_number, transfer_targets
from evibridge.errors import SettingsError
from evibridge.loopback import is_loopback
from evibridge.web_origins import checked_origin

ENV_FILE = ".env"
NOT_UTF_8 = f"{ENV_FILE} cannot be read: save the file as UTF-8."

_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")
_ICE_HOST = r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_ICE_SERVER = re.compile(rf"stuns?:{_ICE_HOST}|turns?:{_ICE_HOST}(?:\?transport=(?:udp|tcp))?")
"""RFC 7064 and RFC 7065."""


class Settings(BaseSettings):
    """Settings of all commands; each is `EVIBRIDGE_<NAME>` unless it belongs to a vendor."""

    model_config = SettingsConfigDict(
        env_prefix="EVIBRIDGE_",
        env_file=ENV_FILE,
        env_ignore_empty=True,  # `NAME=` in a `.env` file is as good as no line
        extra="ignore",
        populate_by_name=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """TCP port; 0 takes any free one."""
    public_url: str | None = None
    """Origin under which carriers reach the service, `https://voice.example.com`."""
    evi_url: str | None = None
    """Origin of the EVI server; without it the embedded engine is started."""
    max_calls: Annotated[int, Field(ge=1)] = 100
    """Calls at a time; the next caller hears the busy tone."""
    max_call_seconds: Annotated[float, Field(gt=0)] = 1800.0
    """Longest call; EVI itself ends a chat after 30 minutes."""
    tool_seconds: Annotated[float, Field(gt=0)] = 8.0
    """Deadline of a tool that sets none of its own."""
    engine_config: Path | None = None
    """Configuration of the engine, a YAML file; without it everything is at its default."""
    engine_keys: SecretStr | None = None
    """`key` or `key:secret`, separated by commas: what clients of `evibridge engine` must show."""
    resume_seconds: Annotated[float, Field(ge=0)] = 20.0
    """How long a call that has lost its EVI server or its phone line waits for it to come back."""
    fallback_number: str | None = None
    """Where a call goes that cannot be saved: a number in E.164, or a `sip:` address."""
    drain_seconds: Annotated[float | None, Field(ge=0)] = None
    """How long the calls of `evibridge run` and the chats of `evibridge engine` may go on after
    SIGTERM; overrides the engine's file."""
    model: str | None = None
    """The language model that the engine thinks with; overrides its file."""
    operator_token: SecretStr | None = None
    """What operators show: `name:scope=token`, separated by commas, or one bare token."""
    data_dir: Path = Path("data")
    """Where every call leaves its record."""
    record: bool = False
    """Whether the sound of calls is kept beside their records."""
    outbound_number: str | None = None
    """Number that outbound calls show unless another is asked for: one of the Twilio account."""
    transfer_targets: Annotated[tuple[TransferTarget, ...], NoDecode] = ()
    """Whom operators put callers through to often: `name=number`, separated by commas."""
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins of other services' pages that may call from the browser, separated by commas."""
    ice_servers: Annotated[tuple[str, ...], NoDecode] = ()
    """`stun:`, `turn:` and `turns:` addresses for callers in the browser, separated by commas."""
    turn_secret: SecretStr | None = None
    """What the TURN servers share with this service, to make credentials of."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"

    twilio_api_url: str = "https://api.twilio.com"
    """Origin of Twilio's REST API; each region has its own."""

    hume_api_key: Annotated[SecretStr | None, Field(validation_alias="HUME_API_KEY")] = None
    hume_config_id: Annotated[str | None, Field(validation_alias="HUME_CONFIG_ID")] = None
    hume_webhook_signing_key: Annotated[
        SecretStr | None, Field(validation_alias="HUME_WEBHOOK_SIGNING_KEY")
    ] = None
    """What EVI's webhooks are signed with."""
    twilio_account_sid: Annotated[str | None, Field(validation_alias="TWILIO_ACCOUNT_SID")] = None
    twilio_auth_token: Annotated[SecretStr | None, Field(validation_alias="TWILIO_AUTH_TOKEN")] = (
        None
    )
    openai_base_url: Annotated[str | None, Field(validation_alias="OPENAI_BASE_URL")] = None
    openai_api_key: Annotated[SecretStr | None, Field(validation_alias="OPENAI_API_KEY")] = None

    @field_validator("public_url", "evi_url", "twilio_api_url")
    @classmethod
    def _is_origin(cls, value: str | None) -> str | None:
        """An origin is scheme, host and port only; a trailing slash is forgiven."""
        if not value:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or " " in value:
            raise ValueError("must be an origin such as https://voice.example.com")
        if parts.path.strip("/") or "?" in value or "#" in value or parts.username is not None:
            raise ValueError("must be an origin only: no path, query or user name")
        _ = parts.port  # raises for a port that is none
        return value.rstrip("/")

    @field_validator("allowed_origins", "ice_servers", mode="before")
    @classmethod
    def _is_list(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(filter(None, (entry.strip() for entry in value.split(","))))

    @field_validator("transfer_targets", mode="before")
    @classmethod
    def _are_targets(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return transfer_targets(value) if value.strip() else ()

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(checked_origin, values))

    @field_validator("ice_servers")
    @classmethod
    def _are_ice_servers(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not _ICE_SERVER.fullmatch(value):
                raise ValueError(
                    "must be addresses such as stun:stun.example.com:3478 or "
                    "turn:turn.example.com?transport=tcp, with commas between them"
                )
        return values

    @field_validator("public_url")
    @classmethod
    def _is_secure(cls, value: str | None) -> str | None:
        """Twilio opens media streams over TLS only; a local phone needs none."""
        if value and value.startswith("http:") and not is_loopback(urlsplit(value).hostname or ""):
            raise ValueError("must begin with https://, because Twilio takes wss:// streams only")
        return value

    @field_validator("openai_base_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        """Unlike an origin, the address of a model service has a path."""
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or " " in value:
            raise ValueError("must be an address such as https://api.openai.com/v1")
        if parts.username is not None:
            raise ValueError("must not have a user name; OPENAI_API_KEY holds the key")
        _ = parts.port  # raises for a port that is none
        return value

    @field_validator("fallback_number", "outbound_number")
    @classmethod
    def _can_be_dialled(cls, value: str | None) -> str | None:
        return None if value is None else checked_number(value)

    @field_validator("twilio_account_sid")
    @classmethod
    def _is_account(cls, value: str | None) -> str | None:
        if value is not None and not _ACCOUNT_SID.fullmatch(value):
            raise ValueError("must be AC and 32 hexadecimal digits, as in Twilio's console")
        return value

    @field_validator(
        "engine_keys",
        "fallback_number",
        "hume_api_key",
        "hume_webhook_signing_key",
        "openai_api_key",
        "operator_token",
        "outbound_number",
        "turn_secret",
        "twilio_account_sid",
        "twilio_api_url",
        "twilio_auth_token",
        mode="before",
    )
    @classmethod
    def _blank_is_unset(cls, value: object, info: ValidationInfo) -> object:
        """`KEY=` or `KEY=" "` in a `.env` file is as good as no line."""
        assert info.field_name is not None
        is_blank = isinstance(value, str) and not value.strip()
        return cls.model_fields[info.field_name].default if is_blank else value


def load_settings(**overrides: object) -> Settings:
    """Read the settings; options of the command line win over the environment.

    Raises:
        SettingsError: one line per wrong setting, each naming the variable to change
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(fault) for fault in error.errors())) from None
    except UnicodeDecodeError:
        raise SettingsError(NOT_UTF_8) from None


def load_environment() -> dict[str, str]:
    """Read all variables that have a value, for keys whose names the owner of the engine chooses.

    Raises:
        SettingsError: the `.env` file is not UTF-8
    """
    try:
        file = dotenv_values(ENV_FILE)
    except UnicodeDecodeError:
        raise SettingsError(NOT_UTF_8) from None
    # As in `Settings`: the environment wins, unless the variable is empty there.
    variables = [*file.items(), *os.environ.items()]
    return {name: value for name, value in variables if value}


def _sentence(fault: object) -> str:
    assert isinstance(fault, dict)
    name = str(fault["loc"][0])
    variable = name if name.isupper() else f"EVIBRIDGE_{name.upper()}"
    if fault["type"] == "bool_parsing":
        return f"{variable}: write true or false."
    return f"{variable}: {str(fault['msg']).removeprefix('Value error, ')}."
