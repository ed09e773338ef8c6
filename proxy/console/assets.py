"""Style sheets and scripts as they are sent: joined, named by their contents, cached for ever.

Scripts are written as small ES modules below ``static/js``. A bundle is made of modules, joined into
one file so that a page waits for one request; there is no build step. A module may say
``import { a, b } from "./other.js"`` and ``export`` before a function, a class or a const, at the
beginning of a line; nothing else of the module syntax. One that exports ``start`` is started when its
bundle has been loaded. Bundles besides ``app`` are loaded when a page first uses them:
``load("chart")`` of ``dom.js``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from msgspec import Struct

STATIC = Path(__file__).parent / "static"

#: Modules of the script that every page has, those that others import first.
APP = ("dom", "keys", "theme", "panel", "list", "live", "filterbar")
#: Bundles that are loaded on use, and their modules.
ON_USE: dict[str, tuple[str, ...]] = {
    "traces": ("walk", "steps"),
    "chart": ("chart",),
    "detail": ("reading", "review", "rerun", "judge"),
}
#: Style sheets, in the order of the cascade; all stand in one file.
STYLES = ("base", "logs", "detail")
#: Those of some pages only, which link to them in their ``head``: ``charts.css``.
SHEETS = ("charts", "traces", "access")

_ALWAYS = ("app.js", "style.css", "icon.svg")  #: that each page has from the beginning

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";?\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function\*?|class|const|let) ([\w$]+)", re.MULTILINE)
_NAME = re.compile(r"^\s*([\w$]+)(?:\s+as\s+([\w$]+))?\s*$")
_COMMENT = re.compile(r"^\s*//[^\n]*\n", re.MULTILINE)
_CSS_COMMENT = re.compile(r"/\*.*?\*/\s*", re.DOTALL)


class Asset(Struct, frozen=True):
    """A file as it is sent."""

    path: str  #: ``/assets/app.0123456789ab.js``
    body: bytes
    packed: bytes  #: gzip of ``body``
    content_type: str


class Assets:
    """All of them, read and joined once."""

    def __init__(self) -> None:
        self._by_name = {name: _asset(name, body) for name, body in _sources()}
        self.by_path = {asset.path: asset for asset in self._by_name.values()}

    def path(self, name: str) -> str:
        """Where ``app.js``, ``style.css`` or ``icon.svg`` is to be had."""
        return self._by_name[name].path

    @property
    def on_use(self) -> str:
        """Bundle, or name of a style sheet, → path: what a page loads when it needs it, as JSON for ``dom.js``."""
        wanted = {name: asset.path for name, asset in self._by_name.items() if name not in _ALWAYS}
        return json.dumps({name.removesuffix(".js"): path for name, path in wanted.items()})


def _sources() -> Iterator[tuple[str, bytes]]:
    yield "style.css", _sheet(*STYLES)
    for name in SHEETS:
        yield f"{name}.css", _sheet(name)
    yield "app.js", joined(APP).encode()
    for name, modules in ON_USE.items():
        yield f"{name}.js", joined(modules, APP).encode()
    yield "icon.svg", (STATIC / "icon.svg").read_bytes()
    carried = files("youplot") / "vendor"
    yield "uplot.js", (carried / "uplot.iife.min.js").read_bytes()
    yield "uplot.css", (carried / "uplot.min.css").read_bytes()


def _sheet(*names: str) -> bytes:
    sheets = [(STATIC / "css" / f"{name}.css").read_text(encoding="utf-8") for name in names]
    return _CSS_COMMENT.sub("", "\n".join(sheets)).encode()


_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def _asset(name: str, body: bytes) -> Asset:
    stem, _, suffix = name.rpartition(".")
    digest = hashlib.sha256(body).hexdigest()[:12]
    return Asset(f"/assets/{stem}.{digest}.{suffix}", body, gzip.compress(body, 9, mtime=0), _TYPES[suffix])


def joined(modules: Sequence[str], known: Sequence[str] = ()) -> str:
    """One script of these modules, each in a scope of its own; ``known``: modules that the page has already.

    Raises ``ValueError``, naming the module, for an import of what does not come before it.
    """
    parts, before = ['"use strict";', "const modules = (globalThis.llmtap ??= {});"], set(known)
    for name in modules:
        parts.append(_scoped(name, (STATIC / "js" / f"{name}.js").read_text(encoding="utf-8"), before))
        before.add(name)
    parts.append(f"for (const name of {json.dumps(list(modules))}) modules[name].start?.();")
    return "{" + "\n".join(parts) + "}\n"


def _scoped(name: str, source: str, before: set[str]) -> str:
    for imported in _IMPORT.finditer(source):
        if imported[2] not in before:
            raise ValueError(f"{name}.js imports {imported[2]}.js, which does not come before it")
    exported = ", ".join(match[2] for match in _EXPORT.finditer(source))
    body = _COMMENT.sub("", _EXPORT.sub(r"\1 \2", _IMPORT.sub(_bound, source)))
    return f"modules.{name} = (() => {{\n{body}return {{ {exported} }};\n}})();"


def _bound(found: re.Match[str]) -> str:
    names = (_NAME.match(each) for each in found[1].split(",") if each.strip())
    return f"const {{ {', '.join(_renamed(each) for each in names if each)} }} = modules.{found[2]};\n"


def _renamed(name: re.Match[str]) -> str:
    return f"{name[1]}: {name[2]}" if name[2] else name[1]
