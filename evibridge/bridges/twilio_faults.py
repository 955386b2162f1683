"""What went wrong with a request to Twilio's REST API."""

from dataclasses import dataclass, field
from enum import Enum, auto

import aiohttp
from twilio.base.exceptions import TwilioRestException, TwilioServiceException

MAX_WORDS = 200
"""Of Twilio's own sentence, which is as long as the number that it names."""

ERRORS_OF_CALLS = range(21000, 22000)
"""Twilio's codes for what was asked for; those from 20000 on are of the account."""


class FaultKind(Enum):
    """What a fault means for whoever asked."""

    CALL_IS_OVER = auto()
    """There is no such call any more."""
    CREDENTIALS = auto()
    REFUSED = auto()
    """Twilio says why."""
    FOREIGN = auto()
    """The answer is not Twilio's."""
    TOO_MANY = auto()
    """Of requests; nothing was done."""
    UNREACHABLE = auto()
    """No connection; nothing was done."""
    UNCLEAR = auto()
    """No usable answer: what was asked for may have been done."""
    CLOSED = auto()
    """The service ends, and asks nothing any more."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request was in vain.

    Attributes:
        what: goes on with a sentence that begins with a name of the API
        code: Twilio's, 0 where it gave none
        words: Twilio's own sentence; it may name numbers, which are personal data
    """

    kind: FaultKind
    what: str
    code: int = 0
    words: str = field(default="", repr=False)

    @property
    def is_passing(self) -> bool:
        """Whether a later request may fare better."""
        return self.kind in (FaultKind.TOO_MANY, FaultKind.UNREACHABLE, FaultKind.UNCLEAR)


def fault_of(error: Exception, timeout_s: float) -> Fault:
    """What an exception of a request means.

    Args:
        error: of the package, or of what it sends its requests through
        timeout_s: how long the request was allowed to take
    """
    match error:
        case TwilioRestException():
            return _answered(error.status, error.code, error.msg.partition(": ")[2])
        case TwilioServiceException():
            return _answered(error.status, error.code, error.detail or error.title)
        case TimeoutError():
            return Fault(FaultKind.UNCLEAR, f"did not answer within {timeout_s:g} s")
        case aiohttp.ClientConnectorError():
            return Fault(FaultKind.UNREACHABLE, f"cannot be reached ({error})")
        case aiohttp.ClientError() | OSError():
            return Fault(FaultKind.UNCLEAR, f"broke the connection off ({error})")
        case _:  # the package reads whatever the answer holds
            return Fault(
                FaultKind.FOREIGN,
                f"answers in a form that is not Twilio's ({type(error).__name__}): "
                "check EVIBRIDGE_TWILIO_API_URL",
            )


def _answered(given_status: object, given_code: object, words: object) -> Fault:
    """What an error of Twilio's means; the package fills in the status where no code came."""
    status = given_status if isinstance(given_status, int) else 0
    code = given_code if isinstance(given_code, int) else status
    http = f"HTTP {status}"
    match status, code:
        case (404, 20404) | (400, 21220):
            return Fault(FaultKind.CALL_IS_OVER, f"knows no such call ({http})", code)
        case (401, _):
            return _of_credentials(http, code)
        case (403, _) if code not in ERRORS_OF_CALLS:
            return _of_credentials(http, code)
        case (429, _):
            return Fault(FaultKind.TOO_MANY, f"answers with {http}", code)
        case _ if status >= 500:
            return Fault(FaultKind.UNCLEAR, f"answers with {http}", code)
        case _ if status == code:
            what = f"answers with {http} and no error of Twilio's: check EVIBRIDGE_TWILIO_API_URL"
            return Fault(FaultKind.FOREIGN, what)
        case _:
            return Fault(FaultKind.REFUSED, "refuses", code, _shown(words))


def _of_credentials(http: str, code: int) -> Fault:
    what = (
        "does not accept TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN "
        f"({http}, error {code}): check both, and that the account is active"
    )
    return Fault(FaultKind.CREDENTIALS, what, code)


def _shown(words: object) -> str:
    text = " ".join(str(words).split())[:MAX_WORDS]
    return "".join(filter(str.isprintable, text)).rstrip(".")
