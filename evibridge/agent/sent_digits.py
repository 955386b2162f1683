"""Keys that the agent presses: tones on the caller's line, between two things that it says."""

from evibridge.dialling import MAX_KEYS


class DigitsToSend:
    """Rows of keys, played one after another. Time is an argument, in seconds."""

    def __init__(self) -> None:
        self._waiting = ""
        self._is_pressing = False
        self._sound_until_s = 0.0

    @property
    def wait(self) -> bool:
        """Whether there are keys to be pressed."""
        return bool(self._waiting) and not self._is_pressing

    @property
    def all_pressed(self) -> bool:
        """Whether there are none, and none that are about to be."""
        return not self._waiting and not self._is_pressing

    def sound(self, now_s: float) -> bool:
        """Whether the line carries tones: whoever answers to them is a machine that talks on."""
        return now_s < self._sound_until_s

    def add(self, keys: str) -> None:
        """These are to be pressed as well; beyond `MAX_KEYS` that wait, they are not."""
        self._waiting = f"{self._waiting}{keys}"[:MAX_KEYS]

    def take(self) -> str:
        """The keys that wait; they are being pressed now."""
        keys, self._waiting, self._is_pressing = self._waiting, "", True
        return keys

    def pressed(self, sound_until_s: float) -> None:
        """The tones were handed to the caller's side, where they last so long."""
        self._is_pressing = False
        self._sound_until_s = sound_until_s
