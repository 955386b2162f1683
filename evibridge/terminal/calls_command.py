"""`evibridge calls`: what operators see of a service's calls, and what they ask of them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from evibridge.errors import CommandRefused, SettingsError
from evibridge.operators.listing import MAX_LIMIT
from evibridge.records.rendering import readable
from evibridge.terminal.call_ids import full_id, path_of
from evibridge.terminal.calls_in_words import STATES
from evibridge.terminal.calls_pages import page, table
from evibridge.terminal.operator_answers import CALLS, DONE, SNAPSHOT, SUMMARY, checked
from evibridge.terminal.operator_client import OperatorClient
from evibridge.terminal_text import harmless, json_text

State = Literal["live", "ended", "all"]
Show = Callable[[str], None]

_NONE: Mapping[State, str] = {
    "live": "No call goes on: see --state ended for those that are over.",
    "ended": "No call has ended yet.",
    "all": "There has been no call yet.",
}


# Reading


async def list_calls(
    client: OperatorClient,
    show: Show,
    *,
    state: State = "live",
    search: str = "",
    limit: int = 50,
    as_json: bool = False,
    width: int | None = None,
) -> None:
    """Print calls, newest first.

    Args:
        client: asks the service
        show: prints a text
        state: which calls
        search: words that they have to have
        limit: how many
        as_json: whether to print what the API says of them
        width: of the terminal, in columns; None if it is none
    """
    documents = await _listed(client, {"state": state, "q": search}, limit)
    if as_json:
        show(json_text(documents))
    elif documents:
        calls = checked(CALLS, {"calls": documents, "next": None})["calls"]
        show(table(calls, width, datetime.now(UTC)).rstrip("\n"))
    else:
        show(f"No call has these words: {harmless(search)}." if search else _NONE[state])


async def _listed(client: OperatorClient, query: Mapping[str, str], limit: int) -> list[Any]:
    documents: list[Any] = []
    before: str | None = ""
    while before is not None and len(documents) < limit:
        left = min(limit - len(documents), MAX_LIMIT)
        answer = await client.get("/v1/calls", **query, limit=left, before=before)
        before = checked(CALLS, answer)["next"]
        documents += answer["calls"]
    return documents


async def show_call(
    client: OperatorClient, show: Show, written: str, *, as_json: bool = False, width: int = 80
) -> None:
    """Print all that is known of a call: the record of one that has ended, if there is one.

    Args:
        client: asks the service
        show: prints a text
        written: the call's id, or its beginning
        as_json: whether to print what the API says of it
        width: of the terminal, in columns
    """
    path = path_of(await full_id(client, written, or_ended=True))
    document = await client.get(path)
    call = checked(SNAPSHOT, document)
    record = None if call["end_reason"] is None else await _record(client, path)
    if as_json:
        show(json_text(document if record is None else record))
    else:
        text = page(call, width) if record is None else readable(record, width)
        show(text.rstrip("\n"))


async def _record(client: OperatorClient, path: str) -> Any:
    try:
        return await client.get(f"{path}/record")
    except CommandRefused as refusal:
        if refusal.code == "record_not_found":
            return None
        raise


# Commands


async def ask(
    client: OperatorClient,
    show: Show,
    written: str,
    command: str,
    body: Mapping[str, Any],
    done: str,
) -> None:
    """Ask something of a live call.

    Args:
        client: asks the service
        show: prints a text
        written: the call's id, or its beginning
        command: path of it, below the call's own
        body: says what is wanted
        done: what is printed once it is done, without a full stop
    """
    path = path_of(await full_id(client, written))
    answer = checked(DONE, await client.post(f"{path}/{command}", body))
    via = "" if answer["via"] is None else f", via {answer['via'].replace('_', ' ')}"
    show(harmless(f"{done} (call {answer['call_id']}, by {answer['by']}{via})."))


async def dial(
    client: OperatorClient, show: Show, to: str, from_: str | None, parameters: Mapping[str, str]
) -> None:
    """Call somebody.

    Args:
        client: asks the service
        show: prints a text
        to: whom
        from_: the number that is shown; None for the service's own
        parameters: what the agent's tools are told of the call
    """
    body: dict[str, Any] = {"to": to}
    if from_ is not None:
        body["from"] = from_
    if parameters:
        body["parameters"] = parameters
    call = checked(SUMMARY, await client.post("/v1/calls", body))
    show(harmless(f"Calls {to}: call {call['call_id']} is {STATES[call['state']]}."))


async def attach(client: OperatorClient, show: Show, chat_id: str) -> None:
    """Take part in a chat that somebody else has opened."""
    call = checked(SUMMARY, await client.post("/v1/calls", {"chat_id": chat_id}))
    show(harmless(f"Takes part in the chat {chat_id}: call {call['call_id']}."))


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """Read values with names; a later one of the same name wins.

    Raises:
        SettingsError: one has no name
    """
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise SettingsError(f"{text!r} has no name and value: write NAME=VALUE.")
        values[name] = value
    return values
