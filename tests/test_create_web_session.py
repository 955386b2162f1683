"""Tokens that a program makes which holds the service in itself."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from evibridge import create_web_session
from evibridge.operators import bodies
from evibridge.service import WEB_SESSIONS, Service, start_service
from evibridge.web_sessions import MAX_CHARACTERS, WebSession, WebSessionRefused
from tests.bridges.conftest import AGENT, settings
from tests.parties import TinyEvi

SHOP = "https://shop.example"
HUSH = {"Authorization": "Bearer hush"}
MAX = {
    "name": "a" * bodies.MAX_NAME,
    "parameters": {
        "k" * bodies.MAX_PARAMETER_NAME: "v" * bodies.MAX_PARAMETER,
        **{str(number): "" for number in range(bodies.MAX_PARAMETERS - 1)},
    },
    "variables": {
        "k" * bodies.MAX_VARIABLE_NAME: "v" * bodies.MAX_SPOKEN,
        **{str(number): number for number in range(bodies.MAX_VARIABLES - 1)},
    },
}


@pytest.fixture
async def service(evi: TinyEvi, tmp_path: Path) -> AsyncIterator[Service]:
    running = await start_service(AGENT, settings(evi, operator_token="hush", data_dir=tmp_path))
    yield running
    await running.close()


@pytest.fixture
def app(service: Service) -> web.Application:
    return service.parts.app


def redeemed(app: web.Application, token: str, origin: str | None = None) -> WebSession:
    return app[WEB_SESSIONS].redeem(token, origin, asyncio.get_running_loop().time())


async def test_a_token_stands_for_what_is_said_of_the_caller(app: web.Application) -> None:
    token = create_web_session(
        app,
        name="Ann",
        parameters={"order": "1042"},
        variables=MappingProxyType({"plan": "gold", "age": 30, "share": 0.5, "vip": True}),
        origin=SHOP,
        lifetime_s=5,
    )

    assert redeemed(app, token, SHOP) == WebSession(
        "Ann", {"order": "1042"}, {"plan": "gold", "age": 30, "share": 0.5, "vip": True}, SHOP
    )


async def test_nothing_need_be_said(app: web.Application) -> None:
    assert redeemed(app, create_web_session(app)) == WebSession()


async def test_what_is_changed_afterwards_does_not_matter(app: web.Application) -> None:
    parameters = {"order": "1042"}
    token = create_web_session(app, parameters=parameters)
    parameters["order"] = "1043"

    assert redeemed(app, token).parameters == {"order": "1042"}


@pytest.mark.parametrize(
    ("made_for", "shown"),
    [
        ("https://shop.example:443", SHOP),
        (SHOP, "https://shop.example:443"),
        ("https://Shop.Example/", SHOP),
        ("http://[0::1]:80", "http://[::1]"),
    ],
)
async def test_one_origin_may_be_written_in_several_ways(
    app: web.Application, made_for: str, shown: str
) -> None:
    assert redeemed(app, create_web_session(app, origin=made_for), shown)


async def test_another_origin_is_another(app: web.Application) -> None:
    token = create_web_session(app, origin="https://shop.example:8443")

    with pytest.raises(WebSessionRefused):
        redeemed(app, token, SHOP)


@pytest.mark.parametrize("lifetime_s", [5, 5.5, 3600.0])
async def test_a_token_may_wait_from_seconds_to_an_hour(
    app: web.Application, lifetime_s: float
) -> None:
    assert create_web_session(app, lifetime_s=lifetime_s)


@pytest.mark.parametrize(
    "lifetime_s", [4.9, 3600.1, -1, 0, True, float("nan"), float("inf"), "60", None]
)
async def test_no_token_waits_for_ever_or_not_at_all(app: web.Application, lifetime_s: Any) -> None:
    with pytest.raises(ValueError, match=r"^lifetime_s must be .* from 5 to 3600\.$"):
        create_web_session(app, lifetime_s=lifetime_s)


@pytest.mark.parametrize("member", MAX)
async def test_the_most_that_may_be_said_is_said(app: web.Application, member: str) -> None:
    assert create_web_session(app, **{member: MAX[member]})  # type: ignore[arg-type]


WRONG: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "a" * (bodies.MAX_NAME + 1)),
    ("name", "\ud800"),
    ("name", 17),
    ("parameters", {"order": 1042}),
    ("parameters", {"order": None}),
    ("parameters", {"": "1042"}),
    ("parameters", {17: "1042"}),
    ("parameters", {"k" * (bodies.MAX_PARAMETER_NAME + 1): ""}),
    ("parameters", {"order": "1" * (bodies.MAX_PARAMETER + 1)}),
    ("parameters", {str(number): "" for number in range(bodies.MAX_PARAMETERS + 1)}),
    ("parameters", [("order", "1042")]),
    ("parameters", "order"),
    ("variables", {"plan": None}),
    ("variables", {"plan": ["gold"]}),
    ("variables", {"plan": object()}),
    ("variables", {"plan": float("nan")}),
    ("variables", {"plan": float("inf")}),
    ("variables", {"plan": 10**5000}),
    ("variables", {"plan": "\ud800"}),
    ("variables", {"k" * (bodies.MAX_VARIABLE_NAME + 1): ""}),
    ("variables", {"plan": "a" * (bodies.MAX_SPOKEN + 1)}),
    ("variables", {str(number): "" for number in range(bodies.MAX_VARIABLES + 1)}),
    ("variables", []),
    ("origin", "null"),
    ("origin", ""),
    ("origin", "*"),
    ("origin", "shop.example"),
    ("origin", "https://shop.example/page"),
    ("origin", f"https://{'a' * bodies.MAX_ORIGIN}"),
    ("origin", 17),
]


@pytest.mark.parametrize(("member", "value"), WRONG, ids=range(len(WRONG)))
async def test_what_cannot_be_used_is_told_and_not_repeated(
    app: web.Application, member: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=rf"^{member} must be .*\.$") as error:
        create_web_session(app, **{member: value})

    assert str(error.value).count(". ") == 0
    assert error.value.__context__ is None  # which would have the caller's data in it


def said(characters: int) -> Mapping[str, str]:
    """Variables of so many characters, their names among them."""
    names = [f"part{number}" for number in range(5)]
    part, rest = divmod(characters - len("".join(names)), len(names))
    texts = ["a" * part] * 4 + ["a" * (part + rest)]
    return dict(zip(names, texts, strict=True))


async def test_all_together_is_bounded(app: web.Application) -> None:
    assert create_web_session(app, variables=said(MAX_CHARACTERS))
    with pytest.raises(ValueError, match=r"^name, parameters and variables may have 16000 .*\.$"):
        create_web_session(app, name="A", variables=said(MAX_CHARACTERS))


async def test_operators_are_held_to_the_same(
    service: Service, http: aiohttp.ClientSession
) -> None:
    url = f"{service.origin}/v1/web-sessions"
    asked = {"name": "A", "variables": said(MAX_CHARACTERS)}
    async with http.post(url, json=asked, headers=HUSH) as answer:
        assert answer.status == 422
        (fault,) = (await answer.json())["detail"]
        assert fault["loc"] == ["body"]
        assert "may have 16000 characters together" in fault["msg"]
    asked = {"variables": said(MAX_CHARACTERS)}
    async with http.post(url, json=asked, headers=HUSH) as answer:
        assert answer.status == 201
