"""What the owner of an engine decides, as plain data; docs/engine.md describes each key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from evibridge.engine.chat.timeouts import ChatLimits
from evibridge.engine.hearing.turns import TurnTaking
from evibridge.engine.voices.phrases import Phrases
from evibridge.engine.web_search import WebSearch
from evibridge.engine.webhooks.webhook import Webhook
from evibridge.errors import EngineSetupError

OPENAI_URL = "https://api.openai.com/v1"

TURN_TAKING = TurnTaking(min_interruption_ms=240)
"""EVI's own 800 ms let the agent talk on for most of a second over a caller; 240 ms are long enough
for a cough to be over."""

FILLER = Phrases().filler
FILLER_AFTER_S = 1.5
"""A caller takes a longer silence for a broken line."""


@dataclass(frozen=True, slots=True)
class Service:
    """The address of a model service, and what it wants to be shown.

    Attributes:
        url: what comes before `/chat/completions` and the like, or all of a custom model's address
    """

    url: str
    api_key: str | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """The address without its query, which may be secret."""
        return urlunsplit(urlsplit(self.url)._replace(query=""))


@dataclass(frozen=True, slots=True)
class OpenAIDefaults:
    """The service for every part of kind `openai` that does not say otherwise.

    Attributes:
        base_url: `OPENAI_BASE_URL`
        api_key: `OPENAI_API_KEY`
    """

    base_url: str = OPENAI_URL
    api_key: str | None = field(default=None, repr=False)

    def service(self, base_url: str | None = None, api_key: str | None = None) -> Service:
        """Fill in what a part does not say.

        Raises:
            EngineSetupError: OpenAI itself, and no key
        """
        service = Service(base_url or self.base_url, api_key or self.api_key)
        if service.api_key is None and urlsplit(service.url).hostname == "api.openai.com":
            raise EngineSetupError(
                "OPENAI_API_KEY is not set: set it to your key for api.openai.com, or "
                "OPENAI_BASE_URL to another service."
            )
        return service


@dataclass(frozen=True, slots=True)
class ScriptedMindConfig:
    """A mind that follows a script; without a file, some small talk."""

    script: Path | None = None

    @property
    def description(self) -> str:
        """What it is, for a person."""
        return f"the script {self.script}" if self.script else "small talk, without a script"


@dataclass(frozen=True, slots=True)
class OpenAIMindConfig:
    """A language model behind an OpenAI-compatible address.

    Attributes:
        temperature: None for the service's own default
        max_tokens: longest answer, None for the service's own default
        first_token_timeout_s: from the request to the first word
        filler: said when the first word takes longer than `filler_after_s`
    """

    service: Service
    model: str
    temperature: float | None = None
    max_tokens: int | None = None
    first_token_timeout_s: float = 10.0
    filler: str = FILLER
    filler_after_s: float = FILLER_AFTER_S

    @property
    def description(self) -> str:
        """What it is, for a person."""
        return f"{self.model} at {self.service.place}"


@dataclass(frozen=True, slots=True)
class CustomMindConfig:
    """EVI's custom language model: server-sent events over HTTP, or a WebSocket.

    Attributes:
        service: `https://` for events, `wss://` for a socket
    """

    service: Service
    first_token_timeout_s: float = 10.0
    filler: str = FILLER
    filler_after_s: float = FILLER_AFTER_S

    @property
    def is_socket(self) -> bool:
        """Whether the model is spoken to over a WebSocket."""
        return self.service.url.startswith(("ws:", "wss:"))

    @property
    def description(self) -> str:
        """What it is, for a person."""
        return f"the custom language model at {self.service.place}"


@dataclass(frozen=True, slots=True)
class WhisperEarsConfig:
    """Whisper on this machine; without a folder, the model that comes with the engine."""

    model_folder: Path | None = None
    workers: int = 1

    @property
    def description(self) -> str:
        """What it is, for a person."""
        model = self.model_folder or "tiny"
        return f"Whisper ({model}) on this machine"


@dataclass(frozen=True, slots=True)
class OpenAIEarsConfig:
    """Speech recognition behind an OpenAI-compatible address.

    Attributes:
        language: ISO 639-1, None to let the service find out
    """

    service: Service
    model: str
    language: str | None = None
    timeout_s: float = 10.0

    @property
    def description(self) -> str:
        """What it is, for a person."""
        return f"{self.model} at {self.service.place}"


@dataclass(frozen=True, slots=True)
class HibariVoiceConfig:
    """The voice that comes with the engine, on this machine."""

    workers: int = 1

    @property
    def description(self) -> str:
        """What it is, for a person."""
        return "hibari on this machine"


@dataclass(frozen=True, slots=True)
class OpenAIVoiceConfig:
    """Speech synthesis behind an OpenAI-compatible address.

    Attributes:
        voices: from the `voice_id` of a client to the service's name of a voice
        rate_hz: of the raw audio that the service sends
    """

    service: Service
    model: str
    voice: str
    voices: Mapping[str, str] = field(default_factory=dict)
    rate_hz: int = 24_000
    timeout_s: float = 10.0

    @property
    def description(self) -> str:
        """What it is, for a person."""
        return f"{self.model} ({self.voice}) at {self.service.place}"


MindConfig = ScriptedMindConfig | OpenAIMindConfig | CustomMindConfig
EarsConfig = WhisperEarsConfig | OpenAIEarsConfig
VoiceConfig = HibariVoiceConfig | OpenAIVoiceConfig


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """All of it; the defaults need no file, no account and no network.

    Attributes:
        limits: of each chat
        system_prompt: for chats whose client sets none
        web_search: what stands behind EVI's tool of that name
        webhooks: who is told when chats begin, call tools and end
        max_chats: chats at a time
        drain_s: how long chats may go on when the engine is asked to end
    """

    mind: MindConfig = ScriptedMindConfig()
    ears: EarsConfig = WhisperEarsConfig()
    voice: VoiceConfig = HibariVoiceConfig()
    turn_taking: TurnTaking = TURN_TAKING
    limits: ChatLimits = field(default_factory=ChatLimits)
    system_prompt: str | None = None
    web_search: WebSearch | None = None
    webhooks: tuple[Webhook, ...] = ()
    max_chats: int = 100
    drain_s: float = 30.0

    def descriptions(self) -> dict[str, str]:
        """Say what mind, ears and voice are, for a person and for the log."""
        return {
            "mind": self.mind.description,
            "ears": self.ears.description,
            "voice": self.voice.description,
        }
