"""What can be asked of one live call: a path, a body and a command for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from evibridge.agent import commands
from evibridge.agent.commands import OperatorCommand
from evibridge.operators import bodies
from evibridge.operators.control_plane_body import PUBLISH_EVENTS, control_plane_message
from evibridge.tools_registry.progress import Verdict

Read = Callable[[Any, Mapping[str, str]], OperatorCommand]
"""From a parsed body and the names in the path to a command; raises pydantic's ValidationError."""

AnyBody = TypeVar("AnyBody", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class CallCommand:
    """One of the things that can be asked.

    Attributes:
        name: what answers and logs call it
        summary: what it does, a sentence
        models: what its body may be; the first of them for one that needs none
        read: gives the command
        path: where it is sent, after the call's own path
    """

    name: str
    summary: str
    models: tuple[type[BaseModel], ...]
    read: Read
    path: str


def _reading(
    model: type[AnyBody], command: Callable[[AnyBody, Mapping[str, str]], OperatorCommand]
) -> Read:
    return lambda document, names: command(model.model_validate(document), names)


def _worded(
    name: str, summary: str, model: type[AnyBody], command: Callable[[AnyBody], OperatorCommand]
) -> CallCommand:
    """A command that its body describes."""
    read = _reading(model, lambda body, _: command(body))
    return CallCommand(name, summary, (model,), read, f"/{name}")


def _plain(name: str, summary: str, command: OperatorCommand) -> CallCommand:
    """A command that is always the same."""
    return _worded(name, summary, bodies.NothingBody, lambda _: command)


def _decision(
    name: str, summary: str, model: type[AnyBody], verdict: Callable[[AnyBody], Verdict]
) -> CallCommand:
    """An answer to a tool that waits."""
    read = _reading(
        model, lambda body, names: commands.Decide(names["tool_call_id"], verdict(body))
    )
    return CallCommand(name, summary, (model,), read, f"/tools/{{tool_call_id}}/{name}")


CALL_COMMANDS: tuple[CallCommand, ...] = (
    _worded(
        "say",
        "Have the agent speak a text word for word.",
        bodies.SayBody,
        lambda body: commands.Say(body.text),
    ),
    _worded(
        "inject",
        "Have the agent answer a text as if the caller had said it.",
        bodies.InjectBody,
        lambda body: commands.Inject(body.text),
    ),
    _worded(
        "context",
        "Tell the model something for all its later answers, or take it back.",
        bodies.ContextBody,
        lambda body: commands.SetContext(body.text),
    ),
    _worded(
        "whisper",
        "Tell the model something for the rest of the call, beside what it was told before.",
        bodies.WhisperBody,
        lambda body: commands.Whisper(body.text),
    ),
    _worded(
        "variables",
        "Set values of the prompt's placeholders.",
        bodies.VariablesBody,
        lambda body: commands.SetVariables(body.variables),
    ),
    _plain("pause", "Silence the agent; the caller is still transcribed.", commands.Pause()),
    _plain("resume", "Let the agent speak again.", commands.Resume()),
    _plain("hold", "Keep agent and caller from hearing each other.", commands.Hold()),
    _plain("release", "Let agent and caller hear each other again.", commands.Release()),
    _worded(
        "takeover",
        "Speak with the caller in the agent's place, which is silent until it is handed back.",
        bodies.TakeOverBody,
        lambda body: commands.TakeOver(body.renew),
    ),
    _plain(
        "handback",
        "Let the agent go on; it is told what was said in the meantime.",
        commands.HandBack(),
    ),
    _plain(
        "hangup",
        "End the call once the last word was heard; asked again, at once.",
        commands.HangUp(),
    ),
    _worded(
        "transfer",
        "Put the caller through to somebody else.",
        bodies.TransferBody,
        lambda body: commands.Transfer(body.to, body.say_first),
    ),
    CallCommand(
        "send",
        "Send one message of EVI's control plane: a ControlPlanePublishEvent.",
        tuple(PUBLISH_EVENTS.values()),
        lambda document, _: commands.Send(control_plane_message(document)),
        "/send",
    ),
    _decision(
        "approve",
        "Let a tool that waits run.",
        bodies.NothingBody,
        lambda _: Verdict(is_approved=True),
    ),
    _decision(
        "decline",
        "Keep a tool that waits from running.",
        bodies.DeclineBody,
        lambda body: Verdict(is_approved=False, reason=body.reason or ""),
    ),
)
