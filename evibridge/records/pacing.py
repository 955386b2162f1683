"""Leaves time to the event loop while another thread computes."""

import time
from threading import Event

MAX_BUSY_S = 0.002
"""A piece of sound that is late by this much is not heard to be."""


class Pacing:
    """Lets a thread compute half of the time: Python runs one thread at a time, and they all wait.

    Made and used in that thread.

    Args:
        is_over: nothing rests once this is set
    """

    def __init__(self, is_over: Event) -> None:
        self._is_over = is_over
        self._rested_s = time.thread_time()

    def rest(self) -> None:
        """Rest for as long as was computed, once that is worth it."""
        busy_s = time.thread_time() - self._rested_s
        if busy_s > MAX_BUSY_S:
            self._is_over.wait(busy_s)
            self._rested_s = time.thread_time()
