"""What a reader of events asks for in the query of its address."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from evibridge.sockets import Refusal

MAX_PARAMETERS = 16
MAX_DIGITS = 18
"""Of a number that a 64-bit integer holds."""
UNREADABLE = f"The query cannot be read: write at most {MAX_PARAMETERS} parameters."
NO_NUMBER = "since is the seq of an event: write a whole number."
FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader is told of.

    Attributes:
        since: number of the last event that it knows, None for a snapshot first
        interim: whether it takes transcripts that later ones replace
        levels: whether it takes how loud caller and agent are
        summaries: whether it takes the summaries of calls that change
        events: whether it takes events at all; readers of one call always do
    """

    since: int | None = None
    interim: bool = False
    levels: bool = False
    summaries: bool = False
    events: bool = True


def read_query(path: str, *, interim: bool) -> Wanted | Refusal:
    """Read the query of an address; parameters that are not known are passed over.

    Args:
        path: of the request, with the query
        interim: what is wanted if the query does not say

    Returns:
        a refusal with 422 if a value cannot be read
    """
    try:
        query = parse_qsl(
            urlsplit(path).query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS
        )
    except ValueError:
        return Refusal(422, UNREADABLE)
    values = dict(query)
    flags = {"interim": interim, "levels": False, "summaries": False, "events": True}
    for name in flags.keys() & values.keys():
        flag = FLAGS.get(values[name])
        if flag is None:
            return Refusal(422, f"{name} is a flag: write true or false.")
        flags[name] = flag
    since = values.get("since")
    if since is None:
        return Wanted(None, **flags)
    if not (since.isascii() and since.isdigit() and len(since) <= MAX_DIGITS):
        return Refusal(422, NO_NUMBER)
    return Wanted(int(since), **flags)
