"""How a receiver knows that a webhook comes from here: EVI's two headers. Pure."""

import hmac

TIMESTAMP_HEADER = "X-Hume-AI-Webhook-Timestamp"
SIGNATURE_HEADER = "X-Hume-AI-Webhook-Signature"


def signature(key: str, body: bytes, timestamp: str) -> str:
    """Sign a body as it goes over the wire: HMAC-SHA256 of `body.timestamp`, in hexadecimal.

    Args:
        key: what the receiver knows as well
        body: the raw bytes of the request
        timestamp: Unix seconds, decimal
    """
    # A key that is no UTF-8 in the environment is used byte by byte, as a receiver would.
    secret = key.encode(errors="surrogateescape")
    return hmac.digest(secret, body + b"." + timestamp.encode(), "sha256").hex()


def signed_headers(key: str, body: bytes, now_s: float) -> dict[str, str]:
    """The headers of one request; receivers refuse those that are older than three minutes."""
    timestamp = str(int(now_s))
    return {TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: signature(key, body, timestamp)}
