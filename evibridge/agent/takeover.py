"""An operator speaks with the caller in the agent's place: who, and what was said meanwhile."""

from collections import deque

MAX_LINES = 200
MAX_CHARACTERS = 4000
"""Of what the agent is told when it goes on: some minutes of talk; the oldest lines go first."""


class Takeover:
    """One call's: nobody has it, or an operator of this name.

    Attributes:
        by: name of the operator who speaks in the agent's place; None while the agent does
        microphone_by: name of the operator whose microphone is on
        paused_by: who had paused the agent before
    """

    def __init__(self) -> None:
        self.by: str | None = None
        self.microphone_by: str | None = None
        self.paused_by: str | None = None
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._was_heard = False
        self._had_microphone = False

    def begin(self, by: str, paused_by: str | None = None) -> None:
        """An operator speaks from now on; `paused_by` had paused the agent before."""
        self.by, self.paused_by = by, paused_by
        self._lines.clear()
        self._was_heard = self._had_microphone = False

    def microphone_on(self, by: str) -> None:
        """The operator's own voice goes to the caller."""
        self.microphone_by = by
        self._had_microphone = True

    def operator_said(self, by: str, text: str) -> None:
        """These were an operator's words."""
        self._lines.append(f"{by}: {text}")
        self._was_heard = True

    def caller_said(self, text: str) -> None:
        """These were the caller's words, if it matters: the agent answers him otherwise."""
        if self.by is not None:
            self._lines.append(f"Caller: {text}")

    def end(self) -> str:
        """The agent goes on; returns what it is told."""
        by, self.by, self.microphone_by = self.by, None, None
        told = [f"{by}, a person who works with you, has spoken with the caller in your place."]
        if self._was_heard:
            told += ["This was said meanwhile:", *self._newest()]
            told.append(f"Go on from there. What {by} has answered needs no other answer.")
        elif self._had_microphone:
            told.append("The words are not known.")
        else:
            told.append("Nothing was said.")
        return "\n".join(told)

    def _newest(self) -> list[str]:
        newest: list[str] = []
        room = MAX_CHARACTERS
        for line in reversed(self._lines):
            if len(line) > room:
                break
            newest.append(line)
            room -= len(line)
        return newest[::-1] or [f"{self._lines[-1][:MAX_CHARACTERS]}…"]
