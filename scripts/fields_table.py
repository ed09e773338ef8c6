"""Writes ``docs/fields.md``: what calls can be filtered by, from the table of fields, and how.

``make fields-table`` runs it; ``tests/query/test_fields.py`` fails when the document and the table
have drifted apart.
"""

from __future__ import annotations

from pathlib import Path

from proxy.query.fields import FIELDS, KEYED, OPERATORS, Field, Kind
from proxy.store.sqlite.views import VIEWS

TABLE = Path(__file__).resolve().parent.parent / "docs" / "fields.md"

HEAD = """\
# Filters

`--filter` chooses calls. It takes two forms, which mean the same.

**In SQL's words**: comparisons joined by `and`, `or`, `not` and brackets.

```
status != 'ok' and cost_usd > 0.10
model in ('gpt-5', 'o3') and latency_ms between 1000 and 5000
created < CURRENT_DATE - INTERVAL 1 DAY
metadata.user_id = '1234' or tags has 'prod'
scores.Factuality > 0.5 and tool = 'search'
text match '"refund policy" refund'
```

- Comparisons: `= != < <= > >=`, `in`, `between`, `like` and `ilike` (also with `not`), `is null`, `is not null`.
- In patterns of `like`, `%` is any text, `_` any one character, and `\\` takes the next character as it is. `ilike`
  does
  not mind case, but for letters beyond ASCII.
- No comparison matches what is unknown, also not `!=`, `not in` or `not like`; `not` before a comparison turns that:
  `not user = 'ada'` finds calls without a user, `user != 'ada'` does not.
- Times are dates or times in quotes, `CURRENT_DATE`, `CURRENT_TIMESTAMP`, `now()`, and these with intervals added or
  taken away: `- INTERVAL 1 DAY`, `- INTERVAL '2 hours 30 minutes'`. Days are those of the viewer's zone.
- Names in metadata and scores that hold more than letters, digits and `_` stand in double quotes: `metadata."my-key"`.

**The short form**, for typing: terms that must all hold.

```
status:error,truncated cost:>0.1 -tag:test
model:gpt-* latency:2s..10s created:>2h
metadata.team:blue user:* "refund policy" refund
```

- `name:a,b` is either; `-` before a term turns it; `>` `>=` `<` `<=` compare; `1..5`, `1..` and `..5` are ranges.
- `*` in a value is any text; alone, it is whatever is known. Values with blanks or commas stand in double quotes.
- Durations take `ms s m h d`, numbers `k M`. A time is a date, which alone is its whole day, or a span such as `2h`,
  `1d`
  or `2w`: that long ago, so that `created:>1d` is since a day ago.
- Words and quoted phrases without a name are searched for, as `text match` does.

A filter is read in SQL's words when, outside double quotes, it holds a comparison sign that does not stand right
behind a
colon, a bracket, a text in single quotes, or a field followed by `is in not like ilike between has match`; everything
else is in the short form.

# Fields

"index": a comparison by `=` is answered by an index, and for times and scores by `<` and `>` too; a filter on other
fields reads calls, newest first, until it has enough.

"""
SCHEMA = """
# Views of `llmtap sql`

`llmtap sql "SELECT id, model, cost_usd FROM calls ORDER BY number DESC LIMIT 10"` runs one SELECT of
SQLite's SQL on these views. Nothing can be written, and a statement has limits of time and rows. Views are joined by
`number`, which is quick, as in `SELECT model, value FROM scores JOIN calls USING (number)`.
"""


def document() -> str:
    """The whole file."""
    return HEAD + _fields() + SCHEMA + "".join(_views())


def _fields() -> str:
    head = ["field", "short", "type", "index", "comparisons", "what it is"]
    return _table([head, *([*_row(field)] for field in FIELDS.values())])


def _row(field: Field) -> tuple[str, ...]:
    name = f"{field.name}.NAME" if field.kind in KEYED else field.name
    operators = "has " * (field.kind is Kind.TAGS) + " ".join(OPERATORS[field.kind]) or "match"
    short = f"`{field.short}`" if field.short else ""
    return f"`{name}`", short, field.kind.name.lower(), "✓" if field.indexed else "", f"`{operators}`", field.help


def _views() -> list[str]:
    return [
        f"\n## {view.name}\n\n{view.help.capitalize()}.\n\n"
        + _table([["column", "type", "what it is"], *([f"`{c.name}`", c.type, c.help] for c in view.columns)])
        for view in VIEWS.values()
    ]


def _table(rows: list[list[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(document(), encoding="utf-8")
