"""Who a visitor is, and what each role lets them do, project by project. Values only."""

from __future__ import annotations

import enum

from msgspec import Struct

EVERY_PROJECT = "*"


class Permission(enum.StrEnum):
    """What a route may ask of a visitor."""

    ROWS = "rows"  #: figures and metadata of calls
    CONTENT = "content"  #: what was said
    JUDGE = "judge"  #: feedback, reviews, notes, tags, saved views
    EXPORT = "export"  #: take many calls away at once
    RERUN = "rerun"  #: send a call again: it costs money
    SQL = "sql"  #: questions in SQL, which see all projects
    MANAGE = "manage"  #: people, tokens, what tags there are, flush
    AUDIT = "audit"  #: who looked at what


_SEES = frozenset({Permission.ROWS, Permission.CONTENT})

ROLES: dict[str, frozenset[Permission]] = {
    "metadata-viewer": frozenset({Permission.ROWS}),
    "viewer": _SEES,
    "reviewer": _SEES | {Permission.JUDGE},
    "exporter": _SEES | {Permission.EXPORT},
    "admin": frozenset(Permission) - {Permission.AUDIT},
    "auditor": frozenset({Permission.AUDIT}),
}

#: What makes sense for all projects at once only.
WHOLE = frozenset({Permission.SQL, Permission.MANAGE, Permission.AUDIT})


class Grant(Struct, frozen=True):
    """A role in a project, or in ``EVERY_PROJECT``."""

    role: str
    project: str = EVERY_PROJECT


class Visitor(Struct, frozen=True):
    """Somebody who asks; without grants, somebody unknown."""

    name: str
    grants: tuple[Grant, ...] = ()

    def may(self, permission: Permission, project: str | None = None) -> bool:
        """In a project; None: in any of them, or in all for what is ``WHOLE``."""
        allowed = self.projects(permission)
        if allowed is None:
            return True
        return bool(allowed) if project is None and permission not in WHOLE else project in allowed

    def projects(self, permission: Permission) -> frozenset[str] | None:
        """Those where it is allowed; None means all."""
        granted = {grant.project for grant in self.grants if permission in ROLES[grant.role]}
        return None if EVERY_PROJECT in granted else frozenset(granted)


#: On loopback, without accounts: whoever can open the port can read the files as well.
OWNER = Visitor("local", (Grant("admin"), Grant("auditor")))
NOBODY = Visitor("")
