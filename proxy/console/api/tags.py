"""``/api/tags`` and the tags of calls: what tags there are, and which conversations carry them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from ...errors import CallNotFound
from ...records import EventKind
from ...store.judgements import TagInfo, TagSaid, TagsSaid
from ..answers import json_answer
from ..permissions import Permission
from ..received import Misfit, received
from ..routes import Doc, Route, delete, get, post, put
from ..site import Site
from .saying import Body, TagName, Tags, accepted, doc_of, judged, say
from .shapes import listed

Color = Annotated[str, Meta(pattern=r"^(#[0-9a-fA-F]{6})?$", description='as #3b82f6, or "" for none')]
Description = Annotated[str, Meta(max_length=2000)]


class CallTags(Body, frozen=True):
    """Tags to put on a conversation, and to take off it."""

    add: Tags = ()
    remove: Tags = ()


class TagBody(Body, frozen=True):
    """A new tag."""

    name: TagName
    color: Color = ""
    description: Description = ""


class TagChange(Body, frozen=True):
    """What a tag is from now on; ``name``: another name, on all calls. What is left out stays."""

    name: TagName | None = None
    color: Color | None = None
    description: Description | None = None


class TagsApi:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        every = Doc(summary="All tags, the most used first", answer=listed("tags", TagInfo), errors=(503,))
        make = doc_of("Make a tag", TagBody)
        change = doc_of("Change a tag: its name, on all calls, its colour, its description", TagChange, 404)
        remove = doc_of("Take a tag off all calls, and out of the list", None, 404)
        put_on = doc_of("Put tags on the conversation of a call, or take them off", CallTags, 404)
        return [
            get("/api/tags", self.tags, Permission.ROWS, doc=every),
            post("/api/tags", self.add, Permission.MANAGE, doc=make),
            put("/api/tags/{name}", self.change, Permission.MANAGE, doc=change),
            delete("/api/tags/{name}", self.remove, Permission.MANAGE, doc=remove),
            post("/api/calls/{id}/tags", self.put, Permission.JUDGE, doc=put_on),
        ]

    async def tags(self, request: web.Request) -> web.Response:
        """What there is."""
        found = await self._site.reader(request).tags()
        return json_answer({"tags": [msgspec.to_builtins(tag) for tag in found]})

    async def put(self, request: web.Request) -> web.Response:
        """On all calls of the conversation."""
        came: CallTags = await received(request, CallTags)
        if not came.add and not came.remove:
            raise Misfit("name tags to add or to remove")
        call = await judged(self._site, request, request.match_info["id"])
        said = TagsSaid(call=call, add=came.add, remove=came.remove)
        return accepted(say(self._site, request, EventKind.TAGS, said))

    async def add(self, request: web.Request) -> web.Response:
        """A tag that calls can carry."""
        came: TagBody = await received(request, TagBody)
        said = TagSaid(name=came.name, color=came.color, description=came.description)
        return accepted(say(self._site, request, EventKind.TAG, said))

    async def change(self, request: web.Request) -> web.Response:
        """What is left out stays as it is."""
        came: TagChange = await received(request, TagChange)
        tag = await self._known(request)
        said = TagSaid(
            name=tag.name,
            color=tag.color if came.color is None else came.color,
            description=tag.description if came.description is None else came.description,
            renamed=came.name if came.name != tag.name else None,
        )
        return accepted(say(self._site, request, EventKind.TAG, said))

    async def remove(self, request: web.Request) -> web.Response:
        """Off all calls."""
        tag = await self._known(request)
        return accepted(say(self._site, request, EventKind.TAG, TagSaid(name=tag.name, deleted=True)))

    async def _known(self, request: web.Request) -> TagInfo:
        name = request.match_info["name"]
        found = {tag.name: tag for tag in await self._site.reader(request).tags()}.get(name)
        if found is None:
            raise CallNotFound(f"there is no tag {name!r}")
        return found
