"""Writes ``docs/api.md``: what the API answers, from the table of routes that the console serves.

``make api-table`` runs it; ``tests/console/test_api_document.py`` fails when the two have drifted apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy.config import load
from proxy.console.api.openapi import described, needed
from proxy.console.api.openapi import document as openapi
from proxy.console.app import PLACES, routes_of
from proxy.console.routes import Doc, Route
from proxy.console.site import Site
from proxy.store.sqlite.reader import SqliteReader

TABLE = Path(__file__).resolve().parent.parent / "docs" / "api.md"

HEAD = """\
# API

All that the console shows, as JSON, on the console's port. `/api` lists the routes of the console that runs, and
`/api/openapi.json` is the whole of them as OpenAPI 3.1; this page is made from the same table.

- Where the console asks who you are, send a token: `Authorization: Bearer TOKEN`. What it may do is said with each
  route; of projects that it may not see, everything is as if it were not there.
- Times are RFC 3339 in UTC, durations milliseconds, money US dollars. Unknown is `null`.
- Lists end with `next`: give it as `cursor` for the page behind. `filter` takes what `--filter` takes, see
  [fields.md](fields.md); `searched_back_to` says that time ran out before a page was full, and `next` goes on.
- Answers have an `ETag`: ask with `If-None-Match`, and what is as it was is a 304 without a body.
- What is said (feedback, notes, tags, views) is answered with 202 and written down before the answer goes out; it is
  stored within a moment. `POST /api/flush` waits for that.
- Mistakes are `application/problem+json`: 400 with the `column` of a filter, 404 for what is unknown, 413 for bodies
  over 1 MiB, 422 with the `path` of what does not fit, 503 with `Retry-After` while the store or the journal cannot
  be used.

Rate an answer by the id that the provider gave it:

```
curl http://127.0.0.1:8801/api/feedback --json '{
  "response_id": "chatcmpl-123",
  "scores": [{"name": "helpful", "value": true}, {"name": "tone", "value": 0.8, "comment": "curt"}],
  "expected": "It is 12 degrees in Bern."
}'
```
"""


def served() -> tuple[Route, ...]:
    """All routes of a console."""
    config = load(None, {"XDG_CONFIG_HOME": "/nonexistent"})
    return routes_of(Site(config, SqliteReader(config.data_dir), PLACES))


def document() -> str:
    """The whole file."""
    routes = served()
    schemas = openapi(routes)["components"]["schemas"]
    return HEAD + "".join(part for route, doc in described(routes) for part in _route(route, doc, schemas))


def _route(route: Route, doc: Doc, schemas: dict[str, Any]) -> Iterator[str]:
    yield f"\n## {route.method} {route.path}\n\n{doc.summary}. {needed(route).capitalize()}.\n"
    if doc.query:
        rows = [[f"`{name}`", _type(told), told.get("description", "")] for name, told in doc.query.items()]
        yield "\n" + _table([["parameter", "type", "what it is"], *rows])
    if doc.body is not None:
        for name in sorted(doc.body.get("$defs", {})):
            yield from _body(name, schemas[name])
    keys = doc.answer.get("required")
    yield f"\nAnswers {doc.status}, {doc.media_type}" + (f": {', '.join(f'`{key}`' for key in keys)}" if keys else "")
    yield f". Mistakes: {', '.join(map(str, sorted(doc.errors)))}.\n" if doc.errors else ".\n"


def _body(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"\n{name}: {schema.get('description', '')}\n\n"
    required = schema.get("required", ())
    rows = [
        [f"`{key}`", _type(told) + " (required)" * (key in required), _told(told)]
        for key, told in schema["properties"].items()
    ]
    yield _table([["key", "type", "what it is"], *rows])


def _told(schema: dict[str, Any]) -> str:
    return schema.get("description") or next(filter(None, map(_told, schema.get("anyOf", ()))), "")


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_type, schema["anyOf"])))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema or "enum" in schema:
        return " ".join(f"`{each}`" for each in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema["type"])


def _table(rows: list[list[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(document(), encoding="utf-8")
