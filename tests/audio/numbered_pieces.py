"""Pieces of sound that can be told from each other, and what is found of them in stereo sound."""

import struct

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000
PIECE = 160
PIECE_S = PIECE / RATE_HZ
VALUES = 32_000
"""A piece is known by its samples, which are all the same; these are as many as there are."""

Samples = NDArray[np.int16]


def piece(number: int, samples: int = PIECE) -> bytes:
    """Can be told from 32 000 others and from silence."""
    return struct.pack("<h", number % VALUES + 1) * samples


def sides(stereo16: bytes) -> tuple[Samples, Samples]:
    """What the caller said and what the agent did, in every frame."""
    frames = np.frombuffer(stereo16, np.int16).reshape(-1, 2)
    return frames[:, 0], frames[:, 1]


def stretches(side: Samples) -> list[tuple[int, int]]:
    """What is heard one behind the other, as value and number of frames; 0 is silence."""
    edges = np.flatnonzero(np.diff(side)) + 1
    parts = np.split(side, edges) if len(side) else []
    return [(int(part[0]), len(part)) for part in parts]
