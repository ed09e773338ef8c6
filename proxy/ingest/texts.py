"""What a call can be found by: its new texts, bounded, handed to the store with the call."""

from __future__ import annotations

from ..clock import wall_us
from ..records import Parsed, evolve
from ..settings import Store as Settings
from ..store.base import StoredCall
from ..store.texts import NewTexts

_DAY_US = 86_400_000_000


class Findable:
    """Adds texts to calls. What was new on one day is new on the next too: the store keeps days apart."""

    def __init__(self, settings: Settings) -> None:
        self._most_chars = settings.full_text_chars
        self._new_texts = NewTexts(self._most_chars) if settings.full_text else None

    def __call__(self, stored: StoredCall, parsed: Parsed) -> StoredCall:
        """The call with what it can be found by; as it is when full text is off."""
        if self._new_texts is None or stored.exchange is None:
            return stored
        texts = self._new_texts.of(parsed, f"{wall_us() // _DAY_US} {stored.call.project}")
        if texts.cut:
            note = f"only the first {self._most_chars:,} characters of its texts can be searched"
            stored = evolve(stored, call=evolve(stored.call, notes=(*stored.call.notes, note)))
        return evolve(stored, texts=texts)
