"""What one call added to its conversation: what was said since the answer that it continues."""

from __future__ import annotations

from collections.abc import Sequence

from ...records import Message, Parsed

_PROMPTS = ("system", "developer")


def new_messages(parsed: Parsed) -> Sequence[Message]:
    """Those since the last answer that the request repeats; of a first request all, but for the prompt."""
    messages = [message for message in parsed.input if message.role not in _PROMPTS]
    last = max((place for place, message in enumerate(messages) if message.role == "assistant"), default=-1)
    return messages[last + 1 :]
