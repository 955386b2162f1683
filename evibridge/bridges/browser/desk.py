"""Where callers from web pages arrive, whichever way their audio comes.

A page shows its token and gets a `Place`: a promise of a call, and a key with which it may come
back when its connection breaks. A connection that is ready to talk joins its place, which begins
the call, or brings the caller back to it.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from evibridge.agent.call import Call
from evibridge.agent.call_plan import CallerFacts, CallerLeg
from evibridge.agent.calls import Calls
from evibridge.errors import EvibridgeError
from evibridge.events import CallerRefusal, CallKind
from evibridge.web_sessions import WebSession, WebSessions

WAITS_FOR_S = 30.0
"""How long a place is kept for a caller whose call has not begun."""
BEGINS_WITHIN_S = 5.0
"""How long the end of the service waits for it: a connection takes well under a second."""
NEXT_WAY_WITHIN_S = 10.0
"""How long it is kept when a connection failed: the page may try another way."""
FULL_RETRY_S = 15.0
DRAINING_RETRY_S = 30.0
"""What callers are told who are not let in: until a place may be free, or the service is back."""


class CallerRefused(EvibridgeError):
    """There is no place for a caller now; the token was not used up.

    Attributes:
        code: `service_full` or `draining`
        retry_after_s: when it may be worth another try
    """

    def __init__(self, code: str, sentence: str, retry_after_s: float) -> None:
        super().__init__(sentence)
        self.code = code
        self.retry_after_s = retry_after_s


class PlaceUnknown(EvibridgeError):
    """No call that goes on has this key."""

    code = "call_is_over"

    def __init__(self) -> None:
        super().__init__("The call is over: begin another one.")


class BrowserDesk:
    """Lets callers in.

    Args:
        calls: where calls begin
        sessions: what tokens stand for
        resume_s: how long a call waits for a caller whose connection broke
        agent_name: what the page may call the agent
        on_refused: is told of each caller for whom there was no place
    """

    def __init__(
        self,
        calls: Calls,
        sessions: WebSessions,
        *,
        resume_s: float,
        agent_name: str,
        on_refused: Callable[[CallerRefusal], None] = lambda _: None,
    ) -> None:
        self.calls = calls
        self.resume_s = resume_s
        self.agent_name = agent_name
        self._sessions = sessions
        self._on_refused = on_refused
        self._places: dict[bytes, Place] = {}
        self._changed = asyncio.Event()
        calls.count_waiting(self.waiting)

    def check(self, token: str, origin: str | None) -> WebSession:
        """Tell what a token stands for, without using it up.

        Raises:
            WebSessionRefused: it does not let its bearer in
        """
        return self._sessions.check(token, origin, _now_s())

    def arrive(self, token: str, origin: str | None) -> "Place":
        """Let a caller in: the token is used up.

        Args:
            token: as the page shows it
            origin: of the page, None for a program that is no browser

        Raises:
            WebSessionRefused: the token does not let its bearer in
            CallerRefused: there is no place, and the token may be used later
        """
        self.check(token, origin)
        if self.calls.free_places <= 0:
            raise self._no_place()
        session = self._sessions.redeem(token, origin, _now_s())
        place = Place(self, session, _now_s() + WAITS_FOR_S)
        self._places[_hash(place.key)] = place
        return place

    def come_back(self, key: str) -> "Place":
        """Return the place of a caller who had one, whether or not his call has begun.

        Raises:
            PlaceUnknown: the call is over, or there was none
        """
        self._clear_away()
        place = self._places.get(_hash(key))
        if place is None:
            raise PlaceUnknown
        return place

    def waiting(self) -> int:
        """How many callers were let in whose calls have not begun."""
        self._clear_away()
        return sum(not place.has_begun for place in self._places.values())

    async def all_begun(self, timeout_s: float) -> None:
        """Return when nobody who was let in is still without a call, or after `timeout_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(timeout_s, BEGINS_WITHIN_S)):
                while self.waiting():
                    self._changed.clear()
                    await self._changed.wait()

    def close(self) -> None:
        """Let nobody come back."""
        self._places.clear()
        self._changed.set()

    def changed(self) -> None:
        """Whether a place is waited for has changed."""
        self._changed.set()

    def _no_place(self) -> CallerRefused:
        if self.calls.is_open:
            self._on_refused(CallerRefusal.BUSY)
            sentence = "All lines are busy: please try again in a moment."
            return CallerRefused("service_full", sentence, FULL_RETRY_S)
        self._on_refused(CallerRefusal.DRAINING)
        sentence = "No calls are taken right now: please try again in a moment."
        return CallerRefused("draining", sentence, DRAINING_RETRY_S)

    def _clear_away(self) -> None:
        """Forget the places of calls that are over, or have not begun in time."""
        now_s = _now_s()
        for digest in [each for each, place in self._places.items() if place.is_gone(now_s)]:
            del self._places[digest]


@dataclass(eq=False, slots=True)
class Place:
    """A caller's place, from his arrival to the end of his call.

    Attributes:
        call_id: of the call that begins here
        key: lets the caller come back; a secret of the page
        has_begun: whether the call has begun; it may be over
    """

    _desk: BrowserDesk = field(repr=False)
    _session: WebSession = field(repr=False)
    _until_s: float = field(repr=False)
    call_id: str = field(default_factory=lambda: f"web-{secrets.token_hex(12)}")
    key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    has_begun: bool = False

    @property
    def resume_s(self) -> float:
        """How long the call waits for its caller when the connection breaks."""
        return self._desk.resume_s

    @property
    def agent_name(self) -> str:
        """What the page may call the agent."""
        return self._desk.agent_name

    @property
    def call(self) -> Call | None:
        """The call, while it goes on."""
        call = self._desk.calls.get(self.call_id)
        return None if call is None or call.is_over else call

    def join(self, leg: CallerLeg) -> Call | None:
        """Begin the call by this leg, or bring its caller back; None if that cannot be.

        A leg that has the call so far is released.
        """
        if self.is_gone(_now_s()):
            return None
        call = self.call
        if call is not None:
            call.caller_returned(leg)
            return call
        if not self._desk.calls.may_begin:
            return None
        self.has_begun = True
        self._desk.changed()
        facts = CallerFacts(
            self.call_id,
            caller=self._session.name,
            parameters=self._session.parameters,
            kind=CallKind.BROWSER,
            variables=self._session.variables,
        )
        return self._desk.calls.begin(facts, leg)

    def give_up(self) -> None:
        """A connection that should have joined will not: the page may come by another way."""
        if not self.has_begun:
            self._until_s = min(self._until_s, _now_s() + NEXT_WAY_WITHIN_S)

    def is_gone(self, now_s: float) -> bool:
        """Whether nobody can join any more."""
        return self.call is None if self.has_begun else self._until_s <= now_s


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _hash(key: str) -> bytes:
    """What is looked up instead of a key: how long that takes says nothing about the key."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()
