from typing import Any

import pytest
from mcp_types import CallToolResult

from evibridge.errors import ToolError
from evibridge.tools_registry.mcp.results import text_of

TEXT = {"type": "text", "text": "On its way."}
IMAGE = {"type": "image", "data": "AAAA", "mimeType": "image/png"}
AUDIO = {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}
DOCUMENT = {"type": "resource", "resource": {"uri": "file:///a.txt", "text": "long"}}
LINK = {"type": "resource_link", "uri": "file:///a.txt", "name": "a.txt"}


def result(*content: dict[str, Any], **more: Any) -> CallToolResult:
    return CallToolResult.model_validate({"content": list(content), **more})


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (result(TEXT), "On its way."),
        (result(TEXT, TEXT), "On its way.\nOn its way."),
        (result(), "done"),
        (result(structuredContent={"eta": "today"}), '{"eta":"today"}'),
        (result(TEXT, structuredContent={"eta": "today"}), "On its way."),
        (result(structuredContent={"eta": float("nan")}), '{"eta":null}'),
        (result(IMAGE, AUDIO), "[an image]\n[a sound recording]"),
        (result(IMAGE, TEXT), "On its way.\n[an image]"),
        (result(DOCUMENT, LINK), "[a document]\n[a link]"),
        (result(IMAGE, structuredContent={"eta": 1}), '{"eta":1}\n[an image]'),
    ],
)
def test_results_become_text(answer: CallToolResult, text: str) -> None:
    assert text_of(answer) == text


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (result(TEXT, isError=True), "On its way."),
        (result(structuredContent={"a": 1}, isError=True), '{"a":1}'),
        (result(isError=True), "It failed, and the reason is not known."),
    ],
)
def test_a_failure_is_told_in_the_words_of_the_server(answer: CallToolResult, text: str) -> None:
    with pytest.raises(ToolError) as fault:
        text_of(answer)
    assert (str(fault.value), fault.value.code) == (text, "mcp_error")
