"""Structured logging: one event a line, for people on a terminal or as JSON for machines.

Message texts are fixed names such as `call_ended`; everything else is a named attribute, so that
personal data can be filtered by name.
"""

import io
import logging
import sys
from typing import Literal, TextIO

import structlog


def configure_logs(level: str, style: Literal["console", "json"]) -> None:
    """Send all logs of the process to standard error."""
    renderers = _for_machines() if style == "json" else _for_people()
    stamp = "iso" if style == "json" else "%H:%M:%S"
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt=stamp, utc=style == "json"),
    ]
    if style == "json":
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    # Libraries write a line per connection at INFO, with addresses in it.
    logging.basicConfig(level=max(_number(level), logging.WARNING), handlers=[handler], force=True)


def _for_machines() -> list[structlog.types.Processor]:
    return [structlog.processors.JSONRenderer()]


def _for_people() -> list[structlog.types.Processor]:
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), pad_event_to=22, exception_formatter=_traceback
    )
    return [_escape, console]


def _escape(
    _: structlog.types.WrappedLogger, __: str, attributes: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Leave nothing in texts that a terminal obeys, or that looks like another line.

    All that is no text is shown as its `repr`, which does the same.
    """
    return {
        name: _escaped(value) if isinstance(value, str) else value
        for name, value in attributes.items()
    }


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _code(each) for each in text)


def _code(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _traceback(out: TextIO, fault: structlog.types.ExcInfo) -> None:
    """Write a traceback, whose last line may quote others.

    The other formatters print local variables: secrets and personal data among them.
    """
    plain = io.StringIO()
    structlog.dev.plain_traceback(plain, fault)
    out.write("\n".join(map(_escaped, plain.getvalue().split("\n"))))


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
