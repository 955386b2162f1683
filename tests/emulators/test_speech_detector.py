from evibridge.emulators.speech_detector import Span, SpeechDetector, is_loud
from evibridge.emulators.twilio_media import SILENT_FRAME

from .sounds import tone_mulaw

LOUD_FRAME = tone_mulaw(20)
NOISY_FRAME = tone_mulaw(20, peak=100)


def heard(*stretches: tuple[bytes, int]) -> SpeechDetector:
    detector = SpeechDetector()
    for frame, times in stretches:
        for _ in range(times):
            detector.hear(frame)
    return detector


def test_a_voice_is_loud_and_line_noise_is_not() -> None:
    assert is_loud(LOUD_FRAME)
    assert not is_loud(NOISY_FRAME)
    assert not is_loud(SILENT_FRAME)


def test_nobody_has_spoken_at_first() -> None:
    detector = heard((NOISY_FRAME, 5))
    assert detector.now_ms == 100
    assert detector.quiet_ms == 100
    assert detector.speaking_since_ms is None
    assert detector.last_onset_ms is None
    assert detector.finished == []


def test_speech_is_known_after_two_loud_frames_and_began_with_the_first() -> None:
    assert heard((SILENT_FRAME, 3), (LOUD_FRAME, 1)).speaking_since_ms is None
    detector = heard((SILENT_FRAME, 3), (LOUD_FRAME, 2))
    assert detector.speaking_since_ms == 60
    assert detector.last_onset_ms == 60
    assert detector.quiet_ms == 0


def test_a_click_is_not_speech() -> None:
    detector = heard((LOUD_FRAME, 1), (SILENT_FRAME, 1), (LOUD_FRAME, 1), (SILENT_FRAME, 50))
    assert detector.finished == []
    assert detector.last_onset_ms is None


def test_a_short_pause_belongs_to_the_speech() -> None:
    detector = heard((LOUD_FRAME, 5), (SILENT_FRAME, 24), (LOUD_FRAME, 5))
    assert detector.speaking_since_ms == 0
    assert detector.finished == []


def test_a_long_pause_ends_the_speech_at_its_last_loud_frame() -> None:
    detector = heard((LOUD_FRAME, 5), (SILENT_FRAME, 25))
    assert detector.speaking_since_ms is None
    assert detector.last_onset_ms == 0
    assert detector.finished == [Span(0, 100)]
    assert detector.quiet_ms == 500


def test_a_second_speech_is_the_last_one() -> None:
    detector = heard((LOUD_FRAME, 5), (SILENT_FRAME, 25), (LOUD_FRAME, 5))
    assert detector.last_onset_ms == 600


def test_the_end_of_the_line_ends_a_speech() -> None:
    detector = heard((LOUD_FRAME, 5), (SILENT_FRAME, 2))
    detector.end()
    detector.end()
    assert detector.finished == [Span(0, 100)]
    assert detector.speaking_since_ms is None
