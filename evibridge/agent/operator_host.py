"""What an operator's voice needs of the call that it goes to."""

from typing import Protocol


class OperatorHost(Protocol):
    """The call."""

    @property
    def call_id(self) -> str:
        """Of the call."""

    def play_for_operator(self, wav: bytes) -> None:
        """The caller hears the agent's voice with an operator's words."""

    def play_microphone(self, pcm16: bytes) -> None:
        """The caller hears an operator's own voice: int16 mono PCM at `operator_line.RATE_HZ`."""

    def microphone_switched_off(self) -> None:
        """Nothing more comes of it."""

    def operator_transcribed(self, text: str, by: str, *, interim: bool) -> None:
        """These were an operator's words, for now or for good."""

    def side_chat_opened(self, chat_id: str) -> None:
        """A chat of the call that is not for its conversation."""
