"""The carrier's half of one Twilio media stream: what it sends, what it plays, what it minds.

No I/O and no clock: time goes on by 20 ms with every `next_frame`, as it does on a telephone line.
Messages to send collect in `take_messages`, what an observer wants to know in `take_events`.
"""

import binascii
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pybase64

from evibridge.audio.g711 import MULAW_SILENCE
from evibridge.errors import BadMessage

FRAME_MS = 20
BYTES_PER_MS = 8
"""Mu-law at 8 kHz."""
FRAME_BYTES = FRAME_MS * BYTES_PER_MS
SILENT_FRAME = MULAW_SILENCE * FRAME_BYTES
FIRST_TIMESTAMP_MS = 81
"""The first frame is as late as on recorded calls: 70 to 90 ms into the stream."""
PLAYOUT_DELAY_FRAMES = 2
"""Audio that meets an empty buffer waits this long, so that a sender's jitter is not heard."""
MAX_UNPLAYED_BYTES = 10 * 60 * 1000 * BYTES_PER_MS
"""Twilio: audio beyond about ten unplayed minutes is discarded (31931)."""
MAX_PENDING_MARKS = 1000
"""Twilio names no limit; a sensible sender has a few pending."""

AUDIO_LOST = 31930
BUFFER_FULL = 31931
BINARY_FRAME = 31950
INVALID_MESSAGE = 31951

_BODY_FIELDS = {"media": "payload", "mark": "name", "clear": None}
"""Each event the carrier takes, and the one field of its body. Twilio: extra fields are invalid."""


@dataclass(frozen=True, slots=True)
class StreamStart:
    """What the `start` message tells about a stream."""

    account_sid: str
    call_sid: str
    stream_sid: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class MarkEchoed:
    """A mark went back: its audio was played, or was flushed by `clear`."""

    name: str
    flushed: bool


@dataclass(frozen=True, slots=True)
class Cleared:
    """`clear` came; this audio of the agent's, mu-law, is never heard."""

    dropped_mulaw: bytes

    @property
    def dropped_ms(self) -> float:
        """How long it would have sounded."""
        return len(self.dropped_mulaw) / BYTES_PER_MS


@dataclass(frozen=True, slots=True)
class CarrierWarning:
    """A fault as Twilio's debugger would list it: once per code, however often it happened."""

    code: int
    sentence: str
    times: int = 1


StreamEvent = MarkEchoed | Cleared | CarrierWarning


class MediaStream:
    """One stream from `connected` to `stop`."""

    def __init__(self, start: StreamStart) -> None:
        self._sid = start.stream_sid
        self._ids = {"accountSid": start.account_sid, "callSid": start.call_sid}
        self._sequence = 0
        self._frames = 0
        self._messages: list[bytes] = []
        self._events: list[StreamEvent] = []
        self._warnings: dict[int, CarrierWarning] = {}
        self._unplayed = bytearray()
        self._played_bytes = 0
        self._playing_from_frame = 0
        self._marks: deque[tuple[int, str]] = deque()
        self._open(start)

    @property
    def warnings(self) -> tuple[CarrierWarning, ...]:
        """Every fault of the peer so far, counted by code."""
        return tuple(self._warnings.values())

    @property
    def unplayed_ms(self) -> float:
        """Audio of the agent that waits to be played."""
        return len(self._unplayed) / BYTES_PER_MS

    def take_messages(self) -> list[bytes]:
        """The messages that have come up since the last call, to be sent in this order."""
        messages, self._messages = self._messages, []
        return messages

    def take_events(self) -> list[StreamEvent]:
        """What has happened since the last call; of equal warnings only the first."""
        events, self._events = self._events, []
        return events

    def next_frame(self, caller_mulaw: bytes, *, congested: bool = False) -> bytes:
        """Pass 20 ms: the caller's 160 bytes go out, what the caller hears meanwhile comes back.

        A congested link loses the caller's audio but not its place: sequence number and timestamp
        go on (Twilio: gaps in `sequenceNumber` mean audio it could not send, 31930).
        """
        self._echo_played_marks()
        chunk = self._frames + 1
        timestamp_ms = FIRST_TIMESTAMP_MS + self._frames * FRAME_MS
        self._frames += 1
        if congested:
            self._sequence += 1
            self._warn(AUDIO_LOST, "The bridge reads too slowly: audio of the caller is lost.")
        else:
            media = {
                "track": "inbound",
                "chunk": str(chunk),
                "timestamp": str(timestamp_ms),
                "payload": pybase64.b64encode(caller_mulaw).decode(),
            }
            self._send("media", media)
        return self._play()

    def press(self, digit: str) -> None:
        """The caller presses a key: one of `0-9 * # A-D`."""
        self._send("dtmf", {"track": "inbound_track", "digit": digit})

    def stop(self) -> None:
        """The call is over; nothing follows but the close of the socket."""
        self._send("stop", self._ids)

    def receive_text(self, text: bytes) -> None:
        """Take a message of the bridge; an invalid one is counted and otherwise ignored."""
        try:
            event, content = self._read(text)
            if event == "media":
                self._queue(_decode_payload(content))
            elif event == "mark":
                self._place_mark(content)
            else:
                self._clear()
        except BadMessage as error:
            self._warn(INVALID_MESSAGE, str(error))

    def receive_binary(self) -> None:
        """Count a binary frame, which Twilio does not take."""
        self._warn(BINARY_FRAME, "A binary frame came: Twilio takes text frames only.")

    def _open(self, start: StreamStart) -> None:
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        self._messages.append(orjson.dumps(connected))
        body = {
            "accountSid": start.account_sid,
            "streamSid": start.stream_sid,
            "callSid": start.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": start.parameters,
        }
        self._send("start", body)

    def _send(self, event: str, body: dict[str, Any]) -> None:
        """Every message after `connected` has this shape; its numbers are strings."""
        self._sequence += 1
        message = {
            "event": event,
            "sequenceNumber": str(self._sequence),
            event: body,
            "streamSid": self._sid,
        }
        self._messages.append(orjson.dumps(message))

    def _read(self, text: bytes) -> tuple[str, str]:
        """The event and the one field of its body, "" for `clear`."""
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise BadMessage("A message that is not JSON came.") from error
        if not isinstance(message, dict):
            raise BadMessage("A message that is not a JSON object came.")
        event = message.get("event")
        if not isinstance(event, str) or event not in _BODY_FIELDS:
            raise BadMessage("A message of an event other than media, mark and clear came.")
        field = _BODY_FIELDS[event]
        expected = {"event", "streamSid"} if field is None else {"event", "streamSid", event}
        _require_fields(message, expected, f"a {event} message")
        if message["streamSid"] != self._sid:
            raise BadMessage(f"A {event} message came with another stream's streamSid.")
        if field is None:
            return event, ""
        body = message[event]
        if not isinstance(body, dict):
            raise BadMessage(f"The {event} of a message must be a JSON object.")
        _require_fields(body, {field}, f"the {event} of a message")
        content = body[field]
        if not isinstance(content, str):
            raise BadMessage(f"The {field} of a {event} message must be a string.")
        return event, content

    def _queue(self, audio: bytes) -> None:
        if len(self._unplayed) + len(audio) > MAX_UNPLAYED_BYTES:
            self._warn(BUFFER_FULL, "More than 10 minutes of audio wait to be played.")
            return
        if not self._unplayed:
            self._playing_from_frame = self._frames + PLAYOUT_DELAY_FRAMES
        self._unplayed += audio

    def _place_mark(self, name: str) -> None:
        if not self._unplayed and not self._marks:
            self._echo(name, flushed=False)
        elif len(self._marks) >= MAX_PENDING_MARKS:
            raise BadMessage(f"More than {MAX_PENDING_MARKS} marks are pending.")
        else:
            self._marks.append((self._played_bytes + len(self._unplayed), name))

    def _clear(self) -> None:
        self._events.append(Cleared(bytes(self._unplayed)))
        self._unplayed.clear()
        while self._marks:
            self._echo(self._marks.popleft()[1], flushed=True)

    def _play(self) -> bytes:
        if self._frames <= self._playing_from_frame:
            return SILENT_FRAME
        heard = bytes(self._unplayed[:FRAME_BYTES])
        del self._unplayed[:FRAME_BYTES]
        self._played_bytes += len(heard)
        return heard.ljust(FRAME_BYTES, MULAW_SILENCE)

    def _echo_played_marks(self) -> None:
        """Called a frame after the audio was handed out: by then it has sounded."""
        while self._marks and self._marks[0][0] <= self._played_bytes:
            self._echo(self._marks.popleft()[1], flushed=False)

    def _echo(self, name: str, *, flushed: bool) -> None:
        self._send("mark", {"name": name})
        self._events.append(MarkEchoed(name, flushed))

    def _warn(self, code: int, sentence: str) -> None:
        earlier = self._warnings.get(code)
        if earlier is None:
            self._warnings[code] = CarrierWarning(code, sentence)
            self._events.append(self._warnings[code])
        else:
            self._warnings[code] = replace(earlier, times=earlier.times + 1)


def _require_fields(found: dict[str, Any], expected: set[str], where: str) -> None:
    missing, extra = expected - found.keys(), found.keys() - expected
    if missing:
        raise BadMessage(f"The field {min(missing)} is missing in {where}.")
    if extra:
        raise BadMessage(f"The field {min(extra)[:40]} is too much in {where}.")


def _decode_payload(payload: str) -> bytes:
    try:
        return pybase64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadMessage("The payload of a media message is not base64.") from error
