"""Fixtures for pytest: `pytest_plugins = ["evibridge.testing.fixtures"]` in a `conftest.py`.

They are plain fixtures, so that any plugin may run the tests that use them.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from evibridge.testing import CallByText, CallByVoice, SpeechModels


@pytest.fixture
def text_call() -> "CallByText":
    """Gives `call_by_text`."""
    from evibridge.testing import call_by_text

    return call_by_text


@pytest.fixture(scope="session")
def _speech_models() -> "Iterator[SpeechModels]":
    from evibridge.testing import SpeechModels

    models = SpeechModels.load()
    yield models
    models.close()


@pytest.fixture
def voice_call(_speech_models: "SpeechModels") -> "CallByVoice":
    """Gives `call_by_voice`, whose models stay loaded until the last test."""
    from evibridge.testing import call_by_voice

    return partial(call_by_voice, models=_speech_models)
