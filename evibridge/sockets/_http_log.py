"""What aiohttp logs of the servers that run here.

It writes a traceback for each request that cannot be parsed, which quotes the request's first line:
the query of a client has its keys, and strangers could fill the log.
"""

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

HTTP_LOG = logging.getLogger("aiohttp.server.evibridge")
"""Below aiohttp's own, so that whoever sets that one up sees what is left: faults of handlers."""


def _is_of_the_server(record: logging.LogRecord) -> bool:
    """Whether a record tells of more than what some client has sent."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, (HttpProcessingError, web.RequestPayloadError))


HTTP_LOG.addFilter(_is_of_the_server)
