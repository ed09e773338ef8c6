"""Who a visitor is, and what each role lets them do, project by project. Values only."""

from __future__ import annotations

import enum

from msgspec import Struct

from ..errors import UsageError
from ..query.fields import nearest
from ..store.accounts import EVERY_PROJECT, Grant

#: Begins the names of visitors that have a token of their own.
BY_TOKEN = "token:"  # noqa: S105


class Permission(enum.StrEnum):
    """What a route may ask of a visitor."""

    ROWS = "rows"  #: figures and metadata of calls
    CONTENT = "content"  #: what was said
    JUDGE = "judge"  #: feedback, reviews, notes, tags, saved views
    EXPORT = "export"  #: take many calls away at once
    RERUN = "rerun"  #: send a call again: it costs money
    METRICS = "metrics"  #: counters of this machine, which know no projects
    SQL = "sql"  #: questions in SQL, which see all projects
    MANAGE = "manage"  #: people, tokens, what tags there are, flush
    AUDIT = "audit"  #: who looked at what


_FIGURES = frozenset({Permission.ROWS, Permission.METRICS})
_SEES = _FIGURES | {Permission.CONTENT}

ROLES: dict[str, frozenset[Permission]] = {
    "metadata-viewer": _FIGURES,
    "viewer": _SEES,
    "reviewer": _SEES | {Permission.JUDGE},
    "exporter": _SEES | {Permission.EXPORT},
    "admin": frozenset(Permission) - {Permission.AUDIT},
    "auditor": frozenset({Permission.AUDIT}),
}

#: What makes sense for all projects at once only.
WHOLE = frozenset({Permission.METRICS, Permission.SQL, Permission.MANAGE, Permission.AUDIT})

GRANTS_MAX = 100  #: of one person or token
PROJECT_MAX = 200  #: characters of a project's name


def read_grant(text: str) -> Grant:
    """``viewer``, or ``viewer:support`` for one project alone. Raises ``UsageError``."""
    role, _, project = text.strip().partition(":")
    if role not in ROLES:
        raise UsageError(f"there is no role {role!r}{nearest(role, tuple(ROLES))}; roles: {', '.join(ROLES)}")
    grant = Grant(role, project.strip() or EVERY_PROJECT)
    if len(grant.project) > PROJECT_MAX:
        raise UsageError(f"a project's name has at most {PROJECT_MAX} characters")
    if grant.project != EVERY_PROJECT and ROLES[role] <= WHOLE:
        raise UsageError(f"the role {role} is for all projects at once: write {role} alone")
    return grant


def read_grants(text: str) -> tuple[Grant, ...]:
    """Several, with commas between them. Raises ``UsageError``, also for none."""
    found = tuple(dict.fromkeys(read_grant(part) for part in text.split(",") if part.strip()))
    if not 0 < len(found) <= GRANTS_MAX:
        raise UsageError(
            f"name from 1 to {GRANTS_MAX} roles, e.g. viewer or reviewer:support; roles: {', '.join(ROLES)}"
        )
    return found


def grant_text(grant: Grant) -> str:
    """As ``read_grant`` reads it."""
    return grant.role if grant.project == EVERY_PROJECT else f"{grant.role}:{grant.project}"


class Visitor(Struct, frozen=True):
    """Somebody who asks; without grants, somebody unknown."""

    name: str
    grants: tuple[Grant, ...] = ()
    program: bool = False  #: no person in a browser: it may say who of its users speaks

    def may(self, permission: Permission, project: str | None = None) -> bool:
        """In a project; None: in any of them, or in all for what is ``WHOLE``."""
        allowed = self.projects(permission)
        if allowed is None:
            return True
        return bool(allowed) if project is None and permission not in WHOLE else project in allowed

    def projects(self, permission: Permission) -> frozenset[str] | None:
        """Those where it is allowed; None means all."""
        granted = {grant.project for grant in self.grants if permission in ROLES.get(grant.role, ())}
        return None if EVERY_PROJECT in granted else frozenset(granted)


#: On loopback, without accounts: whoever can open the port can read the files as well.
OWNER = Visitor("local", (Grant("admin"), Grant("auditor")), program=True)
NOBODY = Visitor("")
