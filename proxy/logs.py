"""llmtap's own log: on stderr, for people or as JSON lines; libraries that quote their peers are kept quiet."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import msgspec

from .clock import rfc3339
from .config import Log as Settings

#: Their messages quote header lines, and with them keys.
_QUIET = ("aiohttp.access", "aiohttp.client", "aiohttp.internal", "aiohttp.server", "aiohttp.web", "asyncio")


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """``{"at": …, "level": …, "process": …, "message": …}``, with ``error`` when there is one."""
        line = {
            "at": rfc3339(int(record.created * 1_000_000)),
            "level": record.levelname.lower(),
            "process": record.processName,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def start(settings: Settings, process: str) -> None:
    """Log to stderr from now on; ``process`` names this one among the processes of ``serve``."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter(f"%(asctime)s {process:<10} %(levelname)-7s %(message)s", "%H:%M:%S")
    handler.setFormatter(JsonLines() if settings.format == "json" else text)
    handler.addFilter(_named(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("proxy").setLevel(settings.level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _named(process: str) -> Callable[[logging.LogRecord], bool]:
    def name(record: logging.LogRecord) -> bool:
        record.processName = process
        return True

    return name
