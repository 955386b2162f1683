"""Whose pages may call: the `Origin` that browsers name, and what CORS answers them.

Browsers send `Origin` with every WebSocket handshake and every `POST` (Fetch Standard, "append a
request Origin header"). A request without one is no browser's: its token alone decides.
"""

from collections.abc import Iterable, Mapping

from evibridge.web_origins import normal_origin

NOT_ALLOWED = (
    "Pages of this origin may not call here: add it to EVIBRIDGE_ALLOWED_ORIGINS, such as "
    "https://shop.example."
)
MAX_AGE_S = 600
"""How long a browser may remember what it may send; Chromium takes two hours at most."""


def origin_of(headers: Mapping[str, str]) -> str | None:
    """Return the origin that a request names, as browsers write it; None if it names none.

    Args:
        headers: of the request; case-insensitive
    """
    named = headers.get("Origin")
    return None if named is None else normal_origin(named) or named


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Tell whether a request comes from a page of the host that it is sent to.

    A proxy may have taken TLS off, so the scheme is that of the page.
    """
    origin = normal_origin(headers.get("Origin", ""))
    if origin is None:
        return False
    scheme = origin.partition(":")[0]
    return normal_origin(f"{scheme}://{headers.get('Host', '')}") == origin


class Origins:
    """Decides whose pages may call.

    Args:
        public_url: origin under which the service is reached, if that is known
        allowed: origins of other sites whose pages may call
    """

    def __init__(self, public_url: str | None, allowed: Iterable[str] = ()) -> None:
        known = [normal_origin(origin) for origin in (public_url or "", *allowed)]
        self._known = frozenset(origin for origin in known if origin is not None)

    def admit(self, headers: Mapping[str, str]) -> bool:
        """Tell whether whoever sent this request may call, as far as its origin decides.

        Args:
            headers: of the request; case-insensitive
        """
        return "Origin" not in headers or self._is_allowed(headers)

    def cors_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return what lets a page read the answer to its request: nothing for other pages.

        `Vary` is there in any case, as caches must not hand one page's answer to another.

        Args:
            headers: of the request; case-insensitive
        """
        answer = {"Vary": "Origin"}
        if "Origin" in headers and self._is_allowed(headers):
            answer["Access-Control-Allow-Origin"] = headers["Origin"]
            answer["Access-Control-Expose-Headers"] = "Location, Retry-After"
        return answer

    def preflight_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the answer to an `OPTIONS` request of a browser (Fetch Standard, CORS)."""
        answer = self.cors_headers(headers)
        if "Access-Control-Allow-Origin" in answer:
            answer["Access-Control-Allow-Methods"] = "POST, DELETE"
            answer["Access-Control-Allow-Headers"] = "Content-Type, Authorization"
            answer["Access-Control-Max-Age"] = str(MAX_AGE_S)
        return answer

    def _is_allowed(self, headers: Mapping[str, str]) -> bool:
        return is_same_origin(headers) or normal_origin(headers["Origin"]) in self._known
