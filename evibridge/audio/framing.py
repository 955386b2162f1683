"""Audio of any chunk lengths cut into frames of one length."""


class Framer:
    """Cuts a stream into frames of `frame_bytes`; an incomplete one waits for what comes next."""

    def __init__(self, frame_bytes: int) -> None:
        self._frame_bytes = frame_bytes
        self._rest = b""

    def push(self, chunk: bytes) -> list[bytes]:
        """The frames that are complete now, oldest first."""
        if len(chunk) == self._frame_bytes and not self._rest:
            return [chunk]
        pending = self._rest + chunk
        whole = len(pending) - len(pending) % self._frame_bytes
        self._rest = pending[whole:]
        return [pending[at : at + self._frame_bytes] for at in range(0, whole, self._frame_bytes)]
