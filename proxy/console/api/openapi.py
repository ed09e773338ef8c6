"""The API's document (OpenAPI 3.1), made from the same table of routes that is served. Values only.

Nothing of it is written twice: parameters, bodies and answers are the routes' own schemas, permissions
are what the guard asks for, and filters are explained by the table of fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from ... import __version__
from ...query.fields import FIELDS, KEYED
from ..permissions import Permission
from ..routes import KNOWN, OPEN, Doc, Route
from .shapes import JSON

PROBLEM: JSON = {
    "type": "object",
    "description": "what went wrong (RFC 9457)",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what was wrong, and what to do instead"},
        "column": {"type": "integer", "description": "of the mistake in a filter or statement, from 1"},
        "path": {"type": "string", "description": "of the mistake in a body, such as $.scores[0].value"},
    },
}
_ALWAYS = (401, 403)
_PLACE = re.compile(r"\{(\w+)\}")
_DEFS = "#/$defs/"
_SCHEMAS = "#/components/schemas/"
_PLACES = {
    "id": "an id; of a call, a unique part of it will do, and -1 is the last call",
    "name": "a name",
}


def described(routes: Iterable[Route]) -> list[tuple[Route, Doc]]:
    """Those that the document speaks of."""
    return [(route, route.doc) for route in routes if route.doc is not None]


def document(routes: Iterable[Route]) -> JSON:
    """All of it."""
    schemas: dict[str, Any] = {"Problem": PROBLEM}
    paths: dict[str, JSON] = {}
    for route, doc in described(routes):
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, doc, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "llmtap", "version": __version__, "description": _introduction()},
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def needed(route: Route) -> str:
    """Who may ask it, in words."""
    if isinstance(route.needs, Permission):
        return f"needs the permission {route.needs.value}"
    return {OPEN: "open to all", KNOWN: "for whoever is known"}[route.needs]


# --- one route -----------------------------------------------------------------------------------------


def _operation(route: Route, doc: Doc, schemas: JSON) -> JSON:
    operation: JSON = {
        "operationId": _operation_id(route),
        "summary": doc.summary,
        "description": f"{needed(route).capitalize()}. {(route.handler.__doc__ or '').strip()}".strip(),
        "tags": [_kind(route)],
        "parameters": [*_places(route), *_query(doc)],
        "responses": dict(_responses(route, doc, schemas)),
    }
    if doc.body is not None:
        content = {"application/json": {"schema": _hoisted(doc.body, schemas)}}
        operation["requestBody"] = {"required": True, "content": content}
    if route.needs is OPEN:
        operation["security"] = []
    return operation


def _operation_id(route: Route) -> str:
    words = [word for word in re.split(r"\W+", route.path) if word and word != "api"]
    return "_".join([route.method.lower(), *words])


def _kind(route: Route) -> str:
    return next(word for word in re.split(r"\W+", route.path) if word and word != "api")


def _places(route: Route) -> Iterator[JSON]:
    for name in _PLACE.findall(route.path):
        schema = {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "description": _PLACES[name], "schema": schema}


def _query(doc: Doc) -> Iterator[JSON]:
    for name, told in doc.query.items():
        schema = {key: value for key, value in told.items() if key not in ("description", "required")}
        parameter = {"name": name, "in": "query", "required": told.get("required", False), "schema": schema}
        yield parameter | ({"description": told["description"]} if "description" in told else {})


def _responses(route: Route, doc: Doc, schemas: JSON) -> Iterator[tuple[str, JSON]]:
    answer = {doc.media_type: {"schema": _hoisted(doc.answer, schemas)}}
    for status in (doc.status, *doc.also):
        yield str(status), {"description": HTTPStatus(status).phrase, "content": answer}
    if route.method == "GET":
        yield "304", {"description": "nothing has changed since the ETag that If-None-Match names"}
    problem = {"application/problem+json": {"schema": {"$ref": f"{_SCHEMAS}Problem"}}}
    asked = () if route.needs is OPEN else _ALWAYS
    for status in sorted({*asked, *doc.errors}):
        yield str(status), {"description": HTTPStatus(status).phrase, "content": problem}
    yield "default", {"description": "anything else that went wrong", "content": problem}


def _hoisted(schema: Any, schemas: JSON) -> Any:
    """A schema whose parts stand among all ``schemas``. Raises ``TypeError`` for two of one name."""
    if isinstance(schema, list | tuple):
        return [_hoisted(each, schemas) for each in schema]
    if not isinstance(schema, dict):
        return schema
    for name, part in schema.get("$defs", {}).items():
        found = _hoisted(part, schemas)
        if schemas.setdefault(name, found) != found:
            raise TypeError(f"two schemas of the API's document are called {name}")
    shown = {key: _hoisted(value, schemas) for key, value in schema.items() if key != "$defs"}
    if str(shown.get("$ref", "")).startswith(_DEFS):
        shown["$ref"] = _SCHEMAS + shown["$ref"].removeprefix(_DEFS)
    return shown


# --- in words ------------------------------------------------------------------------------------------


def _introduction() -> str:
    names = ", ".join(f"{field.name}.NAME" if field.kind in KEYED else field.name for field in FIELDS.values())
    return (
        "What llmtap has recorded, and what people say of it. Times are RFC 3339 in UTC, durations milliseconds, "
        "money US dollars; unknown is null. Mistakes are answered with problem+json. Lists go on with next, as "
        "cursor. A token is sent as Authorization: Bearer TOKEN, and has the permissions of its roles.\n\n"
        f"Filters speak of these fields (see /api/fields): {names}."
    )
