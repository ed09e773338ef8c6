"""The API's document: it is true, and what is served keeps to it."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from proxy.console.routes import Route
from scripts.api_table import TABLE, document, served
from tests.cli.recorded import exchanged, new_call
from tests.console.serving import Console

JSON = dict[str, Any]
#: These wait, or are as well as llmtap is; they have tests of their own.
APART = {"/api/stream", "/api/flush", "/healthz"}
EXAMPLES = 8
SLOW = {"/api/query": 4}  #: a process for each


@pytest.fixture
def schemathesis() -> Any:
    """The tester, loaded while nothing else is parsed.

    pytest parses and rewrites it. When the collector of CPython 3.11 runs in the middle of that, and what it
    finds is reported with a traceback, the parser is entered again and fails: so it must not run.
    """
    gc.disable()
    try:
        import_module("schemathesis.specs.openapi.schemas")
        return import_module("schemathesis")
    finally:
        gc.enable()


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        await made.record(*(exchanged(new_call(user=f"u{number}", tags=("x",))) for number in range(5)))
        yield made


def routes() -> list[Route]:
    return [route for route in served() if route.path.startswith("/api/")]


def test_the_document_in_the_repository_is_what_is_served() -> None:
    assert TABLE.read_text(encoding="utf-8") == document(), "run make api-table"


def test_every_route_of_the_api_is_described() -> None:
    bare = [f"{route.method} {route.path}" for route in routes() if route.doc is None]
    assert bare == ["GET /api/openapi.json"]


def test_schemas_are_schemas_and_names_are_used_once(api: JSON) -> None:
    operations = [each for path in api["paths"].values() for each in path.values()]
    ids = [each["operationId"] for each in operations]
    assert len(set(ids)) == len(ids)
    for schema in schemas(api):
        jsonschema_rs.meta.validate(schema)
    named = {ref.removeprefix("#/components/schemas/") for ref in references(api)}
    assert named <= api["components"]["schemas"].keys()


@pytest.fixture
def api() -> JSON:
    from proxy.console.api.openapi import document

    return document(served())


def schemas(value: Any) -> Iterator[JSON]:
    if isinstance(value, dict):
        if isinstance(value.get("schema"), dict):
            yield value["schema"]
        for each in value.values():
            yield from schemas(each)
    elif isinstance(value, list):
        for each in value:
            yield from schemas(each)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from [value["$ref"]] if "$ref" in value else []
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


async def test_the_document_is_served_and_a_page_lists_the_same_routes(console: Console, api: JSON) -> None:
    assert await console.json("/api/openapi.json") == api
    status, page = await console.get("/api")
    assert status == 200
    listed = re.findall(r'<td class="mono">([A-Z]+)</td><td class="mono">([^<]*)</td>', page)
    assert listed == [(route.method, route.path) for route in served() if route.doc is not None]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(300)
async def test_whatever_is_asked_is_answered_as_the_document_says(schemathesis: Any, console: Console) -> None:
    def ask_anything() -> list[str]:
        from schemathesis import GenerationMode
        from schemathesis.specs.openapi.checks import positive_data_acceptance

        schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{console.port}/api/openapi.json")
        asked = []
        for found in schema.get_all_operations():
            operation = found.ok()
            if operation.path in APART:
                continue
            asked.append(f"{operation.method} {operation.path}")

            @settings(
                max_examples=SLOW.get(operation.path, EXAMPLES),
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(
                case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
                | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
            )
            def keeps_to_it(case: Any) -> None:
                case.call_and_validate(excluded_checks=[positive_data_acceptance])  # no schema tells what a filter is

            keeps_to_it()
        return asked

    assert len(await asyncio.to_thread(ask_anything)) > 20
