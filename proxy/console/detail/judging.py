"""What was said of a call, as its pages show it; and what forms of pages say, as the API would take it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ...errors import UsageError
from ...store.judgements import REVIEW, WHOLE, Happened, Judgements, Opinion
from .. import figures

MOST_TEXT = 100_000  #: characters of a text in a form
_VERDICTS: dict[str, bool | None] = {"good": True, "bad": False, "none": None}
_WORDS = {
    "feedback": "gave feedback",
    "note": "wrote a note",
    "tags": "changed tags",
    "view": "saved a view",
    "audit": "looked at it",
}


class Verdicts(Struct, frozen=True, kw_only=True):
    """Reviews, the visitor's own and the others'."""

    mine: str  #: good bad, or empty
    description: str  #: what the visitor wrote with it
    expected: str  #: the visitor's improved answer
    comment: str  #: the visitor's comment
    good: int
    bad: int
    others: tuple[Opinion, ...]  #: of reviews
    scores: tuple[Opinion, ...]  #: all other opinions


def verdicts(judged: Judgements, visitor: str) -> Verdicts:
    """From what was said, the newest first."""
    reviews = [each for each in judged.opinions if each.name == REVIEW and each.part == WHOLE]
    own = next((each for each in reviews if each.author == visitor), None)
    return Verdicts(
        mine=_word(own) if own else "",
        description=(own.comment or "") if own else "",
        expected=next((each.expected for each in judged.corrections if each.author == visitor), ""),
        comment=next((each.text for each in judged.comments if each.author == visitor and each.part == WHOLE), ""),
        good=sum(_word(each) == "good" for each in reviews),
        bad=sum(_word(each) == "bad" for each in reviews),
        others=tuple(each for each in reviews if each is not own),
        scores=tuple(each for each in judged.opinions if each not in reviews),
    )


def _word(opinion: Opinion) -> str:
    return "" if opinion.value is None else "good" if opinion.value >= 0.5 else "bad"


def opinion_text(opinion: Opinion) -> str:
    """``yes``, ``0.8``, ``polite``."""
    if opinion.value is None:
        return opinion.label or figures.UNKNOWN
    if opinion.truth:
        return "yes" if opinion.value else "no"
    return f"{opinion.value:g}"


def happened_text(happened: Happened) -> str:
    """What an event of the history was: ``review good``, ``tags: urgent``."""
    kind, said = happened.kind, happened.said
    parts = [f"{score.get('name')} {_value(score.get('value'))}" for score in _items(said.get("scores"))]
    parts += [f"{name} “{_short(said[name])}”" for name in ("comment", "expected", "text") if said.get(name)]
    parts += [f"+{tag}" for tag in (*_items(said.get("add")), *_items(said.get("tags")))]
    parts += [f"-{tag}" for tag in _items(said.get("remove"))]
    if kind == "note" and not said.get("text"):
        parts.append("taken away")
    return f"{_WORDS.get(kind, kind)}: {', '.join(map(str, parts))}" if parts else _WORDS.get(kind, kind)


def _value(value: Any) -> str:
    words = {None: "taken back", True: "yes", False: "no"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _short(text: Any) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= 120 else f"{line[:119]}…"


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


# --- forms -----------------------------------------------------------------------------------------


def feedback_of(call_id: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """Of a form, as the API takes feedback. A field that is not there says nothing. Raises ``UsageError``."""
    said: dict[str, Any] = {"call": call_id}
    if "review" in fields or "description" in fields:
        said["scores"] = [_review(fields)]
    for name in ("comment", "expected"):
        if name in fields:
            said[name] = _text(name, fields[name])
    if len(said) == 1:
        raise UsageError("nothing was said: review, comment or expected")
    return said


def _review(fields: Mapping[str, str]) -> dict[str, Any]:
    word = fields.get("review", "")
    if word not in _VERDICTS:
        raise UsageError("review: say good, bad, or none to take it back")
    score: dict[str, Any] = {"name": REVIEW, "value": _VERDICTS[word]}
    if fields.get("description"):
        score["comment"] = _text("description", fields["description"])
    return score


def tags_of(text: str) -> tuple[str, ...]:
    """``urgent, to do`` → each once."""
    return tuple(dict.fromkeys(tag.strip()[:200] for tag in text.split(",") if tag.strip()))


def _text(name: str, text: str) -> str:
    if len(text) > MOST_TEXT:
        raise UsageError(f"{name}: at most {MOST_TEXT:,} characters")
    return text.replace("\r\n", "\n")
