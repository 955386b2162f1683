"""What is said and heard in a call by WebRTC, waited for."""

import base64
import struct

from structlog.testing import capture_logs

from evibridge.audio.wav import wav_file
from tests.bridges.browser.webrtc_page import WebRtcPage, WebRtcScene, voice
from tests.parties import TinyChat


async def caller_audio(chat: TinyChat, size: int, *, may_be_silent: bool = False) -> bytes:
    """So much of what the server hears, from the next sound on."""
    heard = b""
    while len(heard) < size:
        piece = base64.b64decode((await chat.expect("audio_input"))["data"])
        if heard or may_be_silent or any(piece):
            heard += piece
    return heard


async def send_rtp(page: WebRtcPage, ssrc: int, sequence: int, *packets: bytes) -> None:
    """The page sends packets of 20 ms which its own peer knows nothing of."""
    answer = page.answer["sdp"].splitlines()
    (media,) = [line for line in answer if line.startswith("m=audio")]
    dtls = page.channel.transport.transport
    for number, packet in enumerate(packets):
        head = (0x80, int(media.split()[-1]), sequence + number, number * 960, ssrc)
        await dtls._send_rtp(struct.pack("!BBHLL", *head) + packet)
    page.send(type="ping")
    await page.expect("pong")


async def say(chat: TinyChat, ms: int, utterance_id: str = "u1", *, end: bool = True) -> None:
    """The agent says one sentence."""
    await chat.send(
        type="assistant_message",
        id=utterance_id,
        from_text=False,
        is_quick_response=False,
        models={},
        message={"role": "assistant", "content": "Hello there."},
    )
    await say_wav(chat, wav_file(voice(ms, 24_000), 24_000), utterance_id)
    if end:
        await chat.send(type="assistant_end")


async def say_wav(chat: TinyChat, wav: bytes, utterance_id: str = "u1") -> None:
    """The agent sends so much sound."""
    data = base64.b64encode(wav).decode()
    await chat.send(type="audio_output", id=utterance_id, index=0, data=data)


async def ended(scene: WebRtcScene, page: WebRtcPage, **counted: int) -> None:
    """End the call, and compare what its leg has counted."""
    with capture_logs() as lines:
        page.send(type="end")
        await page.closed()
        await scene.no_legs()
    (line,) = [line for line in lines if line["event"] == "webrtc_leg_ended"]
    assert {name: line[name] for name in counted} == counted
