import ctypes
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evibridge.audio.opus import (
    BITRATE,
    COMPLEXITY,
    EXPECTED_LOSS_PERCENT,
    FRAME_MS,
    OpusDecoder,
    OpusEncoder,
    packet_ms,
)
from evibridge.errors import BadAudio
from tests.speech import spoken

RATE_HZ = 24_000
SAMPLES = RATE_HZ * FRAME_MS // 1000
WORDS = "The quick brown fox jumps over the lazy dog, and then it calls the bookshop again."

Samples = NDArray[np.int16]


def speech_frames(rate_hz: int = RATE_HZ) -> list[bytes]:
    """Whole frames of a sentence, up to its last sound."""
    size = 2 * rate_hz * FRAME_MS // 1000
    pcm16 = spoken(WORDS, rate_hz)
    frames = [pcm16[at : at + size] for at in range(0, len(pcm16) - size, size)]
    while samples(frames[-1]).max() < 500:
        del frames[-1]
    return frames


def encoded(frames: list[bytes], rate_hz: int = RATE_HZ) -> list[bytes]:
    """Speech as packets."""
    encoder = OpusEncoder(rate_hz)
    return [encoder.encode(frame) for frame in frames]


def samples(pcm16: bytes) -> Samples:
    return np.frombuffer(pcm16, np.int16)


@pytest.mark.parametrize(
    ("config", "duration_ms"),
    [
        *[(0, 10), (1, 20), (2, 40), (3, 60), (11, 60)],
        *[(12, 10), (13, 20), (14, 10), (15, 20)],
        *[(16, 2.5), (17, 5), (18, 10), (19, 20), (31, 20)],
    ],
)
def test_the_first_byte_tells_the_length_of_a_frame(config: int, duration_ms: float) -> None:
    assert packet_ms(bytes([config << 3, 0])) == duration_ms


@pytest.mark.parametrize(
    ("packet", "duration_ms"), [(b"\x08", 20), (b"\x09", 40), (b"\x0a", 40), (b"\x0b\x06", 120)]
)
def test_a_packet_holds_several_frames(packet: bytes, duration_ms: float) -> None:
    assert packet_ms(packet) == duration_ms


@pytest.mark.parametrize("packet", [b"", b"\x0b", b"\x0b\x00", b"\x0b\x07"])
def test_a_packet_of_no_valid_length_is_refused(packet: bytes) -> None:
    with pytest.raises(BadAudio, match="damaged"):
        packet_ms(packet)


@pytest.mark.parametrize("rate_hz", [8000, 12_000, 16_000, 24_000, 48_000])
def test_speech_comes_out_as_it_went_in(rate_hz: int) -> None:
    frames = speech_frames(rate_hz)
    packets = encoded(frames, rate_hz)
    decoder = OpusDecoder(rate_hz)

    decoded = [decoder.decode(packet) for packet in packets]

    assert [len(pcm16) for pcm16 in decoded] == [len(frame) for frame in frames]
    assert {packet_ms(packet) for packet in packets} == {FRAME_MS}
    assert likeness(decoded, frames) > 0.9


def likeness(one: list[bytes], other: list[bytes]) -> float:
    """Correlation of how loud the bands below 4 kHz are, 0 to 1."""
    return float(np.corrcoef(loudness(one).ravel(), loudness(other).ravel())[0, 1])


def loudness(frames: list[bytes]) -> NDArray[np.float64]:
    """Of 16 bands up to 4 kHz, in windows of four frames; blind to the delay of the codec."""
    sound = samples(b"".join(frames)).astype(float)
    width = 4 * len(samples(frames[0]))
    windows = np.lib.stride_tricks.sliding_window_view(sound, width)[:: width // 2]
    spectrum = np.abs(np.fft.rfft(windows * np.hanning(width)))
    bands = spectrum[:, :320].reshape(len(windows), 16, 20).mean(2)
    return np.asarray(np.log(bands + 1000), np.float64)


def test_a_decoder_may_work_at_another_rate_than_the_encoder() -> None:
    packets = encoded(speech_frames())

    assert {len(OpusDecoder(16_000).decode(packet)) for packet in packets} == {640}


def test_speech_takes_about_the_bitrate_that_was_asked_for() -> None:
    packets = encoded(speech_frames())

    bits_per_s = 8 * sum(map(len, packets)) / (len(packets) * FRAME_MS / 1000)
    assert 0.8 * BITRATE < bits_per_s < 1.2 * BITRATE


@pytest.mark.parametrize("is_reset", [False, True])
def test_libopus_takes_every_setting_and_keeps_it(*, is_reset: bool) -> None:
    encoder = OpusEncoder(RATE_HZ)
    if is_reset:
        encoder.encode(speech_frames()[0])
        encoder.reset()

    def setting(get_request: int) -> int:
        value = ctypes.c_int(-1)
        assert encoder._ctl(encoder._state, get_request, ctypes.byref(value)) == 0
        return value.value

    assert setting(4003) == BITRATE
    assert setting(4011) == COMPLEXITY
    assert setting(4013) == 1  # in-band FEC
    assert setting(4015) == EXPECTED_LOSS_PERCENT


def test_behind_a_reset_the_encoder_remembers_nothing() -> None:
    frames = speech_frames()
    encoder = OpusEncoder(RATE_HZ)
    fresh = [encoder.encode(frame) for frame in frames[:10]]

    again = [encoder.encode(frame) for frame in frames[:10]]
    encoder.reset()

    assert again != fresh
    assert [encoder.encode(frame) for frame in frames[:10]] == fresh


def test_a_tone_is_heard_as_long_as_it_sounds() -> None:
    encoder, decoder = OpusEncoder(RATE_HZ), OpusDecoder(RATE_HZ)
    cycle = np.sin(2 * np.pi * 440 / RATE_HZ * np.arange(100 * SAMPLES))
    tone = (8000 * cycle).astype(np.int16).tobytes()

    for start in range(0, len(tone), 2 * SAMPLES):
        heard = decoder.decode(encoder.encode(tone[start : start + 2 * SAMPLES]))

    assert np.abs(np.frombuffer(heard, np.int16)).max() > 6000


@pytest.mark.parametrize("size", [0, 2 * SAMPLES - 2, 4 * SAMPLES])
def test_a_frame_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(BadAudio, match="20 ms at a time: 960 bytes, not"):
        OpusEncoder(RATE_HZ).encode(bytes(size))


@pytest.mark.parametrize("codec", [OpusEncoder, OpusDecoder])
def test_a_rate_that_opus_does_not_know_is_refused(
    codec: type[OpusEncoder] | type[OpusDecoder],
) -> None:
    with pytest.raises(BadAudio, match="not at 44100 Hz"):
        codec(44_100)


@pytest.mark.parametrize("packet", [b"", b"\x0a\xfb"])
def test_a_damaged_packet_is_refused_and_does_no_harm(packet: bytes) -> None:
    decoder = OpusDecoder(RATE_HZ)

    with pytest.raises(BadAudio):
        decoder.decode(packet)

    assert len(decoder.decode(encoded(speech_frames())[0])) == 2 * SAMPLES


@settings(deadline=None)  # the first example loads libopus
@given(st.binary(max_size=80))
def test_any_packet_gives_its_length_of_sound_or_bad_audio(packet: bytes) -> None:
    try:
        pcm16 = OpusDecoder(RATE_HZ).decode(packet)
    except BadAudio:
        return
    assert len(pcm16) == 2 * packet_ms(packet) * RATE_HZ / 1000


class Losing:
    """A sentence of which every ninth packet is lost, and what is heard of it."""

    def __init__(self) -> None:
        self.packets = encoded(speech_frames())
        decoder = OpusDecoder(RATE_HZ)
        self.whole = [decoder.decode(packet) for packet in self.packets]
        self.lost = list(range(8, len(self.packets) - 1, 9))

    def heard(self, *, fec: bool) -> list[bytes]:
        decoder = OpusDecoder(RATE_HZ)
        heard = []
        for number, packet in enumerate(self.packets):
            if number not in self.lost:
                heard.append(decoder.decode(packet))
            elif fec:
                heard.append(decoder.recover(self.packets[number + 1], FRAME_MS))
            else:
                heard.append(decoder.conceal(FRAME_MS))
        return heard

    def error(self, heard: list[bytes]) -> float:
        """Energy of what is wrong in the place of the losses; that of silence is 1."""
        whole = [samples(self.whole[number]).astype(float) for number in self.lost]
        wrong = [
            right - samples(heard[number]) for number, right in zip(self.lost, whole, strict=True)
        ]
        return sum(float(one @ one) for one in wrong) / sum(float(one @ one) for one in whole)


@pytest.fixture(scope="module")
def losing() -> Losing:
    return Losing()


def test_what_is_concealed_is_closer_to_the_truth_than_silence(losing: Losing) -> None:
    assert losing.error(losing.heard(fec=False)) < 0.9


def test_what_the_next_packet_recovers_is_far_closer(losing: Losing) -> None:
    assert losing.error(losing.heard(fec=True)) < 0.3


@pytest.mark.parametrize("fec", [False, True])
def test_where_a_packet_is_lost_nothing_clicks(losing: Losing, *, fec: bool) -> None:
    heard = losing.heard(fec=fec)
    steepest = max(int(np.abs(np.diff(samples(pcm16).astype(int))).max()) for pcm16 in losing.whole)

    for number in losing.lost:
        for before, after in ((number - 1, number), (number, number + 1)):
            jump = abs(int(samples(heard[before])[-1]) - int(samples(heard[after])[0]))
            assert jump <= steepest


def test_of_a_longer_gap_the_end_is_recovered(losing: Losing) -> None:
    def end_filled_from(next_packet: bytes, number: int) -> bytes:
        decoder = OpusDecoder(RATE_HZ)
        for packet in losing.packets[: number - 2]:
            decoder.decode(packet)
        filled = decoder.recover(next_packet, 3 * FRAME_MS)
        assert len(filled) == 3 * 2 * SAMPLES
        return filled[-2 * SAMPLES :]

    recovered, concealed = list(losing.whole), list(losing.whole)
    for number in losing.lost:
        recovered[number] = end_filled_from(losing.packets[number + 1], number)
        concealed[number] = end_filled_from(b"", number)

    assert losing.error(recovered) < 0.75 * losing.error(concealed)


def test_concealment_fades() -> None:
    decoder = OpusDecoder(RATE_HZ)
    for packet in encoded(speech_frames())[:20]:
        decoder.decode(packet)

    level = [np.abs(samples(decoder.conceal(120)).astype(int)).mean() for _ in range(4)]

    assert level[0] > 100
    assert level[3] < level[0] / 4


@pytest.mark.parametrize("duration_ms", [1, 3, 17, 120])
def test_any_number_of_milliseconds_can_be_filled(duration_ms: int) -> None:
    decoder = OpusDecoder(RATE_HZ)
    packet = encoded(speech_frames())[0]

    assert len(decoder.conceal(duration_ms)) == 2 * duration_ms * RATE_HZ // 1000
    assert len(decoder.recover(packet, duration_ms)) == 2 * duration_ms * RATE_HZ // 1000


@pytest.mark.parametrize("duration_ms", [-20, 0, 121])
def test_more_than_a_packet_can_hold_is_not_filled(duration_ms: int) -> None:
    with pytest.raises(ValueError, match="Between 1 and 120 ms"):
        OpusDecoder(RATE_HZ).conceal(duration_ms)


@pytest.mark.parametrize("damaged", [b"", b"\x0a\xfb"])
def test_a_damaged_packet_recovers_nothing_and_the_gap_is_concealed(damaged: bytes) -> None:
    packets = encoded(speech_frames())[:20]
    recovering, concealing = OpusDecoder(RATE_HZ), OpusDecoder(RATE_HZ)
    for packet in packets:
        recovering.decode(packet)
        concealing.decode(packet)

    assert recovering.recover(damaged, FRAME_MS) == concealing.conceal(FRAME_MS)


@pytest.mark.parametrize("codec", [OpusEncoder, OpusDecoder])
def test_without_libopus_the_fault_says_what_to_install(
    codec: type[OpusEncoder] | type[OpusDecoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opuslib_next", None)

    with pytest.raises(BadAudio, match="opuslib-next-bundled"):
        codec(RATE_HZ)
