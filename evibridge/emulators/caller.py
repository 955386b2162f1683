"""The person on the phone: a script, acted out frame by frame on the line's own clock."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from evibridge.audio.g711 import MULAW_SILENCE, pcm16_to_mulaw
from evibridge.emulators.call_report import CallEnd
from evibridge.emulators.speech_detector import SpeechDetector, is_loud
from evibridge.emulators.twilio_media import FRAME_BYTES, FRAME_MS, SILENT_FRAME

LAST_QUIET_MS = 3_000
"""Behind the last answer: longer than from a stop-gap to the answer that it stands in for."""
GREETING_LIMIT_MS = 5000
DIGIT_MS = 200
"""One key after another, as fast as fingers go."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Something to say: int16 mono PCM at 8 kHz, and its words if they are known."""

    pcm16_8k: bytes
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """Speak, whether or not the agent does: said while the agent talks, it is a barge-in."""

    speech: Speech


@dataclass(frozen=True, slots=True)
class WaitForAgent:
    """Let the agent answer: wait until it has spoken and has then been quiet for `quiet_ms`.

    Only speech that begins after the caller's last sound (or key) is an answer, and each answer
    counts once. An answer that has not begun after `limit_ms` is given up; one that has begun is
    heard out.
    """

    quiet_ms: int = 1200
    limit_ms: int = 30_000


@dataclass(frozen=True, slots=True)
class HearAgent:
    """Wait until the agent's answer has gone on for `after_ms`: the moment to barge in.

    A shorter answer is over once the agent has been quiet for `quiet_ms`. One that has not begun
    after `limit_ms` is given up.
    """

    after_ms: int
    quiet_ms: int = 1200
    limit_ms: int = 30_000


@dataclass(frozen=True, slots=True)
class Listen:
    """Say nothing for a while."""

    duration_ms: int


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys: `0-9 * # A-D`."""

    digits: str


@dataclass(frozen=True, slots=True)
class LoseLine:
    """Be cut off: no `stop`, no close frame, only an ended TCP connection."""


@dataclass(frozen=True, slots=True)
class LoseStream:
    """Lose the media stream alone: its TCP connection is cut like a lost line, but the call lives.

    The script goes on in the next stream, if the service gives the call one. What the agent said in
    the lost one is no answer any more.
    """


Step = Say | WaitForAgent | HearAgent | Listen | Press | LoseLine | LoseStream
"""After the last step the caller hangs up."""


@dataclass(frozen=True, slots=True)
class CallerFrame:
    """What the caller does within 20 ms."""

    mulaw: bytes = SILENT_FRAME
    begins: Speech | None = None
    """What the caller begins to say with this frame."""
    digit: str | None = None


def conversation(
    speeches: Iterable[Speech], *, interrupt_after_ms: int | None = None
) -> list[Step]:
    """A script that hears the greeting out, then says one thing after another, each once answered.

    An agent that greets nobody is waited for no longer than `GREETING_LIMIT_MS`. After the last
    answer the caller stays a little longer: it may have been a stop-gap of a slow model.

    Args:
        speeches: what the caller says
        interrupt_after_ms: each speech but the first cuts the answer to the one before it off when
            that has gone on for so long; None hears every answer out
    """
    answer = WaitForAgent() if interrupt_after_ms is None else HearAgent(interrupt_after_ms)
    script: list[Step] = [WaitForAgent(limit_ms=GREETING_LIMIT_MS)]
    for speech in speeches:
        script += [Say(speech), answer]
    if len(script) > 1:
        script[-1] = WaitForAgent(quiet_ms=LAST_QUIET_MS)
    return script


class Caller:
    """Acts a script out; each frame is decided by what `ear` has heard of the agent so far.

    The owner of the line lets `ear` hear every frame, so that it is the clock as well.
    """

    def __init__(self, script: Iterable[Step], ear: SpeechDetector) -> None:
        self._ear = ear
        self._answer_after_ms = 0
        self._acts = self._act(script)

    def next_frame(self) -> CallerFrame | LoseStream | CallEnd:
        """The next 20 ms, or how the caller leaves the stream or the call."""
        return next(self._acts, CallEnd.CALLER_HUNG_UP)

    def _act(self, script: Iterable[Step]) -> Iterator[CallerFrame | LoseStream | CallEnd]:
        for step in script:
            match step:
                case Say(speech):
                    yield from self._say(speech)
                case WaitForAgent(quiet_ms, limit_ms):
                    yield from self._wait(limit_ms, self._is_answered)
                    while self._is_answered() and self._ear.quiet_ms < quiet_ms:
                        yield CallerFrame()
                    self._answer_after_ms = self._ear.now_ms
                case HearAgent(after_ms, quiet_ms, limit_ms):
                    yield from self._wait(limit_ms, self._is_answered)
                    yield from self._hear(after_ms, quiet_ms)
                case Listen(duration_ms):
                    yield from self._wait(duration_ms, lambda: False)
                case LoseLine():
                    yield CallEnd.LINE_LOST
                case LoseStream():
                    self._answer_after_ms = self._ear.now_ms
                    yield step
                case press:
                    yield from self._press(press.digits)

    def _say(self, speech: Speech) -> Iterator[CallerFrame]:
        mulaw = pcm16_to_mulaw(speech.pcm16_8k)
        for at in range(0, len(mulaw), FRAME_BYTES):
            frame = mulaw[at : at + FRAME_BYTES].ljust(FRAME_BYTES, MULAW_SILENCE)
            if is_loud(frame):
                self._answer_after_ms = self._ear.now_ms + FRAME_MS
            yield CallerFrame(frame, begins=speech if at == 0 else None)

    def _press(self, digits: str) -> Iterator[CallerFrame]:
        for digit in digits:
            self._answer_after_ms = self._ear.now_ms + FRAME_MS
            yield CallerFrame(digit=digit)
            yield from self._wait(DIGIT_MS - FRAME_MS, lambda: False)

    def _wait(self, limit_ms: int, is_over: Callable[[], bool]) -> Iterator[CallerFrame]:
        deadline_ms = self._ear.now_ms + limit_ms
        while self._ear.now_ms < deadline_ms and not is_over():
            yield CallerFrame()

    def _is_answered(self) -> bool:
        return self._answered_at_ms() is not None

    def _answered_at_ms(self) -> int | None:
        onset_ms = self._ear.last_onset_ms
        return onset_ms if onset_ms is not None and onset_ms >= self._answer_after_ms else None

    def _hear(self, after_ms: int, quiet_ms: int) -> Iterator[CallerFrame]:
        began_ms = self._answered_at_ms()
        while began_ms is not None and self._ear.quiet_ms < quiet_ms:
            is_audible = self._ear.speaking_since_ms is not None and self._ear.quiet_ms == 0
            if is_audible and self._ear.now_ms - began_ms >= after_ms:
                return
            yield CallerFrame()
