"""Where callers from web pages arrive, whichever way their audio comes.

A page shows its token and gets a `Place`: a promise of a call, and a key with which it may come
back when its connection breaks. A connection that is ready to talk joins its place, which begins
the call, or brings the caller back to it.
"""

import asyncio
import hashlib
import math
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from evibridge.agent.call import Call
from evibridge.agent.call_plan import CallerFacts, CallerLeg
from evibridge.agent.calls import Calls
from evibridge.bridges.browser.allowance import CallerAllowance
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
    """A caller is not let in now; the token was not used up, the call goes on.

    Attributes:
        code: `service_full` or `draining`, or `too_many_connections` of one who comes back
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
        self._stays: dict[bytes, _Stay] = {}
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
        stay = _Stay(self, session, _now_s() + WAITS_FOR_S)
        self._stays[_hash(stay.key)] = stay
        return Place(stay)

    def find(self, key: str) -> "Place":
        """Return the place of a caller who had one, for anything but another connection.

        Raises:
            PlaceUnknown: the call is over, or there was none
        """
        return Place(self._stay_of(key))

    def come_back(self, key: str) -> "Place":
        """Return the place of a caller whose next connection this is; his call may not have begun.

        Raises:
            PlaceUnknown: the call is over, or there was none
            CallerRefused: he comes back too often
        """
        stay = self._stay_of(key)
        wait_s = stay.allowance.connect(_now_s())
        if wait_s > 0.0:
            sentence = "The page connects too often: it may come back in a moment."
            raise CallerRefused("too_many_connections", sentence, math.ceil(wait_s))
        stay.connections += 1
        return Place(stay)

    def waiting(self) -> int:
        """How many callers were let in whose calls have not begun."""
        self._clear_away()
        return sum(not stay.has_begun for stay in self._stays.values())

    async def all_begun(self, timeout_s: float) -> None:
        """Return when nobody who was let in is still without a call, or after `timeout_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(timeout_s, BEGINS_WITHIN_S)):
                while self.waiting():
                    self._changed.clear()
                    await self._changed.wait()

    def close(self) -> None:
        """Let nobody come back."""
        self._stays.clear()
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

    def _stay_of(self, key: str) -> "_Stay":
        self._clear_away()
        stay = self._stays.get(_hash(key))
        if stay is None:
            raise PlaceUnknown
        return stay

    def _clear_away(self) -> None:
        """Forget the callers whose calls are over, or have not begun in time."""
        now_s = _now_s()
        for digest in [each for each, stay in self._stays.items() if stay.is_over(now_s)]:
            del self._stays[digest]


@dataclass(eq=False, slots=True)
class _Stay:
    """A caller's stay, from his arrival to the end of his call, by whichever connections.

    Attributes:
        until_s: when he has to have a call
        connections: how many he has made
        joined: number of the one that joined last
    """

    desk: BrowserDesk = field(repr=False)
    session: WebSession = field(repr=False)
    until_s: float = field(repr=False)
    call_id: str = field(default_factory=lambda: f"web-{secrets.token_hex(12)}")
    key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    has_begun: bool = False
    connections: int = 1
    joined: int = 0
    allowance: CallerAllowance = field(default_factory=CallerAllowance, repr=False)

    @property
    def call(self) -> Call | None:
        """The call, while it goes on."""
        call = self.desk.calls.get(self.call_id)
        return None if call is None or call.is_over else call

    def is_over(self, now_s: float) -> bool:
        """Whether nobody can join any more."""
        return self.call is None if self.has_begun else self.until_s <= now_s

    def begin(self, leg: CallerLeg) -> Call | None:
        """Begin the call, if calls may begin."""
        if not self.desk.calls.may_begin:
            return None
        self.has_begun = True
        self.desk.changed()
        facts = CallerFacts(
            self.call_id,
            caller=self.session.name,
            parameters=self.session.parameters,
            kind=CallKind.BROWSER,
            variables=self.session.variables,
        )
        return self.desk.calls.begin(facts, leg)


class Place:
    """A caller's place, as one of his connections has it: each is numbered.

    A connection may take long to come to be, and the page may have come by another way meanwhile:
    the call stays with the newer one.
    """

    __slots__ = ("_number", "_stay")

    def __init__(self, stay: _Stay) -> None:
        self._stay = stay
        self._number = stay.connections

    @property
    def call_id(self) -> str:
        """Of the call that begins here."""
        return self._stay.call_id

    @property
    def key(self) -> str:
        """Lets the caller come back; a secret of the page."""
        return self._stay.key

    @property
    def resume_s(self) -> float:
        """How long the call waits for its caller when the connection breaks."""
        return self._stay.desk.resume_s

    @property
    def agent_name(self) -> str:
        """What the page may call the agent."""
        return self._stay.desk.agent_name

    @property
    def allowance(self) -> CallerAllowance:
        """What the caller may ask for, the same for all his connections."""
        return self._stay.allowance

    @property
    def call(self) -> Call | None:
        """The call, while it goes on."""
        return self._stay.call

    def is_same(self, other: "Place") -> bool:
        """Whether both are of one caller, by whichever connections."""
        return self.call_id == other.call_id

    @property
    def is_taken_over(self) -> bool:
        """Whether a newer connection of the caller has joined."""
        return self._number < self._stay.joined

    def join(self, leg: CallerLeg) -> Call | None:
        """Begin the call by this leg, or bring its caller back; None if that cannot be.

        It cannot if the call is over, if no calls may begin, or if the place `is_taken_over`. A
        leg that has the call so far is released.
        """
        if self.is_taken_over or self._stay.is_over(_now_s()):
            return None
        self._stay.joined = self._number
        call = self._stay.call
        if call is None:
            return self._stay.begin(leg)
        call.caller_returned(leg)
        return call

    def give_up(self) -> None:
        """A connection that should have joined will not: the page may come by another way."""
        if not self._stay.has_begun:
            self._stay.until_s = min(self._stay.until_s, _now_s() + NEXT_WAY_WITHIN_S)

    def leave(self) -> None:
        """The caller hangs up before his call has begun: his place is free."""
        if not self._stay.has_begun:
            self._stay.until_s = float("-inf")
            self._stay.desk.changed()


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _hash(key: str) -> bytes:
    """What is looked up instead of a key: how long that takes says nothing about the key."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()
