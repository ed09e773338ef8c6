"""What there is to ask for: the fields of filters, names of scores, system prompts, and how llmtap is."""

from __future__ import annotations

from aiohttp import web

from ...errors import StoreError
from ...query.fields import FIELDS, OPERATORS
from ...query.tree import Comparison
from ...store.trace_view import prompt_json
from ..answers import json_answer
from ..permissions import Permission
from ..routes import Doc, Route, get
from ..site import Site
from ..standing import standing
from . import asked
from .shapes import JSON, MOMENT, holding, listing
from .unchanged import unless_known

_NUMBER: JSON = {"type": ["number", "null"]}
_FIELD = holding(
    name={"type": "string"},
    short={"type": "string", "description": "another name in the short form; may be empty"},
    type={"type": "string"},
    values={"type": "string", "description": "how its values are written"},
    operators=listing({"type": "string"}),
    indexed={"type": "boolean"},
    groupable={"type": "boolean"},
    help={"type": "string"},
)
_PROMPT = holding(
    project={"type": "string"},
    number={"type": "integer"},
    line={"type": "integer", "description": "number of the first version of the same prompt"},
    predecessor={"type": ["integer", "null"]},
    first_seen=MOMENT,
    last_seen=MOMENT,
    calls={"type": "integer"},
    errors={"type": "integer"},
    cost_usd=_NUMBER,
    latency_p50_ms=_NUMBER,
    text={"type": "string"},
)
_PROJECT = {"project": {"type": "string", "default": "default"}}


class FactsApi:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        names = holding(names=listing({"type": "string"}))
        prompts = holding(projects=listing({"type": "string"}), prompts=listing(_PROMPT))
        fields = Doc(summary="What calls can be filtered and grouped by", answer=holding(fields=listing(_FIELD)))
        scores = Doc(summary="The names that scores have, the most used first", answer=names, errors=(503,))
        versions = Doc(
            summary="Versions of the system prompts of a project, and what their calls came to",
            query=_PROJECT,
            answer=prompts,
            errors=(400, 503),
        )
        status = Doc(summary="What llmtap status --json shows", answer={"type": "object"}, errors=(503,))
        return [
            get("/api/fields", self.fields, Permission.ROWS, doc=fields),
            get("/api/scores", self.scores, Permission.ROWS, doc=scores),
            get("/api/prompts", self.prompts, Permission.CONTENT, audited="view", doc=versions),
            get("/api/status", self.status, Permission.MANAGE, doc=status),
        ]

    async def fields(self, request: web.Request) -> web.Response:
        """The table of fields."""
        shown = [
            {
                "name": field.name,
                "short": field.short,
                "type": field.kind.name.lower(),
                "values": field.kind.value,
                "operators": OPERATORS[field.kind],
                "indexed": field.indexed,
                "groupable": field.groupable,
                "help": field.help,
            }
            for field in FIELDS.values()
        ]
        return unless_known(request, json_answer({"fields": shown}))

    async def scores(self, request: web.Request) -> web.Response:
        """Names alone."""
        return json_answer({"names": await self._site.reader(request).score_names()})

    async def prompts(self, request: web.Request) -> web.Response:
        """Of one project; all projects that have any are named."""
        asked.check_names(request.query, _PROJECT)
        project, reader = request.query.get("project", "default"), self._site.reader(request)
        versions = await reader.prompts(project)
        rows = await reader.report(("system_version",), where=Comparison("project", "=", project)) if versions else []
        came_to = {row.group[0]: row for row in rows}
        shown = [prompt_json(version, came_to.get(str(version.number))) for version in versions]
        found = {"projects": await reader.prompt_projects(), "prompts": shown}
        return unless_known(request, json_answer(found))

    async def status(self, request: web.Request) -> web.Response:
        """Also when the store cannot be read: that is said."""
        try:
            stats, trouble = await self._site.reader(request).stats(), None
        except StoreError as error:
            stats, trouble = None, str(error)
        return json_answer(standing(self._site.config, stats, trouble))
