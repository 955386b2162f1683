"""What an MCP server answers to a tool call, as text for the model."""

from mcp_types import CallToolResult
from pydantic_core import to_json

from evibridge.errors import ToolError

MCP_ERROR = "mcp_error"
"""Code of the `ToolError` for a call that its server refused, or that failed there."""
UNKNOWN_REASON = "It failed, and the reason is not known."
_NOTES = {
    "image": "[an image]",
    "audio": "[a sound recording]",
    "resource": "[a document]",
    "resource_link": "[a link]",
}
"""What the agent can say of what it cannot read out."""


def text_of(result: CallToolResult) -> str:
    """Write a result as text: its texts on lines of their own, else its structured content.

    Raises:
        ToolError: the server says that the call failed; the text is the server's
    """
    texts = [block.text for block in result.content if block.type == "text"]
    notes = [_NOTES[block.type] for block in result.content if block.type in _NOTES]
    if not texts and result.structured_content is not None:
        texts = [to_json(result.structured_content, inf_nan_mode="null").decode()]
    text = "\n".join(texts + notes)
    if result.is_error:
        raise ToolError(text or UNKNOWN_REASON, code=MCP_ERROR)
    return text or "done"
