"""The commands below `evibridge calls`; what they do is imported when one of them is run."""

import asyncio
import shutil
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

import typer

from evibridge.logs import configure_logs
from evibridge.settings import load_settings

if TYPE_CHECKING:
    from evibridge.terminal.operator_client import OperatorClient

calls = typer.Typer(
    help="Watch the calls of a running service, and act on them. Shows the service the token in "
    "EVIBRIDGE_OPERATOR_TOKEN.",
    no_args_is_help=True,
)

Id = Annotated[
    str, typer.Argument(metavar="ID", help="The call; four characters of its id may be enough.")
]
Text = Annotated[str, typer.Argument(metavar="TEXT")]
Url = Annotated[str, typer.Option(help="Origin of the service.")]
Json = Annotated[bool, typer.Option("--json", help="Print what the API says, as JSON.")]
Number = Annotated[
    str, typer.Argument(metavar="NUMBER", help="In E.164, as +14155550100, or a sip: address.")
]
Values = Annotated[list[str], typer.Argument(metavar="NAME=VALUE...")]
ToolCall = Annotated[
    str, typer.Argument(metavar="TOOL_CALL_ID", help="As `show` and `watch` tell it.")
]

LOCAL = "http://127.0.0.1:8080"

Work = Callable[["OperatorClient"], Coroutine[Any, Any, None]]


@calls.command("list")
def list_calls(
    *,
    state: Annotated[
        Literal["live", "ended", "all"], typer.Option(help="Calls that go on, or are over.")
    ] = "live",
    search: Annotated[str, typer.Option(help="Words that were said, or of numbers or ids.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: Json = False,
    url: Url = LOCAL,
) -> None:
    """Print calls, newest first."""
    from evibridge.terminal.calls_command import list_calls as work

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    _run(
        url,
        lambda client: work(
            client,
            typer.echo,
            state=state,
            search=search,
            limit=limit,
            as_json=as_json,
            width=width,
        ),
    )


@calls.command()
def show(call_id: Id, *, as_json: Json = False, url: Url = LOCAL) -> None:
    """Print a call: what was said and done, and how it stands or ended."""
    from evibridge.terminal.calls_command import show_call

    width = shutil.get_terminal_size().columns
    _run(url, lambda client: show_call(client, typer.echo, call_id, as_json=as_json, width=width))


@calls.command()
def watch(
    call_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The call; all calls without it.")
    ] = None,
    url: Url = LOCAL,
) -> None:
    """Follow a call as it is spoken, until it ends, or all calls; Ctrl-C ends the command."""
    from evibridge.terminal.live_lines import live_lines
    from evibridge.terminal.watch_command import watch as work

    _run_until_interrupted(url, lambda client: work(client, live_lines(sys.stdout), call_id))


@calls.command()
def listen(
    call_id: Id,
    path: Annotated[Path, typer.Argument(metavar="OUT.wav", help="A file that does not exist.")],
    url: Url = LOCAL,
) -> None:
    """Write a call's sound into a WAV file, caller left, agent right, until Ctrl-C or its end."""
    from evibridge.terminal.listen_command import listen as work

    _run_until_interrupted(url, lambda client: work(client, typer.echo, call_id, path))


@calls.command()
def say(call_id: Id, text: Text, url: Url = LOCAL) -> None:
    """Have the agent speak a text word for word."""
    _ask(url, call_id, "say", {"text": text}, "The agent says it")


@calls.command()
def inject(call_id: Id, text: Text, url: Url = LOCAL) -> None:
    """Have the agent answer a text as if the caller had said it."""
    _ask(url, call_id, "inject", {"text": text}, "The agent answers it")


@calls.command()
def context(
    call_id: Id,
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]")] = None,
    url: Url = LOCAL,
) -> None:
    """Tell the model something for all its later answers; without TEXT take it back."""
    done = "The model knows it from now on" if text is not None else "The context is taken back"
    _ask(url, call_id, "context", {"text": text}, done)


@calls.command()
def whisper(call_id: Id, text: Text, url: Url = LOCAL) -> None:
    """Tell the model something for the rest of the call, beside what it was told before."""
    _ask(url, call_id, "whisper", {"text": text}, "The model knows it from now on")


@calls.command()
def variables(call_id: Id, values: Values, url: Url = LOCAL) -> None:
    """Set values of the prompt's placeholders, as texts."""
    from evibridge.terminal.calls_command import pairs

    named = pairs(values)
    _ask(url, call_id, "variables", {"variables": named}, f"Set {', '.join(named)}")


@calls.command()
def pause(call_id: Id, url: Url = LOCAL) -> None:
    """Silence the agent; the caller is still transcribed."""
    _ask(url, call_id, "pause", {}, "Paused")


@calls.command()
def resume(call_id: Id, url: Url = LOCAL) -> None:
    """Let the agent speak again."""
    _ask(url, call_id, "resume", {}, "Resumed")


@calls.command()
def hold(call_id: Id, url: Url = LOCAL) -> None:
    """Keep agent and caller from hearing each other."""
    _ask(url, call_id, "hold", {}, "On hold")


@calls.command()
def release(call_id: Id, url: Url = LOCAL) -> None:
    """Let agent and caller hear each other again."""
    _ask(url, call_id, "release", {}, "Released")


@calls.command()
def takeover(call_id: Id, url: Url = LOCAL) -> None:
    """Speak with the caller in the agent's place, who is paused; `say` is spoken all the same."""
    _ask(url, call_id, "takeover", {}, "Taken over")


@calls.command()
def handback(call_id: Id, url: Url = LOCAL) -> None:
    """Let the agent go on with a call that was taken over."""
    _ask(url, call_id, "handback", {}, "Handed back")


@calls.command()
def hangup(call_id: Id, url: Url = LOCAL) -> None:
    """End a call once the last word was heard; asked again, at once."""
    _ask(url, call_id, "hangup", {}, "Hangs up once the last word was heard")


@calls.command()
def transfer(
    call_id: Id,
    number: Number,
    say_first: Annotated[str | None, typer.Option(help="The agent's last words.")] = None,
    url: Url = LOCAL,
) -> None:
    """Put the caller through to somebody else."""
    body = {"to": number}
    if say_first is not None:
        body["say_first"] = say_first
    _ask(url, call_id, "transfer", body, f"Puts the caller through to {number}")


@calls.command()
def approve(call_id: Id, tool_call_id: ToolCall, url: Url = LOCAL) -> None:
    """Let a tool that waits run."""
    _ask(url, call_id, _decision(tool_call_id, "approve"), {}, "Approved")


@calls.command()
def decline(
    call_id: Id,
    tool_call_id: ToolCall,
    reason: Annotated[str | None, typer.Option(help="Is told the model.")] = None,
    url: Url = LOCAL,
) -> None:
    """Keep a tool that waits from running."""
    body = {} if reason is None else {"reason": reason}
    _ask(url, call_id, _decision(tool_call_id, "decline"), body, "Declined")


@calls.command()
def dial(
    number: Number,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="NUMBER", help="The number that is shown.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Is told the agent's tools; may be repeated."),
    ] = None,
    url: Url = LOCAL,
) -> None:
    """Call somebody."""
    from evibridge.terminal.calls_command import dial as work
    from evibridge.terminal.calls_command import pairs

    parameters = pairs(parameter or [])
    _run(url, lambda client: work(client, typer.echo, number, from_, parameters))


@calls.command()
def attach(chat_id: Annotated[str, typer.Argument(metavar="CHAT_ID")], url: Url = LOCAL) -> None:
    """Take part in a chat that somebody else has opened at the EVI server."""
    from evibridge.terminal.calls_command import attach as work

    _run(url, lambda client: work(client, typer.echo, chat_id))


def _decision(tool_call_id: str, decision: str) -> str:
    return f"tools/{quote(tool_call_id, safe='', errors='replace')}/{decision}"


def _ask(url: str, call_id: str, command: str, body: dict[str, Any], done: str) -> None:
    from evibridge.terminal.calls_command import ask

    _run(url, lambda client: ask(client, typer.echo, call_id, command, body, done))


def _run_until_interrupted(url: str, work: Work) -> None:
    """Run something that Ctrl-C ends as it should."""
    try:
        _run(url, work)
    except KeyboardInterrupt:
        raise typer.Exit from None


def _run(url: str, work: Work) -> None:
    from evibridge.terminal.operator_client import OperatorClient, token_to_show

    settings = load_settings()
    configure_logs("warning", settings.log_format)
    token = settings.operator_token
    shown = token_to_show(token.get_secret_value() if token else None)

    async def main() -> None:
        async with OperatorClient(url, shown, tell=partial(typer.echo, err=True)) as client:
            await work(client)

    asyncio.run(main())
