"""What browsers send: their recordings of a 440 Hz tone, in the pieces they came in."""

from itertools import accumulate, pairwise
from pathlib import Path

_FOLDER = Path(__file__).with_name("recordings")


def chromium_webm() -> list[bytes]:
    """60 ms packets, nothing but a SimpleBlock each."""
    return _pieces("chromium.webm", [343, 358, 382, 395, 272, 272, 284, 281])


def firefox_webm() -> list[bytes]:
    """20 ms packets, sizes of eight bytes, a pre-skip."""
    return _pieces("firefox.webm", [599, 315, 301, 259, 250, 250, 250, 250, 250, 85])


def firefox_ogg() -> list[bytes]:
    """20 ms packets, one page of them at the end."""
    return _pieces("firefox.ogg", [130, *[0] * 8, 2170])


def _pieces(file: str, sizes: list[int]) -> list[bytes]:
    recording = (_FOLDER / file).read_bytes()
    assert sum(sizes) == len(recording)
    return [recording[begin:end] for begin, end in pairwise(accumulate(sizes, initial=0))]
