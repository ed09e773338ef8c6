-- Sums beside the rows: which there are is said in rollups/levels.py.

-- Combinations of values that are counted apart. Integers are ids in dim; NULL: unknown, or not told apart.
-- 0 in rollup.combo stands for all combinations beyond the bound of a span.
CREATE TABLE rollup_combo (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    excluded        INTEGER,
    model           INTEGER,
    model_requested INTEGER,
    project         INTEGER,
    upstream        INTEGER,
    dialect         INTEGER,
    status          INTEGER,
    key             INTEGER,
    user            INTEGER
) STRICT;
CREATE INDEX rollup_combo_values ON rollup_combo
    (model, key, user, project, status, upstream, dialect, model_requested, excluded);

-- A number beyond 64 bits stands there as a text of digits.
CREATE TABLE rollup (
    level              INTEGER NOT NULL,  -- levels.LEVELS
    span               INTEGER NOT NULL,  -- so many minutes, hours or days after 1970 (UTC)
    combo              INTEGER NOT NULL,
    calls              ANY NOT NULL,
    errors             ANY NOT NULL,
    calls_with_cost    ANY NOT NULL,
    calls_without_cost ANY NOT NULL,
    input_tokens       ANY NOT NULL,
    output_tokens      ANY NOT NULL,
    cached_tokens      ANY NOT NULL,
    cache_write_tokens ANY NOT NULL,
    reasoning_tokens   ANY NOT NULL,
    cost_nano_usd      ANY NOT NULL,
    latency_us         BLOB,              -- spreads.Spread; NULL: of no calls, or not kept
    ttft_us            BLOB,
    tokens_per_s       BLOB,
    PRIMARY KEY (level, span, combo)
) STRICT, WITHOUT ROWID;

-- Spans with more combinations than are counted apart: no new ones are let in any more.
CREATE TABLE rollup_full (
    level INTEGER NOT NULL,
    span  INTEGER NOT NULL,
    PRIMARY KEY (level, span)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_state (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    built         INTEGER NOT NULL,       -- 0: rows of an older version are not counted yet
    minutes_since INTEGER NOT NULL        -- minutes before this one are not kept
) STRICT;
INSERT INTO rollup_state (one, built, minutes_since) SELECT 1, NOT EXISTS (SELECT 1 FROM call), 0;
