"""What a new mirror is told of the chat so far."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.chat import messages
from evibridge.engine.chat.mirrors import Replay

METADATA = messages.chat_metadata("c", "g", "r")
END = messages.assistant_end()
AUDIO = messages.audio_output("1f", 0, b"RIFF")


def interim(text: str) -> messages.ServerMessage:
    return messages.user_message(text, 0, 100, interim=True)


def final(text: str) -> messages.ServerMessage:
    return messages.user_message(text, 0, 100)


def replayed(*told: messages.ServerMessage, max_bytes: int = 10_000) -> list[bytes]:
    replay = Replay(max_bytes)
    for message in told:
        replay.add(message, messages.encode(message, None))
    return replay.texts()


def encoded(*told: messages.ServerMessage) -> list[bytes]:
    return [messages.encode(message, None) for message in told]


def test_nothing_was_told_at_first() -> None:
    assert replayed() == []


def test_everything_is_told_again_but_audio() -> None:
    assert replayed(METADATA, final("Hello."), AUDIO, END) == encoded(
        METADATA, final("Hello."), END
    )


def test_of_provisional_transcripts_the_last_is_told_until_the_final_one_has_come() -> None:
    told = [METADATA, interim("Hel"), interim("Hello")]

    assert replayed(*told) == encoded(METADATA, interim("Hello"))
    assert replayed(*told, final("Hello.")) == encoded(METADATA, final("Hello."))


def test_one_message_that_is_too_long_is_forgotten() -> None:
    assert replayed(METADATA, final("x" * 100), max_bytes=100) == encoded(METADATA)


KINDS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just(END), st.just(AUDIO), st.text(max_size=99).map(final), st.text().map(interim)
)


@given(st.lists(KINDS), st.integers(0, 2000))
def test_the_first_message_and_the_newest_are_kept_within_the_bound(
    told: list[dict[str, Any]], max_bytes: int
) -> None:
    first, *rest = replayed(METADATA, *told, max_bytes=max_bytes)

    kept = [message for message in told if message is not AUDIO]
    finals = encoded(*(message for message in kept if not message.get("interim")))
    newest = rest[:-1] if rest and rest[-1] not in finals else rest
    assert [first] == encoded(METADATA)
    assert sum(map(len, newest)) <= max_bytes
    assert newest == finals[len(finals) - len(newest) :]
    assert newest == finals or sum(map(len, finals[-len(newest) - 1 :])) > max_bytes
