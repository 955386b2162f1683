"""How well the engine hears on a telephone line: interruptions, noises and words.

    python -m benchmarks.hearing

Three questions, each through the engine's own `Hearing`, on 8 kHz mu-law:

- A caller speaks over the agent, in noise: how long after `min_interruption_ms` is it interrupted?
- Something makes a noise while the agent speaks: how often does that interrupt it?
- A caller says fifty sentences in noise: how many words are wrong?

The callers are synthetic voices: the engine's own, flite (slt) and espeak-ng, where installed.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from benchmarks import noises
from benchmarks.caller_voices import (
    in_noise,
    installed,
    on_the_line,
    one_after_the_other,
    spoken,
)
from benchmarks.heard import percentile
from benchmarks.noises import RATE_HZ, Sound, at_level
from benchmarks.report import headline, machine, table
from benchmarks.word_errors import SENTENCES, word_errors
from evibridge.engine.chat.chat_settings import AudioFormat
from evibridge.engine.hearing.ears import Ears, Transcript, VoiceActivity, WhisperEars
from evibridge.engine.hearing.hearing import Hearing
from evibridge.engine.hearing.turns import TurnTaking
from evibridge.engine.tasks import OwnedTasks

SNR_DB = 15.0
MIN_INTERRUPTION_MS = 240
BOUND_MS = 100
"""How late an interruption may be noticed."""
AGENT_DBFS = -21.0
ECHO_DBFS = AGENT_DBFS - 25
BABBLE_DBFS = (-30, -40, -50)
LEVELS_DBFS = (-15, -25, -35)

INTERRUPTIONS = (
    "Stop.",
    "Sorry, wait a moment.",
    "Hello, can I say something?",
    "Excuse me, that is wrong.",
    "Yes, that is fine.",
    "Four, please.",
    "Thank you, I know that.",
    "Five books, please.",
    "She sells shoes.",
    "Please stop talking.",
    "Can I speak to somebody?",
    "I want to change my order.",
    "No, that is not what I said.",
    "Hang on, I have a question.",
    "What about the other one?",
    "The first one, please.",
    "Actually, I would like the blue one.",
    "Two tickets to London.",
    "Check order ten forty two.",
    "How much is it?",
)
AGENT_SAYS = (
    "Your order is on its way and should arrive by Friday.",
    "We are open from nine in the morning to six in the evening, from Monday to Saturday.",
    "I can change the delivery address for you, if you tell me the new one.",
    "The book costs twelve pounds and fifty pence, and delivery is free.",
    "Is there anything else that I can do for you today?",
    "Let me look that up for you, one moment please.",
    "Our shop is in the old town, next to the market square.",
)
_LEAD_IN_S = 3.0  # what is steady has become the background by then
_LEAD_OUT_S = 1.2
_BYTES_PER_S = 32_000
_MESSAGE_BYTES = _BYTES_PER_S // 50  # 20 ms, as a telephone sends it
_ROUNDS = 5
_EXAMPLES = 3
_ONSET_FRAME = RATE_HZ // 100
_ONSET_RANGE_DB = 25  # below the loudest 10 ms: there a word has begun


@dataclass(frozen=True, slots=True)
class Interruption:
    """How long after `min_interruption_ms` a phrase has interrupted the agent; None for never."""

    phrase: str
    late_ms: float | None


@dataclass(frozen=True, slots=True)
class Understood:
    """A sentence of which something was misunderstood."""

    said: str
    understood: str
    errors: int


@dataclass(frozen=True, slots=True)
class Words:
    """What was understood of one voice."""

    error_rate: float
    """Word error rate in per cent."""
    recognition_ms: float
    """CPU time for a sentence, voice activity included."""
    misunderstood: list[Understood]


@dataclass(frozen=True, slots=True)
class HearingReport:
    """All figures; by voice, and by noise and level in dBFS."""

    interruptions: dict[str, list[Interruption]]
    false_per_minute: dict[str, dict[float, float]]
    words_in_quiet: dict[str, Words]
    words_in_noise: dict[str, Words]
    activity_ms_per_s: float


@dataclass(slots=True)
class Notes:
    """A listener that writes down what it is told."""

    agent_speaks: bool
    interruptions: int = 0
    said: list[str] = field(default_factory=list)

    def agent_is_speaking(self) -> bool:
        """Tell what was arranged: the agent does not fall silent when it is interrupted."""
        return self.agent_speaks

    def caller_interrupts(self) -> None:
        """Count."""
        self.interruptions += 1

    def caller_is_saying(self, text: str, begin_ms: int, end_ms: int) -> None:
        """Provisional texts are not asked for."""

    def caller_said(self, text: str, begin_ms: int, end_ms: int) -> None:
        """Note the words."""
        del begin_ms, end_ms
        self.said.append(text)

    def turn_ended(self) -> None:
        """One turn is all there is."""

    def not_heard(self) -> None:
        """Then the words are missing."""

    def interruption_was_noise(self) -> None:
        """It has been counted."""


class DeafEars(Ears):
    """For what does not depend on words."""

    @property
    def idle(self) -> bool:
        """Nothing extra is wanted."""
        return False

    async def transcribe(self, pcm16: bytes) -> Transcript:
        """Hear nothing."""
        del pcm16
        return Transcript("")


async def listen(ears: Ears, notes: Notes, pcm16: bytes) -> list[int]:
    """Let the engine hear a call, int16 mono PCM at 16 kHz.

    Returns:
        where in the audio the agent was interrupted, in ms
    """
    faults: list[BaseException] = []
    tasks = OwnedTasks(faults.append)
    turn_taking = TurnTaking(min_interruption_ms=MIN_INTERRUPTION_MS)
    hearing = Hearing(ears, turn_taking, notes, tasks, interim=False)
    hearing.announce(AudioFormat(16_000, 1))
    interrupted_ms: list[int] = []
    for at in range(0, len(pcm16), _MESSAGE_BYTES):
        hearing.take(pcm16[at : at + _MESSAGE_BYTES])
        if notes.interruptions > len(interrupted_ms):
            interrupted_ms.append(hearing.position_ms)
    await tasks.ended()
    if faults:
        raise faults[0]
    return interrupted_ms


def onset_ms(speech: Sound) -> float:
    """Where speech begins to be heard."""
    whole = len(speech) // _ONSET_FRAME * _ONSET_FRAME
    power = np.mean(speech[:whole].reshape(-1, _ONSET_FRAME) ** 2, axis=1)
    first = int(np.argmax(power > np.max(power) / 10 ** (_ONSET_RANGE_DB / 10)))
    return first * 1000 * _ONSET_FRAME / RATE_HZ


async def interruption(phrase: str, voice: str) -> Interruption:
    """Say something over the agent, on a noisy line."""
    speech = spoken(phrase, voice)
    silence = np.zeros(int(_LEAD_IN_S * RATE_HZ))
    line = on_the_line(in_noise(np.concatenate([silence, speech, silence]), SNR_DB))
    begins_ms = 1000 * _LEAD_IN_S + onset_ms(speech)
    times_ms = await listen(DeafEars(), Notes(agent_speaks=True), line)
    after_ms = [at_ms for at_ms in times_ms if at_ms > begins_ms]
    late_ms = after_ms[0] - begins_ms - MIN_INTERRUPTION_MS if after_ms else None
    return Interruption(phrase, late_ms)


async def false_interruptions(sound: Sound, dbfs: float) -> float:
    """How often a minute a sound interrupts the agent."""
    line = on_the_line(at_level(sound, dbfs))
    times_ms = await listen(DeafEars(), Notes(agent_speaks=True), line)
    return len(times_ms) * 60 * RATE_HZ / len(sound)


def unwanted_sounds(
    voices: Sequence[str],
) -> dict[str, tuple[Callable[[], Sound], Sequence[float]]]:
    """What must not interrupt the agent, and how loud it is."""

    def talk(voice: str) -> Sound:
        talking = one_after_the_other([spoken(text, voice) for text in AGENT_SAYS], pause_s=0.2)
        return np.resize(talking, noises.SECONDS * RATE_HZ)

    levels = {name: (sound, LEVELS_DBFS) for name, sound in noises.BURSTS.items()}
    return levels | {
        "white noise": (noises.white, LEVELS_DBFS),
        "pink noise": (noises.pink, LEVELS_DBFS),
        "music": (noises.music, LEVELS_DBFS),
        "echo of the agent": (lambda: talk("hibari"), (ECHO_DBFS,)),
        "babble": (lambda: noises.babble([talk(voice) for voice in voices] * 3), BABBLE_DBFS),
    }


async def understood(
    ears: Ears, voice: str, sentences: Sequence[str], *, snr_db: float | None
) -> Words:
    """Let a voice say sentences, with noise `snr_db` below or without any, and count the errors."""
    errors = words = 0
    misunderstood = []
    times_ms = []
    for sentence in sentences:
        speech = spoken(sentence, voice)
        silence = np.zeros(int(_LEAD_OUT_S * RATE_HZ))
        sound = np.concatenate([silence, speech, silence])
        line = on_the_line(sound if snr_db is None else in_noise(sound, snr_db))
        notes = Notes(agent_speaks=False)
        begun_s = time.process_time()
        await listen(ears, notes, line)
        times_ms.append(1000 * (time.process_time() - begun_s))
        text = " ".join(notes.said)
        wrong, of = word_errors(sentence, text)
        errors, words = errors + wrong, words + of
        if wrong:
            misunderstood.append(Understood(sentence, text, wrong))
    return Words(100 * errors / words, percentile(times_ms, 0.5), misunderstood)


def activity_cost(voice: str) -> float:
    """CPU milliseconds of the voice activity for one second of a caller who speaks in noise."""
    speech = np.concatenate([spoken(text, voice) for text in AGENT_SAYS])
    line = on_the_line(in_noise(speech, SNR_DB))
    times_s = []
    for _ in range(_ROUNDS):
        activity = VoiceActivity()
        begun_s = time.process_time()
        for at in range(0, len(line), _MESSAGE_BYTES):
            activity.frames(line[at : at + _MESSAGE_BYTES])
        times_s.append(time.process_time() - begun_s)
    return 1000 * min(times_s) / (len(line) / _BYTES_PER_S)


async def measure(
    phrases: Sequence[str] = INTERRUPTIONS, sentences: Sequence[str] = SENTENCES
) -> HearingReport:
    """Measure everything; takes about a minute."""
    voices = installed()
    interruptions = {
        voice: [await interruption(phrase, voice) for phrase in phrases] for voice in voices
    }
    false_per_minute = {
        name: {dbfs: await false_interruptions(sound(), dbfs) for dbfs in levels}
        for name, (sound, levels) in unwanted_sounds(voices).items()
    }
    ears = WhisperEars.load()
    quiet, noisy = [
        {voice: await understood(ears, voice, sentences, snr_db=snr_db) for voice in voices}
        for snr_db in (None, SNR_DB)
    ]
    ears.close()
    return HearingReport(interruptions, false_per_minute, quiet, noisy, activity_cost(voices[0]))


def shown(report: HearingReport) -> str:
    """All figures, and what went wrong."""
    parts = [
        f"Delay of an interruption after {MIN_INTERRUPTION_MS} ms, in noise {SNR_DB:.0f} dB below:",
        _shown_interruptions(report.interruptions),
        "Interruptions by other sounds, per minute, at levels in dBFS:",
        _shown_noises(report.false_per_minute),
        f"Words that were misunderstood, on a quiet line and in noise {SNR_DB:.0f} dB below:",
        _shown_words(report.words_in_quiet, report.words_in_noise),
        f"Voice activity: {report.activity_ms_per_s:.2f} ms of CPU for a second of audio.",
    ]
    return "\n\n".join(parts)


def _shown_interruptions(interruptions: dict[str, list[Interruption]]) -> str:
    rows = []
    for voice, found in interruptions.items():
        late_ms = [one.late_ms for one in found if one.late_ms is not None]
        too_late = [one for one in found if one.late_ms is None or one.late_ms > BOUND_MS]
        names = ", ".join(f"{one.phrase} {_ms(one.late_ms)}" for one in too_late)
        p50, most = f"{percentile(late_ms, 0.5):.0f}", f"{max(late_ms, default=float('nan')):.0f}"
        rows.append((voice, p50, most, f"{len(too_late)} of {len(found)}", names))
    columns = ("voice", "p50, ms", "most, ms", f"later than {BOUND_MS} ms", "which")
    return table(columns, rows)


def _ms(late_ms: float | None) -> str:
    return "never" if late_ms is None else f"{late_ms:.0f}"


def _shown_noises(false_per_minute: dict[str, dict[float, float]]) -> str:
    rows = [
        (name, ", ".join(f"{count:.1f} at {dbfs:.0f}" for dbfs, count in counts.items()))
        for name, counts in false_per_minute.items()
    ]
    return table(("sound", "interruptions per minute"), rows)


def _shown_words(quiet: dict[str, Words], noisy: dict[str, Words]) -> str:
    columns = ("voice", "quiet", "noisy", "CPU ms per sentence")
    rows = [
        (
            voice,
            f"{quiet[voice].error_rate:.1f} %",
            f"{found.error_rate:.1f} %",
            f"{found.recognition_ms:.0f}",
        )
        for voice, found in noisy.items()
    ]
    examples = [
        f"- {voice}: {one.said} [{one.understood}]"
        for voice, found in noisy.items()
        for one in found.misunderstood[:_EXAMPLES]
    ]
    return "\n".join([table(columns, rows), "", *examples])


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.hearing")
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    report = asyncio.run(measure())
    if given.json:
        print(json.dumps({"machine": machine(), "hearing": asdict(report)}, indent=2))
    else:
        print(f"{headline()}\n\n{shown(report)}")


if __name__ == "__main__":
    main()
