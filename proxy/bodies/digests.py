"""Names of pieces: salted, so that nobody can find out by guessing what others have sent.

128 bits of SHA-256: a cheap hash would let a client forge a piece that is taken for another's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

DIGEST_BYTES = 16
NOTHING = bytes(DIGEST_BYTES)  #: the digest of no messages at all

_sha256 = hashlib.sha256


def salt_of(secret: bytes, project: str) -> bytes:
    """The salt of a project's pieces: equal bytes of two projects have digests that have nothing in common."""
    return _sha256(secret + project.encode("utf-8", "surrogatepass")).digest()[:DIGEST_BYTES]


def digest(salt: bytes, *pieces: bytes) -> bytes:
    """The name of some bytes, whatever the pieces that they come in."""
    hashed = _sha256(salt)
    for piece in pieces:
        hashed.update(piece)
    return hashed.digest()[:DIGEST_BYTES]


def chained(before: bytes, of_messages: Iterable[bytes]) -> list[bytes]:
    """The names of ever longer lists of messages: each covers all that stand before it."""
    names = []
    for name in of_messages:
        before = _sha256(before + name).digest()[:DIGEST_BYTES]
        names.append(before)
    return names
