"""The data directory: made once, for its owner only, and the secret that lies in it.

Its mode protects everything below it, so it is checked at each start and never mended in
silence: a directory that others could read has to be looked at by a person. Whether the file
system can hold a store (network disks cannot) is the store's to say.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from pathlib import Path

from .errors import ConfigError

FOLDERS = ("journal", "store", "run", "quarantine")
SECRET_FILE = "fingerprint.key"  # noqa: S105
_SECRET_BYTES = 32


def prepare(path: Path) -> Path:
    """Make the directory and its folders where they are missing (0700); give back its absolute path.

    A symbolic link is followed, and what it leads to is held to the same rules. Raises ``ConfigError``.
    """
    path = path.absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for directory in (path, *(path / name for name in FOLDERS)):
            directory.mkdir(mode=0o700, exist_ok=True)
            _refuse_unsafe(directory)
    except OSError as error:
        raise _unusable(path, error) from None
    return path


def _refuse_unsafe(directory: Path) -> None:
    """Refuse what belongs to someone else, what others can enter, and what cannot be written."""
    found = directory.stat()
    if found.st_uid != os.geteuid():
        raise ConfigError(
            f"{directory} belongs to user {found.st_uid}, llmtap runs as user {os.geteuid()}: "
            "run it as that user, or choose a directory of your own with --data-dir or LLMTAP_DATA_DIR"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(
            f"{directory} is open to other users (mode {stat.S_IMODE(found.st_mode):04o}), "
            f"and prompts will lie in it: chmod 700 {directory}"
        )
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(
            f"{directory} cannot be written: check its mode and that its disk is not mounted read-only, "
            "or choose another with --data-dir or LLMTAP_DATA_DIR"
        )


def _unusable(path: Path, error: OSError) -> ConfigError:
    where = f"{error.filename}: " if error.filename and str(error.filename) != str(path) else ""
    return ConfigError(
        f"the data directory {path} cannot be used ({where}{error.strerror}): "
        "mend that, or choose another with --data-dir or LLMTAP_DATA_DIR"
    )


def fingerprint_secret(path: Path, configured: str) -> bytes:
    """The 32 bytes that key the fingerprints: from the setting, else from the data directory, made once.

    Processes that start together agree on one key. Raises ``ConfigError``.
    """
    if configured:
        return hashlib.sha256(b"llmtap fingerprint secret\0" + configured.encode()).digest()
    file = path / SECRET_FILE
    try:
        if not file.exists():
            _create(file, secrets.token_bytes(_SECRET_BYTES))
        return _read_secret(file)
    except OSError as error:
        raise _unusable(path, error) from None


def _create(file: Path, content: bytes) -> None:
    """Put a whole file there, durable, unless another process was first."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(fd)
        file.hardlink_to(temporary)
        _sync_directory(file.parent)
    except FileExistsError:
        return
    finally:
        temporary.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _read_secret(file: Path) -> bytes:
    with file.open("rb") as handle:
        content, mode = handle.read(_SECRET_BYTES + 1), os.fstat(handle.fileno()).st_mode
    if mode & 0o077:
        raise ConfigError(f"{file} can be read by others: chmod 600 {file}")
    if len(content) != _SECRET_BYTES:
        raise ConfigError(
            f"{file} is damaged: put it back from a backup, or remove it; "
            "keys of earlier calls will then have other fingerprints than keys of later ones"
        )
    return content
