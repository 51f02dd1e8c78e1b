"""A name for a remote file that holds no secret and stays the same: what caches are keyed by."""

from __future__ import annotations

import hashlib
from urllib.parse import parse_qsl, urlencode

from ..retries import display_url

__all__ = ["digest_of_url"]

# Parameters of signed URLs: they change, the file does not.
SIGNATURES = frozenset(
    ("signature", "sig", "expires", "awsaccesskeyid", "googleaccessid", "key-pair-id", "policy", "token", "se", "sp")
)
SIGNATURE_PREFIXES = ("x-amz-", "x-goog-")


def digest_of_url(url: str, *, endpoint: str = "") -> str:
    """A name for a file, the same whoever reads it and however a URL is signed.

    Examples
    --------
    >>> digest_of_url("https://me:secret@host/a.bw?sig=1") == digest_of_url("https://host/a.bw?sig=2")
    True
    >>> digest_of_url("https://host/a.bw?id=1") == digest_of_url("https://host/a.bw?id=2")
    False
    """
    query = [
        (name, value)
        for name, value in parse_qsl(url.partition("?")[2], keep_blank_values=True)
        if name.lower() not in SIGNATURES and not name.lower().startswith(SIGNATURE_PREFIXES)
    ]
    text = f"{endpoint}|{display_url(url)}?{urlencode(query)}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
