"""`evibridge calls listen`: the sound of a call, into a WAV file."""

import json
from collections.abc import Callable
from pathlib import Path

import aiohttp

from evibridge.errors import BadMessage, LinkUnreachable, SettingsError
from evibridge.records.wav_on_disk import CHANNELS, WavOnDisk
from evibridge.terminal.call_ids import full_id, path_of
from evibridge.terminal.operator_answers import OTHER_VERSION
from evibridge.terminal.operator_client import OVER, OperatorClient
from evibridge.terminal_text import harmless


async def listen(
    client: OperatorClient, show: Callable[[str], None], written: str, path: Path
) -> None:
    """Write what caller (left) and agent (right) say from now on, until the call is over.

    Whoever cancels it gets a file of what was said until then.

    Args:
        client: asks the service
        show: prints a text
        written: the call's id, or its beginning
        path: of the file, which must not exist, in a folder that does

    Raises:
        CommandRefused: there is no such call, or its sound is elsewhere
        LinkUnreachable: the service is not there, or is lost
        SettingsError: the file cannot be written
        BadMessage: the service tells something else than it should
    """
    _check_place(path)
    call_id = await full_id(client, written)
    async with client.stream(f"{path_of(call_id)}/audio") as socket:
        hello = await socket.receive()
        if hello.type is not aiohttp.WSMsgType.TEXT:
            raise LinkUnreachable("The connection was lost before anything was heard.")
        try:
            wav = WavOnDisk(path, _rate_hz(hello.data))
            try:
                await _keep(socket, wav)
            finally:
                wav.close()
                show(harmless(f"{wav.lasts_s:.1f} s of call {call_id} are in {path}."))
        except OSError as error:
            raise _not_written(path, error) from error
        if socket.close_code != OVER:
            raise LinkUnreachable("The connection was lost before the call was over.")


def _check_place(path: Path) -> None:
    try:
        if path.exists():
            raise SettingsError(f"{path} exists: name another file.")
        if not path.parent.is_dir():
            raise SettingsError(f"{path.parent} is no folder: make it, or name a file elsewhere.")
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> SettingsError:
    return SettingsError(f"{path} cannot be written ({error.strerror}).")


async def _keep(socket: aiohttp.ClientWebSocketResponse[bool], wav: WavOnDisk) -> None:
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY:
            return
        wav.append(message.data)


def _rate_hz(text: str) -> int:
    """Of each channel, as the first message tells it."""
    try:
        hello = json.loads(text)
        is_known = (hello["channels"], hello["encoding"]) == (CHANNELS, "linear16")
        rate_hz = int(hello["rate_hz"])
    except (KeyError, TypeError, ValueError):
        is_known, rate_hz = False, 0
    if not (is_known and rate_hz > 0):
        raise BadMessage(OTHER_VERSION)
    return rate_hz
