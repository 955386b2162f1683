"""Audio at the rates that pages name."""

import pytest

from evibridge.bridges.browser.page_audio import PageAudio, check_rates
from evibridge.errors import BadAudio
from tests.parties import wav

USUAL_HZ = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


@pytest.mark.parametrize("rate_hz", [*USUAL_HZ, 23_950, 47_900])
def test_rates_that_are_taken_can_be_converted_both_ways(rate_hz: int) -> None:
    check_rates(rate_hz, rate_hz)
    audio = PageAudio(rate_hz, rate_hz)
    assert len(audio.for_call(bytes(2 * rate_hz // 50))) == 640
    assert len(audio.for_page(wav(20), None)) == 2 * rate_hz // 50


@pytest.mark.parametrize("rate_hz", [88_200, 95_900, 96_000])
def test_a_microphone_may_have_more_than_a_loudspeaker(rate_hz: int) -> None:
    check_rates(rate_hz, 48_000)
    assert PageAudio(rate_hz, 48_000).max_piece_bytes == 2 * rate_hz * 120 // 1000
    with pytest.raises(BadAudio):
        check_rates(48_000, rate_hz)


@pytest.mark.parametrize("rate_hz", [0, 7_950, 11_025, 23_999, 24_050, 44_150, 47_950, 96_100])
def test_rates_that_no_sound_card_has_are_refused(rate_hz: int) -> None:
    with pytest.raises(BadAudio, match=f"Audio at {rate_hz} Hz is not taken: use a rate from"):
        check_rates(rate_hz, 16_000)
    with pytest.raises(BadAudio):
        check_rates(16_000, rate_hz)


def test_an_agent_of_another_rate_is_converted_for_the_page_and_who_listens() -> None:
    audio, tapped = PageAudio(16_000, 24_000), list[bytes]()
    assert len(audio.for_page(wav(20, 22_050), tapped.append)) == 960
    assert len(tapped[0]) == 640
    with pytest.raises(BadAudio):
        audio.for_page(b"no WAV file", None)


def test_the_next_audio_starts_with_clean_filters() -> None:
    audio = PageAudio(16_000, 24_000)
    first = audio.for_page(wav(20), None)
    audio.clear()
    assert audio.for_page(wav(20), None) == first
    assert audio.for_page(wav(20), None) != first
