"""Running the stages over a call; a stage that fails costs its own findings, never the row.

The raw exchange of such a call goes to quarantine (0600, expires), so that nothing is lost and a
later version can be run over it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ..bodies.cut import Cut, uncut
from ..bodies.prefixes import Prefixes
from ..clock import id_text, wall_us
from ..config import Config
from ..records import Call, Exchange, Status, evolve
from .memory import shares
from .programs import Program
from .stages import STAGES, STAGES_OF_NO_LOG, STAGES_OF_RUNNING, Item, Stage, first_item, is_plain, judge

log = logging.getLogger(__name__)
_DAY_S = 86_400
_DAY_US = _DAY_S * 1_000_000

#: What goes into the digests of a project's pieces, as the store has it. Without it, bodies are not cut.
Salt = Callable[[str], bytes]


class Pipeline:
    """From an exchange to its row."""

    def __init__(
        self, config: Config, quarantine: Quarantine, stages: Sequence[Stage] = STAGES, *, salt: Salt | None = None
    ) -> None:
        self._config = config
        self._quarantine = quarantine
        self._stages = stages
        self._salt = salt
        self._prefixes = self._no_prefixes()

    def _no_prefixes(self) -> Prefixes:
        return Prefixes(shares(self._config.ingest.memory_mb).beginnings)

    def under(self, config: Config) -> Pipeline:
        """The same with other settings."""
        return Pipeline(config, self._quarantine, self._stages, salt=self._salt)

    def run(self, exchange: Exchange, program: Program | None = None) -> Item:
        """All that is found out about an ended call; ``program``: the client, when it runs on this machine."""
        request = self._cut(exchange, self._salt) if self._salt and not exchange.begin.no_log else None
        item = first_item(exchange, self._config, program, request)
        for stage in STAGES_OF_NO_LOG if exchange.begin.no_log else self._stages:
            item = self._through(stage, item)
        if request is not None:
            self._prefixes.learned(request, plain=is_plain(item))
        return item if item.call.status != Status.RUNNING else judge(item)

    def _cut(self, exchange: Exchange, salt: Salt) -> Cut:
        """Bodies of one day alone begin alike: a later day's words are indexed with that day's."""
        begin = exchange.begin
        of_project = salt(begin.project)
        try:
            space = f"{wall_us() // _DAY_US} {begin.endpoint}".encode("utf-8", "surrogatepass")
            return self._prefixes.cut(exchange.request_body, of_project, space)
        except Exception:
            log.exception("the request of call %s cannot be cut; it is stored as one piece", id_text(begin.id))
            self._prefixes = self._no_prefixes()
            return uncut(exchange.request_body, of_project)

    def _through(self, stage: Stage, item: Item) -> Item:
        try:
            return stage(item)
        except Exception:
            log.exception("stage %s failed on call %s; its bytes are in quarantine", stage.__name__, item.call.id)
            self._quarantine.keep_exchange(item.exchange)
            return item.with_call(notes=(*item.call.notes, f"not understood: stage {stage.__name__} failed"))

    def bare(self, exchange: Exchange) -> Call:
        """The row of a call whose findings the store does not take: only what the relay saw."""
        self._quarantine.keep_exchange(exchange)
        item = first_item(exchange, self._config)
        return judge(item.with_call(notes=("not understood: its findings could not be stored",))).call

    def running(self, exchange: Exchange, program: Program | None = None) -> Item:
        """A call that has not ended: what was asked, and nothing of the answer."""
        asked = evolve(exchange, head=None, response_body=b"", marks=())
        item = first_item(asked, self._config, program)
        for stage in STAGES_OF_RUNNING if not exchange.begin.no_log else ():
            item = self._through(stage, item)
        return item.with_call(
            status=Status.RUNNING, request_bytes=None, response_bytes=None, notes=(), finish_reason=None
        )


class Quarantine:
    """A folder of records that could not be processed, bounded by age and size."""

    def __init__(self, directory: Path, days: int, most_bytes: int = 1 << 30) -> None:
        self._directory = directory
        self._days = days
        self._most_bytes = most_bytes

    def keep(self, name: str, data: bytes) -> None:
        """Write a record for later; failing to is logged, no more."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._directory / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
        except OSError as error:
            log.error("quarantine cannot be written: %s", error)

    def keep_exchange(self, exchange: Exchange) -> None:
        """Keep the raw bytes of a call."""
        self.keep(f"{id_text(exchange.begin.id)}.exchange", msgspec.msgpack.encode(exchange))

    def expire(self) -> int:
        """Delete what is too old or, oldest first, too much; how many files are left."""
        files = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in self._directory.glob("*"))
        room, kept = self._most_bytes, 0
        for modified, size, path in reversed(files):
            room -= size
            if room < 0 or time.time() - modified > self._days * _DAY_S:
                path.unlink(missing_ok=True)
            else:
                kept += 1
        return kept
