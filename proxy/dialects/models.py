"""The models that a provider offers: how many there are, or which one was asked for."""

from __future__ import annotations

from urllib.parse import unquote

from ..records import Parsed
from .base import Bodies
from .json_values import Notes, name
from .plain import answered

_LISTS = ("data", "models")  # OpenAI and Anthropic; Gemini and Ollama


class Models:
    """The dialect of ``/models``, ``/models/{id}`` and ``/api/tags``."""

    name = "models"

    def parse(self, bodies: Bodies) -> Parsed:
        """Count a list; take the name of a single one."""
        notes = Notes(bodies.notes)
        _, listed, single = bodies.path.rstrip("/").rpartition("/models/")
        answer = answered(bodies, notes) if bodies.response or bodies.http_status is not None else None
        fields = answer.fields if answer else {}
        found = next((fields[key] for key in _LISTS if isinstance(fields.get(key), list)), None)
        failed = answer.failed if answer else None
        return Parsed(
            stream=False,
            model_requested=name(unquote(single), "model", notes) if listed else None,
            model=name(fields.get("id") or fields.get("name"), "model of the answer", notes) if found is None else None,
            results=None if found is None else len(found),
            error_type=failed.type if failed else None,
            error_message=failed.message if failed else None,
            terminal=answer.terminal if answer else False,
            notes=notes.all(),
        )
