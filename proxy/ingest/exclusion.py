"""Calls that are kept but do not count: debugging, smoke tests, health checks. By rule, or because they say so."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from ..config import Exclude
from ..records import Call


def excluded(rules: tuple[Exclude, ...], call: Call, headers: Mapping[str, str]) -> str | None:
    """The name of the first rule that a call fits; None when it counts.

    ``headers``: those of the request that were recorded in clear, by lower-case name.
    """
    return next((rule.name for rule in rules if _fits(rule, call, headers)), None)


def _fits(rule: Exclude, call: Call, headers: Mapping[str, str]) -> bool:
    name, _, pattern = rule.header.partition(":")
    held = (
        (rule.path, call.path),
        (rule.key, call.key),
        (rule.user_agent, headers.get("user-agent")),
        (pattern.strip() or "*" if name else "", headers.get(name.strip().lower())),
    )
    return all(not wanted or _matches(value, wanted) for wanted, value in held)


def _matches(value: str | None, pattern: str) -> bool:
    return value is not None and fnmatchcase(value.lower(), pattern.lower())
