"""A section of the engine's file, and the values that stand in several of them."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

from evibridge.engine.yaml_file import Value, required

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
"""Keys have lower-case letters: one that is put in the place of a name is not repeated in a log."""
_KEYS_THEMSELVES = {
    "api_key": "api_key_env",
    "language_model_api_key": "api_key_env",
    "signing_key": "signing_key_env",
}
"""What people write into a file that is copied and committed, and what they should write."""

_T = TypeVar("_T")


class Section:
    """A mapping of the file whose keys are known; all of its values may be left out.

    A value that is `null` counts as left out, as in EVI's own configurations.

    Args:
        value: the mapping, None when it is left out
        what: what it is, for the sentence of a fault
        keys: those that it may have

    Raises:
        EngineSetupError: here and in all methods, for what is wrong, with its place
    """

    def __init__(self, value: Value | None, what: str, keys: tuple[str, ...]) -> None:
        self.value = value
        self.what = what
        self._members: dict[str, Value] = {}
        if value is not None and not value.is_null():
            _no_keys_in_files(value, what)
            members = value.members(what, keys)
            self._members = {key: value for key, value in members.items() if not value.is_null()}

    def get(self, key: str) -> Value | None:
        """Return a value, None when it is left out."""
        return self._members.get(key)

    def needs(self, key: str) -> Value:
        """Return a value that must not be left out."""
        assert self.value is not None
        return required(self._members, key, self.value, self.what)

    def section(self, key: str, keys: tuple[str, ...]) -> "Section":
        """Return the mapping within this one that has that name."""
        return Section(self.get(key), f'"{key}"', keys)

    def text(self, key: str, otherwise: _T) -> str | _T:
        """Return a text."""
        value = self.get(key)
        return otherwise if value is None else value.text()

    def flag(self, key: str, *, otherwise: bool) -> bool:
        """Return a truth value."""
        value = self.get(key)
        return otherwise if value is None else value.flag()

    def number(self, key: str, lowest: float, highest: float, otherwise: _T) -> float | _T:
        """Return a number of a range."""
        value = self.get(key)
        return otherwise if value is None else value.number(lowest, highest)

    def whole(self, key: str, lowest: int, highest: int, otherwise: _T) -> int | _T:
        """Return a whole number of a range."""
        value = self.get(key)
        return otherwise if value is None else value.whole_number(lowest, highest)


def address(
    value: Value,
    schemes: tuple[str, ...],
    instead_of_user: str = 'use "api_key_env" for a key',
) -> str:
    """Return an address of the network.

    Args:
        value: where it stands
        schemes: how it may begin
        instead_of_user: what to do without the user name that addresses do not have here

    Raises:
        EngineSetupError: it is none
    """
    url = value.text()
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is none
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in schemes or not parts.hostname or " " in url or parts.fragment:
        local = _is_local(_likely_host(url))
        usual = [f"{scheme}://" for scheme in schemes if (scheme in ("http", "ws")) is local]
        raise value.fault(
            f"an address is expected here; write one that begins with {' or '.join(usual)}"
        )
    if parts.username is not None:
        raise value.fault(f"an address has no user name here; {instead_of_user}")
    return url


def secret(value: Value, variables: Mapping[str, str], example: str) -> str:
    """Return the key whose environment variable is named here.

    Args:
        value: where the name stands
        variables: the environment
        example: a name such as people give to variables of that sort

    Raises:
        EngineSetupError: this is no name, or the variable is not set
    """
    name = value.text()
    if not _VARIABLE.fullmatch(name):
        raise value.fault(
            "the name of an environment variable is expected here, in capitals such as "
            f"{example}; the key itself belongs into that variable"
        )
    key = variables.get(name, "").strip()
    if not key:
        raise value.fault(f"the environment variable {name} is not set; set it to the key")
    return key


def _no_keys_in_files(value: Value, what: str) -> None:
    """Refuse them in a sentence that does not repeat the key."""
    for name, member in value.mapping(what).items():
        if name in _KEYS_THEMSELVES:
            raise member.fault(
                "keys do not stand in this file; put the key into an environment variable and "
                f'write the name of that variable as "{_KEYS_THEMSELVES[name]}"'
            )


def _likely_host(url: str) -> str:
    """Guess the host of what is no address, most often for want of a scheme."""
    try:
        return urlsplit(f"//{url.rpartition('://')[2]}").hostname or ""
    except ValueError:
        return ""


def _is_local(host: str) -> bool:
    """Tell whether a host is of this machine or its network, where services seldom have TLS."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return bool(host) and "." not in host
