"""What a program that holds the service in itself says of a caller.

It is held to what operators may say of one: the bounds are those of `WebSessionBody`.
"""

from collections.abc import Mapping

from pydantic import ValidationError

from evibridge.operators.bodies import (
    MAX_NAME,
    MAX_ORIGIN,
    MAX_PARAMETER,
    MAX_PARAMETER_NAME,
    MAX_PARAMETERS,
    MAX_SPOKEN,
    MAX_VARIABLE_NAME,
    MAX_VARIABLES,
    WebSessionBody,
)
from evibridge.web_sessions import MAX_LIFETIME_S, MIN_LIFETIME_S, WebSession

_WANTED = {
    "name": f"name must be a text of 1 to {MAX_NAME} characters, or None",
    "parameters": (
        f"parameters must be a mapping of at most {MAX_PARAMETERS} names of 1 to "
        f"{MAX_PARAMETER_NAME} characters to texts of at most {MAX_PARAMETER}"
    ),
    "variables": (
        f"variables must be a mapping of at most {MAX_VARIABLES} names of 1 to "
        f"{MAX_VARIABLE_NAME} characters to texts of at most {MAX_SPOKEN}, finite numbers, True or "
        "False"
    ),
    "origin": (
        "origin must be one such as https://shop.example, without a path, of at most "
        f"{MAX_ORIGIN} characters, or None"
    ),
}
"""Sentences that repeat nothing of what was said: it is personal data."""


def checked_web_session(
    name: str | None,
    parameters: Mapping[str, str] | None,
    variables: Mapping[str, str | float | bool] | None,
    origin: str | None,
) -> WebSession:
    """Make a session of what is said of a caller, if it is as it should be.

    Raises:
        ValueError: it is not
    """
    said = {
        "name": name,
        "parameters": _copied(parameters),
        "variables": _copied(variables),
        "origin": origin,
    }
    try:
        return WebSessionBody.model_validate(said).session()
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    # Raised here, as the error that was caught holds what was said.
    sentence = _WANTED[str(fault["loc"][0])] if fault["loc"] else fault["msg"]
    raise ValueError(f"{sentence.removeprefix('Value error, ')}.")


def checked_lifetime_s(lifetime_s: float) -> float:
    """The same number, if a token may wait so long for its call.

    Raises:
        ValueError: it may not
    """
    is_number = isinstance(lifetime_s, int | float)
    if not is_number or not MIN_LIFETIME_S <= lifetime_s <= MAX_LIFETIME_S:
        raise ValueError(
            f"lifetime_s must be a number of seconds from {MIN_LIFETIME_S} to {MAX_LIFETIME_S}."
        )
    return lifetime_s


def _copied(values: Mapping[str, object] | None) -> object:
    """A `dict`, which the checks want; what is no mapping is left to them."""
    if values is None:
        return {}
    return dict(values) if isinstance(values, Mapping) else values
