"""A web shop with its own pages and its own login, and the agent inside of the same server.

Run it with `python examples/inside_your_own_server.py`, open http://127.0.0.1:8000/ and log in as
`ann` with the password `lantern`.
"""

import hmac
import secrets

from aiohttp import web
from bookshop import agent

from evibridge import create_app, create_web_session

PASSWORDS = {"ann": "lantern", "ben": "candle"}  # yours are in a database, and hashed
COOKIE = "shop"
LOGINS = web.AppKey("logins", dict[str, str])
VOICE = web.AppKey("voice", web.Application)

PAGE = """<!doctype html><html lang="en"><title>The Paper Lantern</title>
<h1>The Paper Lantern</h1>"""
LOGIN_PAGE = f"""{PAGE}<form method="post" action="/login">
<label>Name <input name="name" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button>Log in</button></form>"""
SHOP_PAGE = f"""{PAGE}<p><a href="/talk">Talk to us</a></p>"""


async def front_page(request: web.Request) -> web.Response:
    page = LOGIN_PAGE if customer_of(request) is None else SHOP_PAGE
    return web.Response(text=page, content_type="text/html")


async def log_in(request: web.Request) -> web.Response:
    form = await request.post()
    name, password = str(form.get("name")), str(form.get("password"))
    if not hmac.compare_digest(PASSWORDS.get(name, "").encode(), password.encode()) or not password:
        raise web.HTTPForbidden(text="This name and password do not belong together.")
    login = secrets.token_urlsafe()
    request.app[LOGINS][login] = name
    answer = web.HTTPSeeOther("/")
    answer.set_cookie(COOKIE, login, httponly=True, samesite="Lax")
    raise answer


async def talk(request: web.Request) -> web.Response:
    """Whoever is logged in gets a token, which the agent's page finds behind the `#`."""
    customer = customer_of(request)
    if customer is None:
        raise web.HTTPSeeOther("/")
    token = create_web_session(
        request.app[VOICE],
        name=customer,
        parameters={"customer": customer},
        variables={"customer": customer},
    )
    raise web.HTTPSeeOther(f"/voice/#token={token}")


def customer_of(request: web.Request) -> str | None:
    return request.app[LOGINS].get(request.cookies.get(COOKIE, ""))


def shop() -> web.Application:
    app = web.Application()
    app[LOGINS] = {}
    app[VOICE] = create_app(agent)
    app.router.add_get("/", front_page)
    app.router.add_post("/login", log_in)
    app.router.add_get("/talk", talk)
    app.add_subapp("/voice/", app[VOICE])
    return app


if __name__ == "__main__":
    web.run_app(shop(), host="127.0.0.1", port=8000, auto_decompress=False)
