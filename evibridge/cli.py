"""The commands: `evibridge run`, `engine`, `call`, `tools`, and `calls`."""

import asyncio
import gc
import shutil
import signal
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from evibridge.agent.definition import Agent
from evibridge.agent.loading import DEFAULT_FILE, load_agent
from evibridge.engine.config import EngineConfig, ScriptedMindConfig
from evibridge.errors import CommandRefused, EvibridgeError
from evibridge.logs import configure_logs
from evibridge.settings import Settings, load_settings
from evibridge.terminal.calls_cli import calls

if TYPE_CHECKING:
    from evibridge.engine.server import Engine
    from evibridge.service import Service

T = TypeVar("T")

app = typer.Typer(
    name="evibridge",
    help="Voice agents of plain Python functions, on the phone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
tools = typer.Typer(
    help="What the model is told of an agent's tools; try and check them without a phone call.",
    no_args_is_help=True,
)
app.add_typer(tools, name="tools")
app.add_typer(calls, name="calls")

DRAIN_S = 30.0
"""How long calls may go on after SIGTERM: as long as orchestrators commonly wait."""
APP = typer.Argument(metavar="APP", help="path/to/file.py[:name] or module:name, an Agent")
HOST = typer.Option(help="Address to listen on.")
PORT = typer.Option(min=0, max=65535, help="TCP port; 0 takes any free one.")


def main() -> None:
    """Run a command; what goes wrong is one sentence. Exit code 1 is a service's no, 2 a fault."""
    try:
        app()
    except EvibridgeError as error:
        print(f"evibridge: {error}", file=sys.stderr)  # noqa: T201 - a command speaks to a person
        sys.exit(1 if isinstance(error, CommandRefused) else 2)


@app.command()
def run(
    agent: Annotated[str, APP],
    host: Annotated[str | None, HOST] = None,
    port: Annotated[int | None, PORT] = None,
    evi_url: Annotated[
        str | None, typer.Option(help="Origin of an EVI server; without it the engine is embedded.")
    ] = None,
) -> None:
    """Serve an agent: phone calls in, conversations with an EVI server out."""
    settings = load_settings(host=host, port=port, evi_url=evi_url)
    configure_logs(settings.log_level, settings.log_format)
    _run(_serve(agent, settings))


@app.command()
def engine(
    host: Annotated[str, HOST] = "127.0.0.1",
    port: Annotated[int, PORT] = 8765,
    config: Annotated[
        Path | None, typer.Option(help="What the engine is made of, a YAML file.")
    ] = None,
    script: Annotated[
        Path | None, typer.Option(help="Dialogue of the scripted mind, a YAML file.")
    ] = None,
) -> None:
    """Serve the EVI protocol alone, for the bridge, for Hume's SDKs and applications."""
    settings = load_settings(engine_config=config)
    configure_logs(settings.log_level, settings.log_format)
    _run(_serve_engine(host, port, settings, script))


@app.command()
def call(
    recordings: Annotated[
        list[Path] | None, typer.Argument(metavar="[WAV]...", help="What the caller says.")
    ] = None,
    say: Annotated[
        list[str] | None, typer.Option(help="What the caller says, as text; may be repeated.")
    ] = None,
    url: Annotated[str, typer.Option(help="Origin of the service.")] = "http://127.0.0.1:8080",
    record: Annotated[
        Path | None, typer.Option(help="WAV file for both sides: caller left, agent right.")
    ] = None,
    interrupt_after: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS", help="Let each answer go on for so long, then cut in on it."
        ),
    ] = None,
) -> None:
    """Call a running service over Twilio's own protocol; exit code 0 if the agent was heard."""
    from evibridge.call_command import PhoneCall, interrupt_seconds, make_call

    settings = load_settings()
    configure_logs("warning", settings.log_format)
    token = settings.twilio_auth_token
    wanted = PhoneCall(
        url=url,
        recordings=recordings or [],
        texts=say or [],
        auth_token=token.get_secret_value() if token else None,
        record_to=record,
        interrupt_after_s=None if interrupt_after is None else interrupt_seconds(interrupt_after),
    )
    was_heard = _run(make_call(wanted, typer.echo))
    raise typer.Exit(0 if was_heard else 1)


@tools.command("list")
def list_tools(where: Annotated[str, APP] = DEFAULT_FILE) -> None:
    """Print what the model is told of the tools, as JSON."""
    from evibridge import tools_command

    configure_logs("warning", load_settings().log_format)
    _run(tools_command.list_tools(where))


@tools.command("call")
def call_tool(
    where: Annotated[str, APP],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The tool.")],
    arguments: Annotated[
        str, typer.Argument(metavar="ARGUMENTS", help="A JSON object, as a model writes it.")
    ] = "{}",
) -> None:
    """Run one tool by hand and print what the model would be told; exit code 0 if it answered."""
    from evibridge import tools_command

    settings = load_settings()
    configure_logs("warning", settings.log_format)
    # A tool may block the event loop, or ignore that it is cancelled; the system does not ask it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    has_answered = _run(
        tools_command.call_tool(where, name, arguments, timeout_s=settings.tool_seconds)
    )
    raise typer.Exit(0 if has_answered else 1)


@tools.command("check")
def check_tools(where: Annotated[str, APP] = DEFAULT_FILE) -> None:
    """Print every fault of an agent's tools and of its script; exit code 0 if there is none."""
    from evibridge import tools_command

    configure_logs("warning", load_settings().log_format)
    is_well = _run(tools_command.check_tools(where))
    raise typer.Exit(0 if is_well else 2)


async def _serve(where: str, settings: Settings) -> None:
    from evibridge.service import start_service

    stop, at_once = _stop_signals()
    agent = load_agent(where)
    service = await start_service(agent, settings)
    try:
        typer.echo(_banner(where, settings, service.origin, service.engine), err=True)
        for line in _unused_files(agent, settings, service.engine):
            typer.echo(f"  {line}", err=True)
        _spare_the_collector()
        await stop.wait()
        if not at_once.is_set():
            drain_s = DRAIN_S if settings.drain_seconds is None else settings.drain_seconds
            await _drain(service, drain_s, at_once, "calls")
    finally:
        await service.close()


async def _serve_engine(host: str, port: int, settings: Settings, script: Path | None) -> None:
    from evibridge.engine_service import engine_config, engine_keys, running_engine

    stop, at_once = _stop_signals()
    config = engine_config(settings, script=script)
    keys = engine_keys(settings)
    async with running_engine(config, host=host, port=port, keys=keys) as running:
        typer.echo(_engine_banner(running.origin, config.descriptions(), len(keys)), err=True)
        _spare_the_collector()
        await stop.wait()
        if not at_once.is_set():
            await _drain(running, config.drain_s, at_once, "chats")


async def _drain(
    running: "Engine | Service", timeout_s: float, at_once: asyncio.Event, what: str
) -> None:
    draining = asyncio.create_task(running.drain(timeout_s))
    await asyncio.sleep(0)  # without any it is over now
    if not draining.done():
        typer.echo(f"Running {what} may go on for {timeout_s:g} s (Ctrl-C ends them).", err=True)
    tasks = (draining, asyncio.create_task(at_once.wait()))
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _engine_banner(origin: str, descriptions: Mapping[str, str], keys: int) -> str:
    clients = f"whoever shows one of {keys} API keys (EVIBRIDGE_ENGINE_KEYS)"
    if not keys:
        clients = "programs of this machine only: EVIBRIDGE_ENGINE_KEYS is not set"
    lines = [f"  {part:<9}{what}" for part, what in {**descriptions, "clients": clients}.items()]
    return "\n".join((f"The engine listens on {origin} (Ctrl-C stops it).", *lines))


def _banner(where: str, settings: Settings, origin: str, engine: EngineConfig | None) -> str:
    server = settings.evi_url or "embedded engine (EVIBRIDGE_EVI_URL is not set)"
    parts = engine.descriptions() if engine is not None else {}
    called = settings.public_url or origin
    webhook = f"{called}/twilio/voice"
    if settings.twilio_auth_token is None:
        webhook += "  (programs of this machine only: TWILIO_AUTH_TOKEN is not set)"
    return "\n".join(
        (
            f"evibridge serves {where} (Ctrl-C stops it)",
            f"  EVI server     {server}",
            *(f"  {part:<15}{what}" for part, what in parts.items()),
            f"  phone webhook  {webhook}",
            f"  talk to it     {origin}/",
            f'  call it        {_own_name()} call --url {called} --say "Where is order 1042?"',
            f"  watch it       {origin}/console",
        )
    )


def _unused_files(agent: Agent, settings: Settings, engine: EngineConfig | None) -> list[str]:
    """Say which files of the owner have no effect, and why."""
    if engine is None:
        files = (agent.script, settings.engine_config)
        return [f"{file} is not used: the EVI server decides." for file in files if file]
    if agent.script is None or engine.mind == ScriptedMindConfig(Path(agent.script)):
        return []
    decides = settings.engine_config if settings.model is None else "EVIBRIDGE_MODEL"
    return [f"{agent.script} is not used: {decides} names the mind."]


def _own_name() -> str:
    """How to start this program from another terminal in the same folder."""
    if shutil.which("evibridge"):
        return "evibridge"
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return "python -m evibridge"
    try:
        return str(program.relative_to(Path.cwd()))
    except ValueError:
        return str(program)


def _spare_the_collector() -> None:
    """Keep what was loaded at the start out of every later garbage collection.

    A full collection stops all calls: measured with 200 calls, for 46 to 68 ms without this and for
    8 to 11 ms with it.
    """
    gc.collect()
    gc.freeze()


def _stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """From now on, Ctrl-C and SIGTERM set the first event.

    The second one means at once: it is set by Ctrl-C, and by any signal after the first.
    """
    stop, at_once = asyncio.Event(), asyncio.Event()

    def on_signal(number: int) -> None:
        if stop.is_set() or number == signal.SIGINT:
            at_once.set()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    return stop, at_once


def _run(main: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop where it exists: the same code on half the CPU."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)
