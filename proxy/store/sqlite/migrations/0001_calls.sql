-- Rows of calls and what is needed to write each of them once.
-- Runs inside a transaction that also sets user_version.

-- Texts that many rows share. kind: rows.KINDS; never updated, never reused.
-- metadata is held as the JSON array ["name","value"].
CREATE TABLE dim (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL,
    val  TEXT NOT NULL,
    UNIQUE (kind, val)
) STRICT;

-- The states of a call have fixed numbers: the index of running calls needs one.
INSERT INTO dim (id, kind, val) VALUES
    (1, 7, 'running'), (2, 7, 'ok'), (3, 7, 'error'), (4, 7, 'client_closed'),
    (5, 7, 'truncated'), (6, 7, 'interrupted'), (7, 7, 'blocked');

-- One row a call. Integers without a comment are ids in dim. NULL is unknown.
CREATE TABLE call (
    id                  INTEGER PRIMARY KEY,  -- in the order of first writes
    uuid                BLOB NOT NULL UNIQUE, -- UUIDv7, 16 bytes: sorts by time
    rev                 INTEGER NOT NULL,     -- grows with every insert and update
    started_at_us       INTEGER NOT NULL,     -- wall time, since 1970
    updated_at_us       INTEGER NOT NULL,     -- wall time of the last write
    journal             INTEGER,
    seq                 INTEGER,              -- number of the frame that ended the call
    segment             INTEGER,              -- where its bodies lie, as exchange.id = call.id
    project             INTEGER,
    upstream            INTEGER,
    dialect             INTEGER,
    endpoint            INTEGER,
    method              INTEGER,
    path                INTEGER,
    stream              INTEGER,              -- 0 or 1
    status              INTEGER NOT NULL,
    http_status         INTEGER,              -- a number
    error_type          INTEGER,
    error_message       TEXT,
    model_requested     INTEGER,
    model               INTEGER,
    latency_us          INTEGER,              -- a number, and so are the following up to cost
    ttft_us             INTEGER,
    input_tokens        INTEGER,
    output_tokens       INTEGER,
    cached_tokens       INTEGER,
    cache_write_tokens  INTEGER,
    reasoning_tokens    INTEGER,
    tokens_source       INTEGER,
    cost_nano_usd       INTEGER,              -- a number
    cost_source         INTEGER,
    finish_reason       INTEGER,
    user                INTEGER,
    session             INTEGER,
    conversation        INTEGER,
    key                 INTEGER,
    client              INTEGER,
    metadata            TEXT,                 -- JSON object, NULL when empty
    tags                TEXT,                 -- JSON array, NULL when empty
    request_id          TEXT,
    response_id         TEXT,
    request_bytes       INTEGER,              -- a number
    response_bytes      INTEGER,              -- a number
    preview_input       TEXT,
    preview_output      TEXT,
    notes               TEXT                  -- JSON array, NULL when empty
) STRICT;

CREATE UNIQUE INDEX call_rev ON call (rev);             -- followers
CREATE INDEX call_started ON call (started_at_us);      -- reports since a moment
CREATE UNIQUE INDEX call_end ON call (journal, seq) WHERE seq IS NOT NULL;
CREATE INDEX call_running ON call (id) WHERE status = 1;

-- Which calls carry a tag or a piece of metadata.
CREATE TABLE posting (
    dim  INTEGER NOT NULL,
    call INTEGER NOT NULL,
    PRIMARY KEY (dim, call)
) STRICT, WITHOUT ROWID;

-- How far each journal has been stored. Rows of finished journals stay for their count of lost calls.
CREATE TABLE journal (
    id         INTEGER PRIMARY KEY,           -- in dim
    low_seq    INTEGER NOT NULL,
    read_seq   INTEGER NOT NULL,
    calls_lost INTEGER NOT NULL,
    finished   INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Records that are missing from a journal. Reading a journal again finds the same gaps again.
CREATE TABLE gap (
    journal       INTEGER NOT NULL,           -- in dim
    first_seq     INTEGER NOT NULL,
    records       INTEGER NOT NULL,
    reason        TEXT NOT NULL,
    noticed_at_us INTEGER NOT NULL,
    PRIMARY KEY (journal, first_seq)
) STRICT, WITHOUT ROWID;

-- The last rev given out: max(call.rev) would step back when rows are erased. And the secret in all digests.
CREATE TABLE state (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    rev    INTEGER NOT NULL,
    secret BLOB NOT NULL
) STRICT;
INSERT INTO state (one, rev, secret) VALUES (1, 0, randomblob(16));
