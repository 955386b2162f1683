"""An operator's microphone, on its way to the caller."""

from collections.abc import Callable

RATE_HZ = 16_000
"""Of what it takes."""


class OperatorLine:
    """One microphone, as long as it is on; made by `Call.open_operator_line`.

    Args:
        by: name of the operator
        take: gets each piece of his voice
        closed: is told when he switches it off
        on_closed: is told once if the line is closed from the other end
    """

    def __init__(
        self,
        by: str,
        take: Callable[[bytes], None],
        closed: Callable[[], None],
        on_closed: Callable[[], None],
    ) -> None:
        self.by = by
        self._take = take
        self._closed = closed
        self._on_closed = on_closed
        self._is_open = True

    def audio(self, pcm16: bytes) -> None:
        """The next piece of the voice: int16 mono PCM at `RATE_HZ`, 100 ms at most."""
        if self._is_open:
            self._take(pcm16)

    def close(self) -> None:
        """The operator has switched it off; said again, it has no effect."""
        if self._is_open:
            self._is_open = False
            self._closed()

    def cut(self) -> None:
        """The call is handed back, or over."""
        if self._is_open:
            self._is_open = False
            self._on_closed()
