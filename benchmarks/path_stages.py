"""Which stage of a call's path the interpreter is in, asked many times a second.

A timer's signal looks at the Python stack: the innermost function that belongs to a stage names it.
What a function calls in C is its own time, and so are libraries that it calls.
"""

import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from opcode import opmap
from types import CodeType, FrameType

SAMPLE_EVERY_S = 0.00047
"""No multiple of anything that the path does. The timer is that of real time: timers of CPU time
are only looked at in the kernel's ticks, every 4 ms in many kernels."""
WEBSOCKET = "WebSocket"
OTHER = "other"

STAGES: Mapping[str, tuple[str, ...]] = {
    WEBSOCKET: ("evibridge.sockets",),
    "phone leg": ("evibridge.bridges.twilio_leg",),
    "call and chat": (
        "evibridge.agent.call",
        "evibridge.agent.chat_lines",
        "evibridge.agent.evi_client",
    ),
    "read Twilio's media": ("evibridge.bridges.twilio_messages:caller_audio",),
    "mu-law to PCM": ("evibridge.audio.g711:mulaw_to_pcm16",),
    "read audio_output": ("evibridge.agent.evi_codec:audio_output",),
    "read WAV": ("evibridge.audio.wav",),
    "48 to 8 kHz": ("evibridge.audio.resample",),
    "PCM to mu-law": ("evibridge.audio.g711",),
    "write Twilio's media": ("evibridge.bridges.twilio_messages:media",),
    "other messages": ("evibridge.agent.evi_codec", "evibridge.bridges.twilio_messages:clear"),
    "session and ledger": ("evibridge.agent", "evibridge.audio.playout"),
    "marks and timers": (
        "evibridge.bridges.twilio_messages",
        "evibridge.bridges.twilio_leg:TwilioLeg.mark",
        "evibridge.bridges.twilio_leg:TwilioLeg._control",
        "evibridge.bridges.twilio_leg:TwilioLeg._read",
        "evibridge.agent.call:Call.playback_heard",
        "evibridge.agent.call:Call._arm_timer",
        "evibridge.agent.session:CallSession.next_wake_s",
        "evibridge.agent.session:CallSession.watches_caller",
        "evibridge.audio.playout:Playout.mark",
    ),
    "events and metrics": (
        "evibridge.metrics",
        "evibridge.bus",
        "evibridge.events",
        "evibridge.agent.call:Call._publish",
        "evibridge.agent.tool_watch",
    ),
    "logs": ("evibridge.event_log",),
    OTHER: ("evibridge",),
}
"""Stage to functions: `module:function`, a module, or a package. The most exact one counts."""

_STAGE_OF = {function: stage for stage, functions in STAGES.items() for function in functions}
_RESUME = opmap["RESUME"]


class Sampler:
    """Counts in which stage the path was found, kind by kind of what was served."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._counting: Counter[str] | None = None
        self._stages: dict[CodeType, str | None] = {}
        self._begins_at: dict[CodeType, int] = {}

    def counts(self, kind: str) -> Counter[str]:
        """How often each stage was met while `kind` was served."""
        return self._counts.setdefault(kind, Counter())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look now and then, in the main thread."""
        handler = signal.signal(signal.SIGALRM, self._look)
        timer = signal.setitimer(signal.ITIMER_REAL, SAMPLE_EVERY_S, SAMPLE_EVERY_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, *timer)
            signal.signal(signal.SIGALRM, handler)

    @contextmanager
    def serving(self, kind: str) -> Iterator[None]:
        """What is found now is the path of this kind."""
        self._counting = self.counts(kind)
        try:
            yield
        finally:
            self._counting = None

    def _look(self, _signal: int, frame: FrameType | None) -> None:
        counting = self._counting
        if counting is None:
            return
        # The interpreter looks for signals when a function begins: so far, its caller was at work.
        if frame is not None and frame.f_lasti <= self._begin(frame.f_code):
            frame = frame.f_back
        while frame is not None:
            stage = self._stage(frame)
            if stage is not None:
                counting[stage] += 1
                return
            frame = frame.f_back
        counting[WEBSOCKET] += 1  # on the way from picows' callback to the first function, or back

    def _stage(self, frame: FrameType) -> str | None:
        code = frame.f_code
        if code not in self._stages:
            self._stages[code] = stage_of(frame.f_globals["__name__"], code.co_qualname)
        return self._stages[code]

    def _begin(self, code: CodeType) -> int:
        """Where a function looks for signals first: an offset in its bytecode."""
        if code not in self._begins_at:
            operations = code.co_code[::2]
            self._begins_at[code] = 2 * operations.index(_RESUME)
        return self._begins_at[code]


def stage_of(module: str, function: str) -> str | None:
    """The stage that a function belongs to; None if it is not one of the bridge's."""
    exact = _STAGE_OF.get(f"{module}:{function}")
    if exact is not None:
        return exact
    while module:
        if module in _STAGE_OF:
            return _STAGE_OF[module]
        module = module.rpartition(".")[0]
    return None
