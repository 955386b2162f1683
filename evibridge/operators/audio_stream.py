"""The WebSocket at which an operator listens to a call."""

import asyncio
from collections.abc import Callable

import orjson

from evibridge.agent.call import Call
from evibridge.bus import EventBus, Told
from evibridge.events import CallEnded
from evibridge.operator_access import SUBPROTOCOL
from evibridge.sockets import Refusal, Socket, SocketListener, SocketRoute, Upgrade

PATH = "/v1/calls/{call_id}/audio"
PIECE_MS = 50
MAX_LISTENERS = 50
"""Of one service."""
MAX_MESSAGE_BYTES = 1024
"""Listeners have nothing to say."""
MAX_LATE_S = 1.0
"""Of sound that waits for a slow listener; more is skipped, so that he hears the present."""
STUCK_S = 30.0
"""A listener that takes nothing for so long is gone."""
FRAME_BYTES = 4
"""int16, two channels."""

NO_SUCH_CALL = "No call that goes on has this id: see GET /v1/calls."
RINGS = "Nobody has answered yet."
NO_SOUND = "The sound of this call does not come through this service."
FULL = "As many listen as may: close one, or try again in a moment."


class AudioStreams:
    """Lets operators listen, as many as are let in.

    Args:
        call: gives the live call of an id, if its audio comes here
        is_live: tells whether there is a live call of an id, wherever its audio flows
        rings: tells whether somebody is being called under an id
        admit: says why somebody may not listen, None if he may
        bus: tells when calls end
    """

    def __init__(
        self,
        call: Callable[[str], Call | None],
        is_live: Callable[[str], bool],
        rings: Callable[[str], bool],
        admit: Callable[[Upgrade], Refusal | None],
        bus: EventBus,
    ) -> None:
        self._bus = bus
        self._call = call
        self._is_live = is_live
        self._rings = rings
        self._admit = admit
        self._listeners: set[AudioListener] = set()
        self.route = SocketRoute(PATH, self._accept, MAX_MESSAGE_BYTES, SUBPROTOCOL)

    def close(self) -> None:
        """End every stream with 1001."""
        for listener in tuple(self._listeners):
            listener.close(1001)

    def _accept(self, upgrade: Upgrade) -> SocketListener | Refusal:
        refusal = self._admit(upgrade)
        if refusal is not None:
            return refusal
        call_id = upgrade.parameters["call_id"]
        call = self._call(call_id)
        if call is None or call.is_over:
            return self._not_heard(call_id)
        if len(self._listeners) >= MAX_LISTENERS:
            return Refusal(503, FULL)
        listener = AudioListener(call, self._bus, self._listeners.discard)
        self._listeners.add(listener)
        return listener

    def _not_heard(self, call_id: str) -> Refusal:
        """Why there is nothing to listen to."""
        if self._rings(call_id):
            return Refusal(409, RINGS)
        return Refusal(409, NO_SOUND) if self._is_live(call_id) else Refusal(404, NO_SUCH_CALL)


class AudioListener(SocketListener):
    """One operator who listens: a hello in JSON, then int16 stereo PCM, left the caller.

    Args:
        call: that is listened to
        bus: tells when it ends
        on_gone: told once when the connection is gone
    """

    def __init__(
        self, call: Call, bus: EventBus, on_gone: Callable[["AudioListener"], None]
    ) -> None:
        self._call = call
        self._bus = bus
        self._on_gone = on_gone
        self._socket: Socket | None = None
        self._stops: list[Callable[[], None]] = []
        self._stuck_since_s: float | None = None

    def on_open(self, socket: Socket) -> None:
        """Say what comes, and let it come."""
        self._socket = socket
        hello = {
            "type": "audio",
            "rate_hz": self._call.rate_hz,
            "channels": 2,
            "encoding": "linear16",
        }
        socket.send_text(orjson.dumps(hello))
        self._stops = [
            self._call.tap.listen(self._hear, PIECE_MS),
            self._bus.subscribe(self._told, self._call.facts.call_id),
        ]

    def on_close(self, code: int, reason: str) -> None:
        """He listens no more."""
        del code, reason
        self._socket = None
        for stop in self._stops:
            stop()
        self._on_gone(self)

    def close(self, code: int) -> None:
        """End the stream."""
        if self._socket is not None:
            self._socket.close(code)

    def _told(self, told: Told) -> None:
        if isinstance(told.event, CallEnded):
            self.close(1000)

    def _hear(self, stereo16: bytes) -> None:
        socket = self._socket
        if socket is None:
            return
        if socket.unsent_bytes() <= MAX_LATE_S * self._call.rate_hz * FRAME_BYTES:
            self._stuck_since_s = None
            socket.send_binary(stereo16)
            return
        now_s = asyncio.get_running_loop().time()
        if self._stuck_since_s is None:
            self._stuck_since_s = now_s
        elif now_s - self._stuck_since_s > STUCK_S:
            socket.abort()
