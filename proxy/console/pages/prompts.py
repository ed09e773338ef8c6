"""System prompts: all of a project, and one through its versions, with what the calls of each came to."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from aiohttp import web

from ...clock import wall_us
from ...errors import UsageError
from ...query.tree import And, Comparison
from ...records import DEFAULT_PROJECT
from ..detail.differences import Difference, difference
from ..moments import Moments
from ..narrowed import PERIODS, Narrowed, both, narrowed, page_of
from ..permissions import Permission
from ..routes import Route, get
from ..scoped import ScopedReader
from ..site import Site
from ..traces.journey import Opinion, opinions
from ..traces.versions import Figures, Line, Version, change, figures, lines, pieces

SHOWN = 60_000  #: characters of a prompt
COMPARED = 400_000  #: characters of a prompt that is compared with another
JUDGED = 200  #: newest calls of a version that are asked for feedback
JUDGED_VERSIONS = 12
VERSIONS = 100  #: of one prompt, the newest
USUAL = "30d"


class Prompts:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [
            get("/prompts", self.prompts, Permission.CONTENT, audited="view"),
            get("/prompts/", self.prompt, Permission.CONTENT, audited="view"),
            get("/prompts/{project}/{number}", self.prompt, Permission.CONTENT, audited="view"),
        ]

    async def prompts(self, request: web.Request) -> web.Response:
        """The prompts of a project, the last used first."""
        now_us, zone = wall_us(), self._site.zone(request)
        asked = narrowed(request.query, zone, now_us, usual=USUAL)
        reader = self._site.reader(request)
        projects = await reader.prompt_projects()
        project = request.query.get("project") or _usual_project(projects)
        found = await reader.prompts(project) if project else []
        came_to = await _figures(reader, project, asked) if found else {}
        return self._site.page(
            request,
            "prompts.html",
            asked=asked,
            periods=tuple(PERIODS),
            project=project,
            projects=[(name, f"/prompts?{urlencode({'project': name}, errors='replace')}") for name in projects],
            lines=lines(found, came_to),
            at=Moments(zone, now_us),
        )

    async def prompt(self, request: web.Request) -> web.Response:
        """One version: beside the others of the same prompt, its text, and what changed."""
        project, number = _named(request)
        now_us, zone = wall_us(), self._site.zone(request)
        asked = narrowed(request.query, zone, now_us, usual=USUAL)
        reader = self._site.reader(request)
        found = {version.number: version for version in await reader.prompts(project)}
        if number not in found:
            raise web.HTTPNotFound
        came_to = await _figures(reader, project, asked)
        (line,) = (each for each in lines(list(found.values()), came_to) if each.number == found[number].line)
        version = next(each for each in line.versions if each.prompt.number == number)
        other = _compared_with(request.query.get("from", ""), version, line)
        page = page_of("/prompts", project, number)
        changed = await asyncio.to_thread(_changed, version, other) if other else None  # long ones take seconds
        return self._site.page(
            request,
            "prompt.html",
            asked=asked,
            periods=tuple(PERIODS),
            project=project,
            version=version,
            line=line,
            versions=line.versions[:VERSIONS],
            other=other,
            difference=changed,
            pieces=pieces(version.prompt, SHOWN),
            hidden=max(0, len(version.prompt.text) - SHOWN),
            opinions=await _opinions(reader, project, line),
            change=change,
            action=page.partition("?")[0],
            kept={"from": request.query.get("from", "")} | ({"name": project, "number": number} if "?" in page else {}),
            clear=page,
            at=Moments(zone, now_us),
        )


def _changed(version: Version, other: Version) -> Difference:
    return difference(other.prompt.text[:COMPARED], version.prompt.text[:COMPARED])


def _named(request: web.Request) -> tuple[str, int]:
    project = request.match_info.get("project", request.query.get("name", ""))
    written = request.match_info.get("number", request.query.get("number", ""))
    if not (written.isascii() and written.isdigit() and len(written) < 10):
        raise web.HTTPNotFound
    return project, int(written)


def _usual_project(projects: list[str]) -> str:
    return DEFAULT_PROJECT if DEFAULT_PROJECT in projects or not projects else projects[0]


async def _figures(reader: ScopedReader, project: str, asked: Narrowed) -> Figures:
    where = both(Comparison("project", "=", project), asked.where)
    return figures(await reader.report(("system_version",), asked.since_us, where, until_us=asked.until_us))


async def _opinions(reader: ScopedReader, project: str, line: Line) -> dict[int, tuple[Opinion, ...]]:
    """What was said of the newest calls of the newest versions."""
    found = {}
    for version in line.versions[:JUDGED_VERSIONS]:
        number = version.prompt.number
        where = And((Comparison("project", "=", project), Comparison("system_version", "=", number)))
        calls = await reader.find(where, limit=JUDGED) if version.calls else []
        found[number] = opinions((await reader.scores([call.id for call in calls])).values()) if calls else ()
    return found


def _compared_with(asked: str, version: Version, line: Line) -> Version | None:
    """The version that is asked for, or the one that this was made from."""
    if asked and not (asked.isascii() and asked.isdigit() and len(asked) < 10):
        raise UsageError(f"from is the number of a version, not {asked!r}")
    number = int(asked) if asked else version.prompt.predecessor
    return next((each for each in line.versions if each.prompt.number == number), None)
