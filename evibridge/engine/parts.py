"""What an engine is made of."""

from dataclasses import dataclass, field

from evibridge.engine.access import Access
from evibridge.engine.chat.groups import ChatGroups
from evibridge.engine.chat.timeouts import ChatLimits
from evibridge.engine.hearing.ears import Ears
from evibridge.engine.hearing.turns import TurnTaking
from evibridge.engine.metrics import EngineMetrics
from evibridge.engine.minds.mind import Mind
from evibridge.engine.voices.phrases import Phrases
from evibridge.engine.voices.voice import Voice
from evibridge.engine.web_search import WebSearch
from evibridge.engine.webhooks.delivery import Deliveries


@dataclass(frozen=True, slots=True)
class EngineParts:
    """The parts of an engine; its chats share them, and their owner closes them.

    Attributes:
        access: who may open a chat
        max_chats: how many may be open at once; further ones are refused
        system_prompt: for chats whose client sets none
        filler_after_s: how long the mind may take to begin before a filler is spoken, None for ever
        web_search: what stands behind EVI's tool of that name; None when there is none
        webhooks: who is told of chats, None when nobody is; the engine closes them after its chats
    """

    ears: Ears
    mind: Mind
    voice: Voice
    turn_taking: TurnTaking = field(default_factory=TurnTaking)
    limits: ChatLimits = field(default_factory=ChatLimits)
    phrases: Phrases = field(default_factory=Phrases)
    system_prompt: str | None = None
    filler_after_s: float | None = 1.5
    web_search: WebSearch | None = None
    webhooks: Deliveries | None = None
    groups: ChatGroups = field(default_factory=ChatGroups)
    metrics: EngineMetrics = field(default_factory=EngineMetrics)
    access: Access = field(default_factory=Access)
    max_chats: int = 100
