"""The kit with which an author tests his tools, alone and in calls.

    call = fake_call(caller="+14155550123")        # one function by itself
    await reserve_book(call.context, "Emma", "Ada")

    async with call_by_text(agent) as call:        # a whole call, without sound or models
        assert "Friday" in await call.says("Where is order 1042?")

    report = await call_by_voice(agent, says=["Where is order 1042?"])    # by real sound

pytest gets the last two as the fixtures `text_call` and `voice_call`, by
`pytest_plugins = ["evibridge.testing.fixtures"]`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from evibridge.errors import EngineSetupError
from evibridge.testing.fakes import FakeCall, fake_call

if TYPE_CHECKING:
    from evibridge.testing.by_text import CallByText, TextCall, call_by_text
    from evibridge.testing.by_voice import (
        CallByVoice,
        SpeechModels,
        VoiceReport,
        call_by_voice,
    )
    from evibridge.testing.record import ToolUse

__all__ = [
    "CallByText",
    "CallByVoice",
    "FakeCall",
    "SpeechModels",
    "TextCall",
    "ToolUse",
    "VoiceReport",
    "call_by_text",
    "call_by_voice",
    "fake_call",
]

_WITH_ENGINE = {
    "CallByText": "by_text",
    "CallByVoice": "by_voice",
    "SpeechModels": "by_voice",
    "TextCall": "by_text",
    "ToolUse": "record",
    "VoiceReport": "by_voice",
    "call_by_text": "by_text",
    "call_by_voice": "by_voice",
}


def __getattr__(name: str) -> Any:
    """Import the service and the engine only when they are asked for: a fake call needs neither."""
    if name not in _WITH_ENGINE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_WITH_ENGINE[name]}")
    except ImportError as error:
        raise EngineSetupError(
            f"{name} needs a package of the engine that is not installed ({error.name}): install "
            "evibridge[engine]."
        ) from error
    return getattr(module, name)
