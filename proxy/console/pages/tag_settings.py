"""What tags there are, as forms of the settings page: add, change, take off all calls. The API's twin for people."""

from __future__ import annotations

import re

from aiohttp import web

from ...errors import UsageError
from ...records import EventKind
from ...store.judgements import TagSaid
from ..access.forms import Fields, fields, see
from ..permissions import Permission
from ..routes import Route, post
from ..site import Site

_NAME_MAX = 200
_DESCRIPTION_MAX = 2000
_COLOR = re.compile(r"(#[0-9a-fA-F]{6})?")


class TagSettings:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [post("/settings/tags", self.change, Permission.MANAGE)]

    async def change(self, request: web.Request) -> web.Response:
        """The field ``do`` says what: add, change, delete."""
        sent = Fields(await fields(request))
        said = said_of(sent)
        self._site.recorder.append(EventKind.TAG, self._site.visitor(request).name, said)
        return see("/settings?done=tag#tags")


def said_of(sent: Fields) -> TagSaid:
    """What a form says of a tag. Raises ``UsageError``."""
    name, renamed = sent["name"].strip(), sent["renamed"].strip()
    if not 0 < len(name) <= _NAME_MAX or len(renamed) > _NAME_MAX:
        raise UsageError(f"name: a tag's name has from 1 to {_NAME_MAX} characters")
    if sent["do"] == "delete":
        return TagSaid(name=name, deleted=True)
    if sent["do"] not in ("add", "change"):
        raise UsageError("do: one of add, change, delete")
    if not _COLOR.fullmatch(sent["color"]):
        raise UsageError("color: write it as #3b82f6, or nothing")
    if len(sent["description"]) > _DESCRIPTION_MAX:
        raise UsageError(f"description: at most {_DESCRIPTION_MAX} characters")
    changed = renamed if sent["do"] == "change" and renamed not in ("", name) else None
    return TagSaid(name=name, color=sent["color"], description=sent["description"], renamed=changed)
