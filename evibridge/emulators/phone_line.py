"""A caller on a carrier's line: the whole of a simulated call but its sockets and its wall clock.

Whoever owns the line opens a stream on it, calls `next_frame` every 20 ms, passes in what the other
side sends, and sends what `take_messages` returns. Driven by a loop without waiting, a conversation
of minutes takes milliseconds.
"""

from collections.abc import Callable, Iterable

from evibridge.audio.g711 import mulaw_to_pcm16
from evibridge.emulators.call_report import (
    AgentSpeech,
    CallEnd,
    CallEvent,
    CallEventKind,
    CallRecording,
    CallReport,
)
from evibridge.emulators.caller import Caller, LoseStream, Step
from evibridge.emulators.speech_detector import SpeechDetector
from evibridge.emulators.twilio_media import (
    CarrierWarning,
    Cleared,
    MarkEchoed,
    MediaStream,
    StreamStart,
)


class PhoneLine:
    """One call, across all of its streams.

    Args:
        script: what the caller does
        limit_ms: the caller hangs up after so much recorded time
        on_event: told of every event as it happens
        on_agent_speech: given each stretch of the agent's voice once it is over
    """

    def __init__(
        self,
        script: Iterable[Step],
        *,
        limit_ms: int,
        on_event: Callable[[CallEvent], None] | None = None,
        on_agent_speech: Callable[[AgentSpeech], None] | None = None,
    ) -> None:
        self.ended: CallEnd | None = None
        """How the caller left, once it did."""
        self.stream_lost = False
        """Whether the connection of the present stream is to be cut, or of the last one was."""
        self._ear = SpeechDetector()
        self._caller = Caller(script, self._ear)
        self._limit_ms = limit_ms
        self._on_event = on_event
        self._on_agent_speech = on_agent_speech
        self._recording = CallRecording()
        self._events: list[CallEvent] = []
        self._warnings: list[CarrierWarning] = []
        self._stream: MediaStream | None = None

    @property
    def now_ms(self) -> int:
        """Recorded time."""
        return self._ear.now_ms

    def open_stream(self, start: StreamStart) -> None:
        """A media stream begins; its first messages are ready to be taken."""
        self._stream = MediaStream(start)
        self.stream_lost = False
        self.tell(CallEventKind.STREAM_STARTED)

    def close_stream(self, by_whom: str) -> None:
        """The stream is over: nothing more is heard or sent."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        self._warnings += stream.warnings
        self._listen(self._ear.end)
        if self.ended is None and stream.unplayed_ms > 0:
            self.tell(CallEventKind.CUT_OFF, f"{stream.unplayed_ms:.0f} ms")
        self.tell(CallEventKind.STREAM_STOPPED, by_whom)

    def next_frame(self, *, congested: bool = False) -> None:
        """Pass 20 ms of an open stream; sets `ended` when the caller leaves.

        Where the script loses the stream, `stream_lost` is set instead, and nothing passes any more
        until the next stream is open.

        Args:
            congested: the other side takes nothing more, so that the caller's audio is lost
        """
        stream = self._stream
        if stream is None or self.ended is not None or self.stream_lost:
            return
        frame = self._caller.next_frame()
        if self.now_ms >= self._limit_ms:
            frame = CallEnd.TIME_LIMIT
        if isinstance(frame, CallEnd):
            self.ended = frame
            if frame is not CallEnd.LINE_LOST:
                stream.stop()
            return
        if isinstance(frame, LoseStream):
            self.stream_lost = True
            return
        if frame.begins is not None:
            self.tell(CallEventKind.CALLER_SPEAKS, frame.begins.text or "")
        if frame.digit is not None:
            stream.press(frame.digit)
            self.tell(CallEventKind.CALLER_PRESSES, frame.digit)
        heard = stream.next_frame(frame.mulaw, congested=congested)
        self._recording.add(frame.mulaw, heard)
        self._tell_stream_events(stream)
        self._listen(lambda: self._ear.hear(heard))

    def receive_text(self, text: bytes) -> None:
        """The other side sent a text frame."""
        if self._stream is not None:
            self._stream.receive_text(text)
            self._tell_stream_events(self._stream)

    def receive_binary(self) -> None:
        """The other side sent a binary frame."""
        if self._stream is not None:
            self._stream.receive_binary()
            self._tell_stream_events(self._stream)

    def take_messages(self) -> list[bytes]:
        """What is to be sent now, in this order."""
        return [] if self._stream is None else self._stream.take_messages()

    def warn(self, warning: CarrierWarning) -> None:
        """Note a fault that lies outside the stream, such as a failed webhook."""
        self._warnings.append(warning)
        self.tell(CallEventKind.WARNING, f"{warning.code}: {warning.sentence}")

    def tell(
        self,
        kind: CallEventKind,
        detail: str = "",
        *,
        at_ms: int | None = None,
        unheard_pcm16_8k: bytes = b"",
    ) -> None:
        """Note an event, by default of now."""
        at_ms = self.now_ms if at_ms is None else at_ms
        event = CallEvent(at_ms, kind, detail, unheard_pcm16_8k)
        self._events.append(event)
        if self._on_event is not None:
            self._on_event(event)

    def report(self, call_sid: str, end: CallEnd) -> CallReport:
        """Everything that was recorded."""
        caller_pcm16, agent_pcm16 = self._recording.sides_pcm16()
        return CallReport(
            call_sid=call_sid,
            end=end,
            events=tuple(sorted(self._events, key=lambda event: event.at_ms)),
            warnings=tuple(self._warnings),
            caller_pcm16_8k=caller_pcm16,
            agent_pcm16_8k=agent_pcm16,
            agent_speech=tuple(self._recording.agent_speech(span) for span in self._ear.finished),
        )

    def _listen(self, what: Callable[[], None]) -> None:
        before_ms = self._ear.speaking_since_ms
        what()
        since_ms = self._ear.speaking_since_ms
        if since_ms is not None and before_ms is None:
            self.tell(CallEventKind.AGENT_STARTED, at_ms=since_ms)
        elif since_ms is None and before_ms is not None:
            span = self._ear.finished[-1]
            self.tell(CallEventKind.AGENT_STOPPED, at_ms=span.end_ms)
            if self._on_agent_speech is not None:
                self._on_agent_speech(self._recording.agent_speech(span))

    def _tell_stream_events(self, stream: MediaStream) -> None:
        for event in stream.take_events():
            match event:
                case MarkEchoed(name, flushed):
                    kind = CallEventKind.MARK_FLUSHED if flushed else CallEventKind.MARK_PLAYED
                    self.tell(kind, name)
                case Cleared(dropped_mulaw) as cleared:
                    self.tell(
                        CallEventKind.CLEARED,
                        f"{cleared.dropped_ms:.0f} ms",
                        unheard_pcm16_8k=mulaw_to_pcm16(dropped_mulaw),
                    )
                case warning:
                    self.tell(CallEventKind.WARNING, f"{warning.code}: {warning.sentence}")
