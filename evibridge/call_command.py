"""`evibridge call`: a simulated phone call, printed as a conversation while it goes on."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evibridge.audio.resample import Resampler
from evibridge.audio.wav import mono_pcm16, parse_wav
from evibridge.emulators.call_report import AgentSpeech, CallEvent, CallEventKind, CallReport
from evibridge.emulators.caller import Speech, conversation
from evibridge.emulators.twilio import TwilioPhone
from evibridge.errors import BadAudio, EngineSetupError, LinkRefused, SettingsError

if TYPE_CHECKING:
    from evibridge.engine.hearing.ears import WhisperEars
    from evibridge.engine.voices.voice import HibariVoice

PHONE_RATE_HZ = 8000
RECOGNISER_RATE_HZ = 16_000
VOICE_RATE_HZ = 48_000
TRANSCRIPT_TIMEOUT_S = 30.0

SHOWN = {
    CallEventKind.CALLER_PRESSES: "presses {}",
    CallEventKind.CLEARED: "(interrupted, {} unheard)",
    CallEventKind.WARNING: "(carrier warning {})",
    CallEventKind.CARRIER_SPEAKS: "(carrier says) {}",
    CallEventKind.TRANSFER: "(transferred to {})",
}
"""Events worth a line of their own, and how they read."""


@dataclass(frozen=True, slots=True)
class PhoneCall:
    """What the caller wants: where to, and what to say.

    Attributes:
        url: origin of the service
        recordings: WAV files to be spoken, in this order
        texts: sentences to be spoken after them, by the engine's voice
        auth_token: what the carrier signs with; None if the service has no token
        record_to: WAV file for both sides, caller left, agent right
    """

    url: str
    recordings: Sequence[Path]
    texts: Sequence[str]
    auth_token: str | None
    record_to: Path | None


async def make_call(call: PhoneCall, show: Callable[[str], None]) -> bool:
    """Make the call and show it line by line; returns whether the agent was heard.

    Raises:
        EvibridgeError: the service cannot be reached, or a file cannot be read or written
    """
    if call.record_to is not None:
        _check_writable(call.record_to)
    speeches = [_from_wav(path) for path in call.recordings]
    if call.texts:
        voice = await asyncio.to_thread(_load_voice)
        try:
            speeches += [await _spoken(voice, text) for text in call.texts]
        finally:
            voice.close()
    ears = await asyncio.to_thread(_load_ears)
    lines = _Lines(ears, show)
    phone = TwilioPhone(f"{call.url.rstrip('/')}/twilio/voice", call.auth_token)
    try:
        report = await phone.call(
            conversation(speeches), on_event=lines.event, on_agent_speech=lines.agent_speech
        )
        await lines.finished()
    except LinkRefused as error:
        raise SettingsError(_why_refused(call.url, error)) from error
    finally:
        if ears is not None:
            ears.close()
    _show_end(report, call.record_to, show)
    return report.agent_was_heard


def _why_refused(url: str, error: LinkRefused) -> str:
    if error.status == 403:
        return (
            f"{url} does not admit this phone (403): set TWILIO_AUTH_TOKEN to the service's own, "
            "and --url to its EVIBRIDGE_PUBLIC_URL."
        )
    if error.status in (404, 405, 501):
        return f"{url} is no evibridge service ({error.status}): give the origin of one as --url."
    return str(error)


def _check_writable(path: Path) -> None:
    """Find out before the call whether its recording can be kept."""
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise SettingsError(
            f"--record {path} cannot be written: choose a file in a folder of yours."
        )


def _show_end(report: CallReport, record_to: Path | None, show: Callable[[str], None]) -> None:
    if record_to is not None:
        record_to.write_bytes(report.recording_wav())
        show(f"Both sides are in {record_to}.")
    if report.agent_was_heard:
        show(f"The call is over: {report.end}.")
    else:
        show(f"The agent was not heard; the call is over: {report.end}.")


class _Lines:
    """The conversation as lines; what the agent said is known once it is recognised."""

    def __init__(self, ears: "WhisperEars | None", show: Callable[[str], None]) -> None:
        self._ears = ears
        self._show = show
        self._recognising: set[asyncio.Task[None]] = set()

    def event(self, event: CallEvent) -> None:
        """Show what happened, if it is part of the conversation."""
        if event.kind is CallEventKind.CALLER_SPEAKS:
            self._line(event.at_ms, "caller", event.detail or "(a recording)")
        elif event.kind in SHOWN:
            self._line(event.at_ms, "", SHOWN[event.kind].format(event.detail))

    def agent_speech(self, speech: AgentSpeech) -> None:
        """Show what was heard of the agent."""
        task = asyncio.get_running_loop().create_task(self._recognise(speech))
        self._recognising.add(task)
        task.add_done_callback(self._recognising.discard)

    async def finished(self) -> None:
        """Wait for the last lines."""
        if self._recognising:
            await asyncio.wait(self._recognising, timeout=TRANSCRIPT_TIMEOUT_S)

    async def _recognise(self, speech: AgentSpeech) -> None:
        text = ""
        if self._ears is not None:
            pcm16 = Resampler(PHONE_RATE_HZ, RECOGNISER_RATE_HZ).process(speech.pcm16_8k)
            text = (await self._ears.transcribe(pcm16)).text
        seconds = (speech.end_ms - speech.start_ms) / 1000
        self._line(speech.start_ms, "agent", text or f"({seconds:.1f} s of speech)")

    def _line(self, at_ms: int, who: str, what: str) -> None:
        self._show(f"{at_ms / 1000:6.1f} s  {who:6}  {what}")


def _from_wav(path: Path) -> Speech:
    try:
        wav = parse_wav(path.read_bytes())
        pcm16 = Resampler(wav.rate_hz, PHONE_RATE_HZ).process(mono_pcm16(wav))
    except (OSError, BadAudio) as error:
        cause = error.strerror if isinstance(error, OSError) else error
        raise BadAudio(f"{path} cannot be spoken: {cause}") from error
    return Speech(pcm16)


async def _spoken(voice: "HibariVoice", text: str) -> Speech:
    resampler = Resampler(VOICE_RATE_HZ, PHONE_RATE_HZ)
    pcm16 = b"".join([resampler.process(chunk) async for chunk in voice.speak(text)])
    if not pcm16:
        raise SettingsError(f"--say {text!r} holds nothing to say.")
    return Speech(pcm16 + resampler.flush(), text)


def _load_voice() -> "HibariVoice":
    try:
        from evibridge.engine.voices.voice import HibariVoice
    except ImportError as error:
        raise EngineSetupError(
            f"--say needs the engine's voice ({error.name} is not installed): install "
            "evibridge[engine], or give WAV files."
        ) from error
    return HibariVoice.load()


def _load_ears() -> "WhisperEars | None":
    """Without the engine's packages the agent's words are not written down."""
    try:
        from evibridge.engine.hearing.ears import WhisperEars
    except ImportError:
        return None
    return WhisperEars.load()
