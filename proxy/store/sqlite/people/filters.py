"""What people said, as SQL that says it of a row of ``call``. Put together with comparisons in ``compile``."""

from __future__ import annotations

from ...judgements import REVIEW
from .. import rows
from .opinions import COMMENT, CORRECTION

_REVIEWS = f"name = (SELECT id FROM dim WHERE kind = {rows.KINDS['score']} AND val = '{REVIEW}')"

#: What reviewers think on average, in a word.
REVIEWED = (
    "(SELECT CASE WHEN avg(value) > 0.5 THEN 'good' WHEN avg(value) < 0.5 THEN 'bad' WHEN avg(value) = 0.5"
    f" THEN 'mixed' END FROM score WHERE score.call = call.id AND {_REVIEWS})"
)
#: SELECT of the calls that were reviewed.
REVIEWS = f"SELECT call FROM score WHERE {_REVIEWS}"
#: …by some (``{}``: numbers of authors).
REVIEWS_BY = f"{REVIEWS} AND author IN ({{}})"
#: SELECT of the calls of which such a thing was said.
SAID = {
    "score": "SELECT call FROM opinion WHERE 1",
    "review": REVIEWS,
    "comment": f"SELECT call FROM remark WHERE kind = {COMMENT}",
    "correction": f"SELECT call FROM remark WHERE kind = {CORRECTION}",
    "note": "SELECT call FROM note WHERE 1",
}
