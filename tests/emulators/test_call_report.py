import struct

from evibridge.audio.g711 import MULAW_SILENCE, mulaw_to_pcm16
from evibridge.audio.wav import parse_wav
from evibridge.emulators.call_report import AgentSpeech, CallEnd, CallRecording, CallReport
from evibridge.emulators.speech_detector import Span

from .sounds import tone_mulaw


def report(caller: bytes, agent: bytes, *speech: AgentSpeech) -> CallReport:
    return CallReport(
        call_sid="CA1",
        end=CallEnd.CALLER_HUNG_UP,
        events=(),
        warnings=(),
        caller_pcm16_8k=caller,
        agent_pcm16_8k=agent,
        agent_speech=speech,
    )


def test_the_recording_has_the_caller_left_and_the_agent_right() -> None:
    wav = parse_wav(
        report(struct.pack("<3h", 1, -2, 32767), struct.pack("<3h", 10, 20, -32768)).recording_wav()
    )
    assert (wav.rate_hz, wav.channels, wav.sample_bytes) == (8000, 2, 2)
    assert struct.unpack("<6h", wav.data) == (1, 10, -2, 20, 32767, -32768)


def test_the_agents_speech_is_cut_out_with_a_margin() -> None:
    recording = CallRecording()
    agent = bytes(at % 256 for at in range(8000))
    recording.add(MULAW_SILENCE * 8000, agent)

    early = recording.agent_speech(Span(50, 200))
    late = recording.agent_speech(Span(800, 1000))

    assert (early.start_ms, early.end_ms) == (50, 200)
    assert early.pcm16_8k == mulaw_to_pcm16(agent[: 300 * 8])
    assert late.pcm16_8k == mulaw_to_pcm16(agent[700 * 8 :])


def test_the_agent_was_heard_if_it_spoke() -> None:
    assert report(b"", b"", AgentSpeech(0, 40, bytes(640))).agent_was_heard
    assert not report(b"", b"").agent_was_heard


def test_a_recording_keeps_both_sides_in_step() -> None:
    recording = CallRecording()
    recording.add(tone_mulaw(20), MULAW_SILENCE * 160)
    recording.add(MULAW_SILENCE * 160, tone_mulaw(20))
    caller, agent = recording.sides_pcm16()
    assert caller[:320] == agent[320:] != bytes(320)
    assert caller[320:] == agent[:320] == bytes(320)
