"""`evibridge call`: a simulated phone call, printed as a conversation while it goes on."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from evibridge.audio.resample import Resampler
from evibridge.audio.wav import mono_pcm16, parse_wav
from evibridge.emulators.call_report import AgentSpeech, CallEvent, CallEventKind, CallReport
from evibridge.emulators.caller import Speech, conversation
from evibridge.emulators.ordered_lines import Line, OrderedLines
from evibridge.emulators.twilio import TwilioPhone
from evibridge.errors import BadAudio, EngineSetupError, LinkRefused, Overloaded, SettingsError

if TYPE_CHECKING:
    from evibridge.engine.hearing.ears import WhisperEars
    from evibridge.engine.voices.voice import HibariVoice

PHONE_RATE_HZ = 8000
PHONE_BYTES_PER_S = 2 * PHONE_RATE_HZ
RECOGNISER_RATE_HZ = 16_000
VOICE_RATE_HZ = 48_000
TRANSCRIPT_TIMEOUT_S = 30.0
RECOGNISED_S = 30
"""The recogniser hears no more at a time."""
MAX_INTERRUPT_AFTER_S = 600.0
"""As long as a whole call."""
LAST_WORDS = "Excuse me, one moment please."
"""How the caller cuts in when there is nothing else to say."""

SHOWN = {
    CallEventKind.CALLER_PRESSES: "presses {}",
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
        interrupt_after_s: how long each answer may go on before the caller cuts in with the next
            thing to say, at last with `LAST_WORDS`; None lets the agent finish
    """

    url: str
    recordings: Sequence[Path]
    texts: Sequence[str]
    auth_token: str | None
    record_to: Path | None
    interrupt_after_s: float | None = None


def interrupt_seconds(text: str) -> float:
    """Read the value of `--interrupt-after`.

    Raises:
        SettingsError: it is no number, or out of range
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_INTERRUPT_AFTER_S:  # not a number is not in between either
        raise SettingsError(
            f"--interrupt-after {text!r} is no time to wait: give seconds, such as 2 or 0.5, "
            f"up to {MAX_INTERRUPT_AFTER_S:g}."
        )
    return seconds


async def make_call(call: PhoneCall, show: Callable[[str], None]) -> bool:
    """Make the call and show it line by line; returns whether the agent was heard.

    Raises:
        EvibridgeError: the service cannot be reached, a file cannot be read or written, or there is
            nothing to be said or nothing to say it with
    """
    if call.record_to is not None:
        _check_writable(call.record_to)
    after_s = call.interrupt_after_s
    script = conversation(
        await _speeches(call),
        interrupt_after_ms=None if after_s is None else round(after_s * 1000),
    )
    ears = await asyncio.to_thread(_load_ears)
    lines = _Lines(ears, show)
    phone = TwilioPhone(f"{call.url.rstrip('/')}/twilio/voice", call.auth_token)
    try:
        report = await phone.call(script, on_event=lines.event, on_agent_speech=lines.agent_speech)
        await lines.recognised()
    except LinkRefused as error:
        raise SettingsError(_why_refused(call.url, error)) from error
    finally:
        lines.end()
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
    """The conversation as lines, in order of time.

    What the agent said is known once it is recognised; until then, later lines are held back.
    """

    def __init__(self, ears: "WhisperEars | None", show: Callable[[str], None]) -> None:
        self._ears = ears
        self._show = show
        self._lines = OrderedLines()
        self._agents: Line | None = None  # the line of what the agent is saying
        self._recognising: set[asyncio.Task[None]] = set()

    def event(self, event: CallEvent) -> None:
        """Show what happened, if it is part of the conversation."""
        match event.kind:
            case CallEventKind.AGENT_STARTED:
                self._agents = self._lines.put(event.at_ms, "agent")
            case CallEventKind.CALLER_SPEAKS:
                cuts_in = "  (cuts in)" if self._agents is not None else ""
                said = f"{event.detail or '(a recording)'}{cuts_in}"
                self._lines.put(event.at_ms, "caller", said)
            case CallEventKind.CLEARED:
                pcm16, line = event.unheard_pcm16_8k, self._lines.put(event.at_ms, "")
                seconds = len(pcm16) / PHONE_BYTES_PER_S
                begin = pcm16[: RECOGNISED_S * PHONE_BYTES_PER_S]
                self._complete(line, begin, partial(_unheard, seconds=seconds))
            case kind if kind in SHOWN:
                self._lines.put(event.at_ms, "", SHOWN[kind].format(event.detail))
        self._show_all(self._lines.take())

    def agent_speech(self, speech: AgentSpeech) -> None:
        """Show what was heard of the agent, in the line that has its place since it began."""
        line, self._agents = self._agents, None
        if line is not None:
            seconds = (speech.end_ms - speech.start_ms) / 1000
            self._complete(line, speech.pcm16_8k, partial(_heard, seconds=seconds))

    async def recognised(self) -> None:
        """Wait for the last words, for a while."""
        if self._recognising:
            await asyncio.wait(self._recognising, timeout=TRANSCRIPT_TIMEOUT_S)

    def end(self) -> None:
        """Show what is left, whether it is known or not."""
        self._show_all(self._lines.take_rest())

    def _complete(self, line: Line, pcm16_8k: bytes, wording: Callable[[str], str]) -> None:
        task = asyncio.get_running_loop().create_task(self._recognise(line, pcm16_8k, wording))
        self._recognising.add(task)
        task.add_done_callback(self._recognising.discard)

    async def _recognise(self, line: Line, pcm16_8k: bytes, wording: Callable[[str], str]) -> None:
        text = ""
        if self._ears is not None:
            pcm16 = Resampler(PHONE_RATE_HZ, RECOGNISER_RATE_HZ).process(pcm16_8k)
            with contextlib.suppress(Overloaded):
                text = (await self._ears.transcribe(pcm16)).text
        line.text = wording(text)
        self._show_all(self._lines.take())

    def _show_all(self, lines: Iterable[Line]) -> None:
        for line in lines:
            text = line.text or "(not recognised)"
            self._show(f"{line.at_ms / 1000:6.1f} s  {line.who:6}  {text}")


def _heard(text: str, seconds: float) -> str:
    return text or f"({seconds:.1f} s of speech)"


def _unheard(text: str, seconds: float) -> str:
    if not seconds:
        return "(the agent is interrupted: all that was sent was heard)"
    said = text.replace('"', "")  # recognisers put quotation marks where somebody tells a story
    more = " ..." if seconds > RECOGNISED_S else ""
    words = f', "{said}{more}"' if said else ""
    return f"(the agent falls silent: {seconds:.1f} s were sent and not heard{words})"


async def _speeches(call: PhoneCall) -> list[Speech]:
    """All that the caller says, one thing after another."""
    speeches = [_from_wav(path) for path in call.recordings]
    texts = list(call.texts)
    interrupts = call.interrupt_after_s is not None
    if interrupts:
        if not speeches and not texts:
            raise SettingsError(
                "--interrupt-after needs an answer to cut in on: give --say or a WAV file as well."
            )
        texts.append(LAST_WORDS)
    if texts:
        voice = await asyncio.to_thread(_load_voice, interrupts=interrupts)
        try:
            speeches += [await _spoken(voice, text) for text in texts]
        finally:
            voice.close()
    return speeches


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


def _load_voice(*, interrupts: bool) -> "HibariVoice":
    try:
        from evibridge.engine.voices.voice import HibariVoice
    except ImportError as error:
        option = "--interrupt-after" if interrupts else "--say"
        or_else = "" if interrupts else ", or give WAV files"
        raise EngineSetupError(
            f"{option} needs the engine's voice ({error.name} is not installed): install "
            f"evibridge[engine]{or_else}."
        ) from error
    return HibariVoice.load()


def _load_ears() -> "WhisperEars | None":
    """Without the engine's packages the agent's words are not written down."""
    try:
        from evibridge.engine.hearing.ears import WhisperEars
    except ImportError:
        return None
    return WhisperEars.load()
