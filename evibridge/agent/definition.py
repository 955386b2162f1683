"""What its author says about an agent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evibridge.agent.manners import Manners
from evibridge.tools_registry.registry import Tools


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A voice agent: its instructions and the Python functions that it may call.

    Attributes:
        name: what callers in the browser see above the conversation
        about: a sentence for them of what it can be asked
        system_prompt: the model's instructions; `{{name}}` stands for a variable
        tools: the functions offered to the model
        variables: values for the placeholders of the prompt
        voice_id: voice of the server's library; the server's default without it
        script: dialogue for the embedded engine's scripted mind, a YAML file; an EVI server with a
            language model does not need it
        manners: how calls are held: interruptions, pressed keys, what is said when something fails
        disclosure: what the agent says before anything else in every call, word for word: that it
            is no human, that the call is recorded, whatever the law where it is heard asks for
    """

    system_prompt: str
    tools: Tools = field(default_factory=Tools)
    variables: Mapping[str, str] = field(default_factory=dict)
    voice_id: str | None = None
    script: Path | str | None = None
    manners: Manners = field(default_factory=Manners)
    disclosure: str | None = None
    name: str = "The agent"
    about: str | None = None

    def __post_init__(self) -> None:
        if self.disclosure is not None and not self.disclosure.strip():
            raise ValueError("The disclosure of an agent is blank: leave it out, or say something.")
