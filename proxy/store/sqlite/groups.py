"""What the raw values of a row mean to people: the groups of a report that its calls count in.

The days of a zone, the model that a failed call would have reached, each of several tags. Each
combination of raw values is looked at once, however many calls have it.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from functools import cache, partial
from itertools import product
from typing import Any

import orjson

from ...query.fields import FIELDS, METADATA, SPANS, TAG, Kind
from ...query.spans import Labels, step_us
from . import rows
from .compile import Condition
from .find import Texts
from .people.filters import REVIEWED
from .rollups.answers import Rolled
from .sums import Facts, Sums

Group = tuple[str | None, ...]
Raw = tuple[Any, ...]  #: the raw values of one field
Part = tuple[Facts | Rolled, tuple[Raw, ...]]  #: what calls add up to, and the raw values of each field
#: From the raw values of one field to the groups that its calls count in.
Naming = Callable[[Raw], Sequence[str | None]]


def columns_of(name: str) -> tuple[Condition, ...]:
    """What to select of ``call``: the raw values that name a group of this field."""
    if name.startswith(METADATA):
        key = rows.metadata_key(name[len(METADATA) :])
        return (Condition("(SELECT value FROM json_each(metadata) WHERE key = ?)", (key,)),)
    if name in SPANS:
        return (Condition(f"started_at_us / {step_us(name)} * {step_us(name)}"),)
    if name == "model":
        return Condition("model"), Condition("model_requested")
    if name == "review":
        return (Condition(REVIEWED),)
    return (Condition("tags" if name == TAG else FIELDS[name].column),)


def grouped(
    connection: sqlite3.Connection,
    texts: Texts,
    by: Sequence[str],
    zone: tzinfo,
    parts: Sequence[Part],
    edges_us: Sequence[int],
) -> dict[Group, Sums]:
    """What each group adds up to."""
    namings = _namings(connection, texts, by, zone, parts)
    groups: defaultdict[Group, Sums] = defaultdict(partial(Sums, edges_us))
    for facts, raw in parts:
        for group in product(*[naming(values) for naming, values in zip(namings, raw, strict=True)]):
            groups[group].add(facts)
    return groups


def _namings(
    connection: sqlite3.Connection, texts: Texts, by: Sequence[str], zone: tzinfo, parts: Sequence[Part]
) -> list[Naming]:
    found = [set(values) for values in zip(*(raw for _, raw in parts), strict=True)] or [set() for _ in by]
    fields = list(zip(by, found, strict=True))
    numbers = {number for name, raw in fields if name in rows.SHARED for values in raw for number in values}
    known = texts.of(connection, numbers - {None})
    return [_once(_naming(name, raw, zone, known)) for name, raw in fields]


def _once(naming: Callable[..., Sequence[str | None]]) -> Naming:
    return cache(lambda values: naming(*values))


def _naming(
    name: str, found: set[tuple[Any, ...]], zone: tzinfo, texts: Mapping[int, str]
) -> Callable[..., Sequence[str | None]]:
    if name in SPANS:
        label = Labels(name, zone).label
        return lambda at_us: (label(at_us),)
    if name == "model":
        return partial(_served, _only(found), texts)
    if name == TAG:
        return _tags
    if name in rows.SHARED:
        return lambda number: (None if number is None else str(texts.get(number)),)
    if name in FIELDS and FIELDS[name].kind is Kind.FLAG:
        return lambda flag: (None if flag is None else "true" if flag else "false",)
    return lambda value: (None if value is None else str(value),)


def _tags(tags: str | None) -> Sequence[str | None]:
    return tuple(dict.fromkeys(orjson.loads(tags))) if tags else (None,)


def _only(found: Iterable[tuple[int | None, int | None]]) -> dict[int, int]:
    """The only model that a name led to, of names that led to one."""
    served: defaultdict[int, set[int]] = defaultdict(set)
    for model, requested in found:
        if model is not None and requested is not None:
            served[requested].add(model)
    return {requested: min(models) for requested, models in served.items() if len(models) == 1}


def _served(
    only: Mapping[int, int], texts: Mapping[int, str], model: int | None, requested: int | None
) -> Sequence[str | None]:
    """A call that no model served counts for the only model that its name otherwise led to, or for its name."""
    if model is None and requested is not None:
        model = only.get(requested, requested)
    return (None if model is None else str(texts.get(model)),)
