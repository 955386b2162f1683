"""Opus, the codec of browsers, by libopus: encoder, decoder, and the length of a packet.

libopus comes with the package opuslib-next-bundled, which is an extra: it is loaded when the first
encoder or decoder is made. Its functions are called with buffers that live as long as the stream.
"""

import ctypes
from typing import Any

from evibridge.errors import BadAudio

FRAME_MS = 20
MAX_PACKET_MS = 120
"""The longest packet that may be (RFC 6716, section 3.2.5)."""

BITRATE = 32_000
COMPLEXITY = 6
"""Of 0 to 10. Speech at 24 kHz took 57 us a frame at 0, 64 at 1, 140 at 2, 170 at 6, 220 at 8 to 10
(one core of an x86 server). Below 2 libopus leaves FEC out at this bitrate and loss; at 6 the log
spectrum was 2.95 dB off, at 2 3.5 dB, at 10 2.85 dB. Decoding takes 25 us."""
EXPECTED_LOSS_PERCENT = 5
"""What FEC is made for; at 0 libopus sends none."""

_MAX_FRAME_BYTES = 1275

# opus_defines.h
_APPLICATION_VOIP = 2048
_SET_BITRATE = 4002
_SET_COMPLEXITY = 4010
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERC = 4014
_RESET_STATE = 4028

_FRAME_MS_BY_CONFIG = (
    *(10.0, 20.0, 40.0, 60.0) * 3,  # SILK
    *(10.0, 20.0) * 2,  # hybrid
    *(2.5, 5.0, 10.0, 20.0) * 4,  # CELT
)


def packet_ms(packet: bytes) -> float:
    """How much sound a packet holds, by its first two bytes (RFC 6716, section 3.1).

    Raises:
        BadAudio: no valid packet begins like that
    """
    if packet:
        frame_ms = _FRAME_MS_BY_CONFIG[packet[0] >> 3]
        code = packet[0] & 3
        if code < 3:
            return frame_ms * 2 if code else frame_ms
        duration_ms = frame_ms * (packet[1] & 0x3F) if len(packet) > 1 else 0.0
        if 0 < duration_ms <= MAX_PACKET_MS:
            return duration_ms
    raise BadAudio("An Opus packet of this stream is damaged.")


class OpusEncoder:
    """Speech to Opus: int16 mono PCM at `rate_hz` in frames of 20 ms.

    Each packet holds the frame before it once more in a coarser form (in-band FEC), so that one
    lost packet can be recovered from the next. Silence is encoded as everything else: what libopus
    would leave out (DTX) is four fifths of a ringing tone or of a held vowel too.

    Raises:
        BadAudio: a rate that Opus does not know, or libopus is not installed
    """

    def __init__(self, rate_hz: int) -> None:
        libopus = _libopus()
        init = _function(libopus, "opus_encoder_init", ctypes.c_int, ctypes.c_int, ctypes.c_int)
        self._state = _room_for(libopus, "opus_encoder_get_size")
        _require_ok(init(self._state, rate_hz, 1, _APPLICATION_VOIP), rate_hz)
        self._ctl = _function(libopus, "opus_encoder_ctl", ctypes.c_int)
        for request, value in (
            (_SET_BITRATE, BITRATE),
            (_SET_COMPLEXITY, COMPLEXITY),
            (_SET_INBAND_FEC, 1),
            (_SET_PACKET_LOSS_PERC, EXPECTED_LOSS_PERCENT),
        ):
            self._ctl(self._state, request, value)
        self._encode = _function(
            libopus,
            "opus_encode",
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_int32,
        )
        self._samples = rate_hz * FRAME_MS // 1000
        self._packet = ctypes.create_string_buffer(_MAX_FRAME_BYTES)

    def encode(self, pcm16: bytes) -> bytes:
        """Encode the next frame.

        Raises:
            BadAudio: not 20 ms
        """
        if len(pcm16) != 2 * self._samples:
            raise BadAudio(
                f"Encode {FRAME_MS} ms at a time: {2 * self._samples} bytes, not {len(pcm16)}."
            )
        size = self._encode(self._state, pcm16, self._samples, self._packet, _MAX_FRAME_BYTES)
        return ctypes.string_at(self._packet, size)

    def reset(self) -> None:
        """Begin anew: the next frame does not follow the one before. Settings stay."""
        self._ctl(self._state, _RESET_STATE)


class OpusDecoder:
    """Opus to int16 mono PCM at `rate_hz`; stereo is mixed down by libopus itself.

    Raises:
        BadAudio: a rate that Opus does not know, or libopus is not installed
    """

    def __init__(self, rate_hz: int) -> None:
        libopus = _libopus()
        init = _function(libopus, "opus_decoder_init", ctypes.c_int, ctypes.c_int)
        self._state = _room_for(libopus, "opus_decoder_get_size")
        _require_ok(init(self._state, rate_hz, 1), rate_hz)
        self._decode = _function(
            libopus,
            "opus_decode",
            ctypes.c_char_p,
            ctypes.c_int32,
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_int,
        )
        self._rate_hz = rate_hz
        self._max_samples = rate_hz * MAX_PACKET_MS // 1000
        self._pcm16 = ctypes.create_string_buffer(2 * self._max_samples)

    def decode(self, packet: bytes) -> bytes:
        """Turn the next packet into int16 mono PCM.

        Raises:
            BadAudio: the packet is damaged
        """
        size = len(packet)
        if not size:  # libopus would take it for a loss
            raise BadAudio("An Opus packet of this stream is empty.")
        samples = self._decode(self._state, packet, size, self._pcm16, self._max_samples, 0)
        if samples < 0:
            raise BadAudio("An Opus packet of this stream is damaged.")
        return ctypes.string_at(self._pcm16, 2 * samples)

    def conceal(self, duration_ms: int) -> bytes:
        """What may have been said in lost packets: the last sound goes on, and fades.

        Args:
            duration_ms: how much is missing, 1 to 120

        Raises:
            ValueError: more or less than that
        """
        return self._fill(None, duration_ms)

    def recover(self, next_packet: bytes, duration_ms: int) -> bytes:
        """What was lost before `next_packet`, which is to be decoded after this.

        The frame right before it comes from its FEC, if it has any; the rest is concealed.

        Args:
            next_packet: the packet behind the gap; a damaged one is of no use and no harm
            duration_ms: how much is missing, 1 to 120

        Raises:
            ValueError: more or less than that
        """
        return self._fill(next_packet, duration_ms)

    def _fill(self, next_packet: bytes | None, duration_ms: int) -> bytes:
        if not 0 < duration_ms <= MAX_PACKET_MS:
            raise ValueError(f"Between 1 and {MAX_PACKET_MS} ms can be filled, not {duration_ms}.")
        step = self._rate_hz // 400  # libopus fills multiples of 2.5 ms
        wanted = duration_ms * self._rate_hz // 1000
        samples = -(-wanted // step) * step
        done = self._decode(
            self._state, next_packet, len(next_packet or b""), self._pcm16, samples, 1
        )
        if done < 0:
            self._decode(self._state, None, 0, self._pcm16, samples, 0)
        return ctypes.string_at(self._pcm16, 2 * wanted)


def _libopus() -> Any:
    try:
        import opuslib_next.api
    except (ImportError, OSError, RuntimeError) as error:  # the last two: a library that won't load
        raise BadAudio(
            "There is no Opus codec here: install the package opuslib-next-bundled, "
            "or send PCM or WAV."
        ) from error
    return opuslib_next.api.libopus


def _function(libopus: Any, name: str, *argument_types: Any) -> Any:
    """A function of libopus whose first argument is the state of a codec.

    Types are declared for the arguments that are always there: that is how ctypes knows which
    arguments of `..._ctl` are variadic, which some processors take elsewhere.
    """
    function = libopus[name]  # by index: an object of our own, its types are nobody else's
    function.argtypes = (ctypes.c_char_p, *argument_types)
    function.restype = ctypes.c_int
    return function


def _room_for(libopus: Any, get_size: str) -> ctypes.Array[ctypes.c_char]:
    """Memory for the state of one mono codec, which Python frees with the codec."""
    size = libopus[get_size]
    size.argtypes, size.restype = (ctypes.c_int,), ctypes.c_int
    return ctypes.create_string_buffer(size(1))


def _require_ok(result: int, rate_hz: int) -> None:
    if result < 0:
        raise BadAudio(f"Opus works at 8000, 12000, 16000, 24000 or 48000 Hz, not at {rate_hz} Hz.")
