"""How long calls are kept, by project, and what becomes of the others: plain values that decide, and do nothing.

Two clocks: bodies go first, rows later; a body never outlives its row. Ages count from the moment
a call was accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from msgspec import Struct

from ..config import Config, Retention
from ..query.tree import Filter
from ..records import DEFAULT_PROJECT

DAY_US = 86_400_000_000
FOREVER = "forever"  #: the class of bodies that nothing deletes
KEPT = "kept"  #: the class of what pins and holds have saved


class Keeping(Struct, frozen=True):
    """Days; 0 is for good."""

    body_days: int = 0
    row_days: int = 0

    @property
    def bodies(self) -> int:
        """Days that bodies are kept."""
        return min(filter(None, (self.body_days, self.row_days)), default=0)


class Policy(Struct, frozen=True, kw_only=True):
    """What holds for the calls of each project."""

    usual: Keeping = Keeping()
    projects: Mapping[str, Keeping] = {}
    max_bytes: int = 0  #: of the whole store; 0: no cap
    batch_rows: int = Retention().batch_rows
    enabled: bool = True

    @classmethod
    def of(cls, config: Config) -> Self:
        """As the settings have it."""
        usual = Keeping(config.retention.body_days, config.retention.row_days)
        own = {
            each.name: Keeping(
                usual.body_days if each.body_days is None else each.body_days,
                usual.row_days if each.row_days is None else each.row_days,
            )
            for each in config.projects
        }
        settings = config.retention
        return cls(
            usual=usual,
            projects=own,
            max_bytes=settings.max_bytes if settings.enabled else 0,
            batch_rows=settings.batch_rows,
            enabled=settings.enabled,
        )

    def keeping(self, project: str | None) -> Keeping:
        """What holds for one project."""
        return self.projects.get(project or DEFAULT_PROJECT, self.usual)

    def class_of(self, project: str | None) -> str:
        """The retention class of a call's bodies: those of one class lie together, and go together."""
        days = self.keeping(project).bodies
        return f"{days}d" if days else FOREVER

    @property
    def classes(self) -> int:
        """How many retention classes bodies are divided among."""
        return len({keeping.bodies for keeping in (self.usual, *self.projects.values())})

    def bodies_before_us(self, project: str | None, now_us: int) -> int | None:
        """Bodies of calls accepted before then have expired; None: never."""
        return self._before_us(self.keeping(project).bodies, now_us)

    def rows_before_us(self, project: str | None, now_us: int) -> int | None:
        """The same for rows."""
        return self._before_us(self.keeping(project).row_days, now_us)

    def _before_us(self, days: int, now_us: int) -> int | None:
        return now_us - days * DAY_US if days and self.enabled else None

    @property
    def limits(self) -> list[Keeping]:
        """All that hold for somebody."""
        return [self.usual, *self.projects.values()] if self.enabled else []


FOR_GOOD = Policy()  #: nothing is ever deleted


class Hold(Struct, frozen=True, kw_only=True):
    """A legal hold: calls that match are kept while it stands."""

    name: str
    where: Filter
    words: str  #: the filter, for people
    since_us: int


class Purged(Struct, kw_only=True):
    """What retention has done so far: a receipt."""

    segments: int = 0  #: body files that went
    bodies: int = 0  #: calls whose bodies went with them
    bytes: int = 0  #: of these files, full text included
    moved: int = 0  #: calls in them whose bodies were copied first: pinned, on hold, or to be kept longer
    rows: int = 0
    returned_bytes: int = 0  #: of the main file
    refused: bool = False  #: nothing went for its age: the clock may be wrong; see ``problems``
    problems: list[str] = []


class Prunable(Struct, frozen=True, kw_only=True):
    """What would go of one project and day (UTC), and what pins and holds keep of it."""

    day: str
    project: str
    bodies: int = 0  #: calls that would lose them
    bytes: int = 0  #: of files, by the share that these calls have in them
    rows: int = 0
    kept: int = 0  #: calls past their limit that stay


class Absence(Struct, frozen=True, kw_only=True):
    """Why a call has no bodies."""

    reason: str  #: ``expired``; ``damaged``: they should be there; ``none``: none were ever stored
    since_us: int | None = None  #: when they expired
