"""The type of bytes: as the text before them says, else by how they begin.

Only what models take and give is known; of the rest nothing is guessed.
"""

from __future__ import annotations

import re

UNKNOWN = "application/octet-stream"
FLOAT32 = "vector/float32"  #: little-endian
FLOAT64 = "vector/float64"  #: little-endian
CONTEXT_BYTES = 240  #: so much of the text before is looked at
MAGIC_BYTES = 48  #: so much of the bytes is looked at

_TYPE = rb"([\w.+-]{1,60}\\?/[\w.+-]{1,80})[^,\"]{0,80}"
_URL = rb"data:%b;base64," % _TYPE
_FIELD = rb"\"(?:media_?type|mime_?type)\\*\"\s*:\s*\\*\"%b\"\s*,\s*\\*\"data\\*\"\s*:\s*\\*\"" % _TYPE
_DECLARED = re.compile(rb"(?:%b|%b)$" % (_URL, _FIELD), re.IGNORECASE)
_EMBEDDING = re.compile(rb"\"embeddings?\\*\"\s*:\s*[\[\s]*\\*\"$")

_MAGIC: tuple[tuple[bytes, str], ...] = (  # of several that fit the first counts
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"GIF8[79]a", "image/gif"),
    (rb"RIFF....WEBP", "image/webp"),
    (rb"RIFF....WAVE", "audio/wav"),
    (rb"....ftypavi[fs]", "image/avif"),
    (rb"....ftyp(?:hei[cx]|mif1)", "image/heic"),
    (rb"....ftypM4A", "audio/mp4"),
    (rb"....ftypqt", "video/quicktime"),
    (rb"....ftyp", "video/mp4"),
    (rb"\x1aE\xdf\xa3", "video/webm"),
    (rb"%PDF-", "application/pdf"),
    (rb"ID3[\x02-\x04]|\xff[\xe3\xf2\xf3\xfa\xfb][\x10-\xef]", "audio/mpeg"),
    (rb"OggS\0", "audio/ogg"),
    (rb"fLaC\0", "audio/flac"),
    (rb"PK\x03\x04", "application/zip"),
    (rb"\x1f\x8b\x08", "application/gzip"),
    (rb"\x28\xb5\x2f\xfd", "application/zstd"),
    (rb"II\*\0|MM\0\*", "image/tiff"),
    (rb"BM....\0\0\0\0", "image/bmp"),
)
_BEGINNING = re.compile(b"|".join(b"(%b)" % magic for magic, _ in _MAGIC), re.DOTALL)
_DENSE = re.compile(
    r"image/(?:png|jpe?g|gif|webp|avif|heic)|audio/(?:mpeg|mp[34]|ogg|opus|flac|aac)|video/|.*(?:zip|zstd)$"
)


def declared_type(before: bytes) -> str | None:
    """The type that the text right before base64 gives it: in a data: URL, in the field beside it."""
    if match := _DECLARED.search(before):
        name: bytes = match[1] or match[2]
        return name.replace(b"\\", b"").decode("ascii").lower()
    return FLOAT32 if _EMBEDDING.search(before) else None


def type_by_beginning(data: bytes) -> str | None:
    """The type of bytes by their first ``MAGIC_BYTES``."""
    match = _BEGINNING.match(data)
    return _MAGIC[match.lastindex - 1][1] if match and match.lastindex else None


def is_dense(media_type: str) -> bool:
    """Whether bytes of this type are compressed already: trying again is wasted time."""
    return _DENSE.match(media_type) is not None
