"""Whatever a client sends, in whatever order: it is answered or refused, never a fault."""

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge.audio.wav import wav_file
from tests.engine.chat_client import AUDIO, PATIENCE_S
from tests.engine.chat_parts import silence, tone
from tests.engine.stuck_socket import StuckSocket, opened
from tests.reference import evi_examples

CLIENT_TYPES = {
    "audio_input",
    "session_settings",
    "user_input",
    "assistant_input",
    "tool_response",
    "tool_error",
    "pause_assistant_message",
    "resume_assistant_message",
}
EXAMPLES = [message for _, message in evi_examples() if message.get("type") in CLIENT_TYPES]
VALUES = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
AUDIO_BYTES = [silence(900), tone(1_000), wav_file(tone(50), 8_000), b"RIFF", b"\0", b""]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    example = draw(st.sampled_from(EXAMPLES))
    member = draw(st.sampled_from(sorted(example)))
    return {**example, member: draw(VALUES)}


FRAMES = (
    st.sampled_from(AUDIO_BYTES)
    | (st.sampled_from([*EXAMPLES, {"type": "session_settings", "audio": AUDIO}]) | mutated()).map(
        json.dumps
    )
    | st.text(max_size=10)
)


async def converse(frames: list[bytes | str]) -> StuckSocket:
    socket = StuckSocket()
    chat = opened(socket)
    for frame in frames:
        if isinstance(frame, bytes):
            chat.on_binary(frame)
        else:
            chat.on_text(frame.encode())
        await asyncio.sleep(0)
    chat.on_close(1000, "")
    await asyncio.wait_for(chat.finished(), PATIENCE_S)
    return socket


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAMES, max_size=12))
def test_no_sequence_of_frames_is_a_fault_of_the_engine(frames: list[bytes | str]) -> None:
    socket = asyncio.run(converse(frames))

    assert "I0100" not in socket.error_codes
    assert socket.closed_with in (None, 1008)
