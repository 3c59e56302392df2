"""Standard Webhooks 1.0: how a receiver knows that a request is ours (https://www.standardwebhooks.com)."""

import base64
import binascii
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final

PREFIX: Final = "whsec_"
KEY_BYTES_MIN: Final = 24
KEY_BYTES_MAX: Final = 64


def key_of(secret: str) -> bytes:
    """The key of a secret `whsec_…`. Raises ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise ValueError(f"a secret is {PREFIX} and {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes in base64")
    return key


def signed(key: str, body: bytes, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The headers of a request: its id, the time of the attempt, and a signature by each secret."""
    seconds = str(int(now.timestamp()))
    headers = {"webhook-id": key, "webhook-timestamp": seconds}
    content = f"{key}.{seconds}.".encode() + body
    made = [base64.b64encode(hmac.digest(key_of(secret), content, "sha256")).decode() for secret in secrets]
    if made:
        headers["webhook-signature"] = " ".join(f"v1,{signature}" for signature in made)
    return headers
