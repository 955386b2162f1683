"""A server on its pipes, written by hand for what the `mcp` package does not do.

It speaks MCP of 2025, without `server/discover`, unless it is modern. Arguments are the manners
that it has from the start: those of `manners`, and each may also be had by calling the tool of that
name.
"""

import json
import os
import sys
import time
from typing import Any

manners = {
    "deaf", "dying", "endless", "fickle", "foreign", "modern", "mute", "noisy", "odd", "restless",
    "talkative",
}  # fmt: skip
MODERN = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
have = set(sys.argv[1:])
tools = ["echo", "error", "odd_result", "add", "pid", *sorted(manners)]


def send(message: dict[str, Any]) -> None:
    """Write one message."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def describe(name: str) -> dict[str, Any]:
    """A tool as it is listed."""
    return {"name": name, "inputSchema": {"type": "object"}}


def page(cursor: str | None) -> dict[str, Any]:
    """Two tools at a time; an endless list has as many as anybody wants."""
    start = int(cursor or 0)
    if "endless" in have:
        names = [f"tool{number}" for number in range(start, start + 100)]
        return {"tools": [describe(name) for name in names], "nextCursor": str(start + 100)}
    more = {"nextCursor": str(start + 2)} if start + 2 < len(tools) else {}
    return {"tools": [describe(name) for name in tools[start : start + 2]], **more}


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The answer to a call: a result or an error."""
    if name in manners:
        have.add(name)
        begin(name)
    if name == "error":
        tools.extend(arguments.get("names", []))
        return {"error": {"code": arguments["code"], "message": "No."}}
    if name == "odd_result":
        return {"result": {"content": 7}}
    if name == "add":
        tools.extend(arguments["names"])
        for _ in arguments["names"]:
            send({"method": "notifications/tools/list_changed"})
    text = str(os.getpid()) if name == "pid" else json.dumps(arguments)
    return {"result": {"content": [{"type": "text", "text": text}], "resultType": "complete"}}


def begin(manner: str) -> None:
    """Do what is done at once."""
    if manner == "dying":
        sys.stderr.write("I am dying.\n")
        sys.exit(3)
    if manner == "noisy":
        sys.stdout.write("Welcome!\n")
        sys.stdout.flush()
    if manner == "deaf":
        time.sleep(600)


def listen(request: str) -> None:
    """Agree to tell of changes, and give it up again."""
    stamp = {"io.modelcontextprotocol/subscriptionId": request}
    agreed = {"_meta": stamp, "notifications": {"toolsListChanged": True}}
    send({"method": "notifications/subscriptions/acknowledged", "params": agreed})
    send({"method": "notifications/cancelled", "params": {"requestId": request}})
    sys.stderr.write("listened\n")


def answer(message: dict[str, Any]) -> dict[str, Any] | None:
    """The answer to any request."""
    parameters = message.get("params", {})
    match message["method"]:
        case "initialize":
            version = "1066-10-14" if "foreign" in have else parameters["protocolVersion"]
            return {
                "result": {
                    "protocolVersion": version,
                    "capabilities": {"tools": {"listChanged": True}},
                    "serverInfo": {"name": "plain", "version": "1"},
                }
            }
        case "server/discover" if "modern" in have:
            return {
                "result": {
                    "supportedVersions": ["2026-07-28"],
                    "capabilities": {"tools": {"listChanged": True}},
                    **MODERN,
                }
            }
        case "subscriptions/listen" if "fickle" in have:
            listen(message["id"])
            return None
        case "tools/list":
            if "restless" in have:
                send({"method": "notifications/tools/list_changed"})
            listed = {"tools": 7} if "odd" in have else page(parameters.get("cursor"))
            return {"result": {**listed, **MODERN}}
        case "tools/call":
            return call(parameters["name"], parameters.get("arguments", {}))
        case "ping" if "talkative" in have:
            return {"result": {}}
    return {"error": {"code": -32601, "message": "Method not found"}}


for manner in have:
    begin(manner)
for line in sys.stdin:
    received = json.loads(line)
    if "id" in received:
        reply = answer(received)
        if reply is not None and "mute" not in have:
            send({"id": received["id"], **reply})
