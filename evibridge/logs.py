"""Structured logging: one event a line, for people on a terminal or as JSON for machines.

Message texts are fixed names such as `call_ended`; everything else is a named attribute, so that
personal data can be filtered by name.
"""

import logging
import sys
from typing import Literal

import structlog


def configure_logs(level: str, style: Literal["console", "json"]) -> None:
    """Send all logs of the process to standard error."""
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=22,
            # The other formatters print local variables: secrets and personal data among them.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    stamp = "iso" if style == "json" else "%H:%M:%S"
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt=stamp, utc=style == "json"),
    ]
    if style == "json":
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    # Libraries write a line per connection at INFO, with addresses in it.
    logging.basicConfig(level=max(_number(level), logging.WARNING), handlers=[handler], force=True)


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
