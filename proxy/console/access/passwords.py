"""Passwords, tokens and session ids: how they are made, hashed and compared.

Passwords are hashed by argon2id, slowly on purpose: 64 MiB and some 50 ms each, so they are made and
compared on a thread. Tokens and session ids are 256 random bits; nobody guesses them, so SHA-256 will do.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ...errors import UsageError

PASSWORD_MIN = 10  #: characters
PASSWORD_MAX = 1000
TOKEN_PREFIX = "llmtap_"  # noqa: S105  so that people and scanners know one when they see it
TAIL = 4  #: characters of a token that are kept to tell it by
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
_TAKEN = ("owner", "local")  # the holder of console.token, and whoever asks on loopback

_hasher = PasswordHasher()


def checked_name(name: str) -> str:
    """The name of a person or a token. Raises ``UsageError`` for one that cannot be."""
    if not _NAME.fullmatch(name) or name.lower() in _TAKEN:
        raise UsageError(
            f"the name {name[:100]!r} cannot be: at most 100 letters, digits and . _ @ + -, "
            "beginning with a letter or a digit, and neither owner nor local"
        )
    return name


def hashed(password: str) -> str:
    """What is kept of a password. Raises ``UsageError`` for one that is too short or too long."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise UsageError(f"a password has from {PASSWORD_MIN} to {PASSWORD_MAX} characters")
    return _hasher.hash(_bytes(password))


def right(password: str, kept: str | None) -> bool:
    """Whether it is the password; None (nobody is called so) takes as long as a wrong one."""
    try:
        _hasher.verify(kept or _nobodys(), _bytes(password[: PASSWORD_MAX + 1]))
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


@cache
def _nobodys() -> str:
    return _hasher.hash(secrets.token_bytes(16))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def new_token() -> str:
    """A token; whoever makes it shows it once."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def new_session_id() -> str:
    """What a cookie holds."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What is kept of a token or a session id."""
    return hashlib.sha256(_bytes(secret)).digest()
