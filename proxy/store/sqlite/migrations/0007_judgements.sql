-- What people say of calls, and who looked at what.

-- By which ids of others a call can be found: its answer's, and its request's. An entry is all of it: 20 bits of
-- call.id >> 12, 31 bits of a hash of the id, 12 bits of call.id. So new ones lie close together, whatever they hash to.
CREATE TABLE call_name (entry INTEGER PRIMARY KEY) STRICT;
CREATE TABLE call_name_state (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    missing INTEGER NOT NULL      -- calls of an older version up to this call.id have no entries yet
) STRICT;
INSERT INTO call_name_state (one, missing) SELECT 1, coalesce(max(id), 0) FROM call;

-- Events that were stored, so that none is twice: the newest are enough.
CREATE TABLE told (
    id   INTEGER PRIMARY KEY,
    uuid BLOB NOT NULL UNIQUE     -- UUIDv7
) STRICT;

-- What was said, as it was said: the history of a call.
CREATE TABLE event (
    id     INTEGER PRIMARY KEY,
    uuid   BLOB NOT NULL,
    call   INTEGER,               -- call.id; NULL: of none, or of one that is not stored yet
    at_us  INTEGER NOT NULL,      -- wall time, since 1970
    author INTEGER NOT NULL,      -- in dim
    kind   TEXT NOT NULL,         -- records.EventKind
    said   TEXT NOT NULL          -- JSON
) STRICT;
CREATE INDEX event_call ON event (call) WHERE call IS NOT NULL;

-- Events whose call is not stored yet.
CREATE TABLE pending (
    event    INTEGER PRIMARY KEY, -- event.id
    way      INTEGER NOT NULL,    -- which id of the call it names: 0 its own, 1 its answer's, 2 its request's
    name     TEXT NOT NULL,
    bytes    INTEGER NOT NULL,
    since_us INTEGER NOT NULL
) STRICT;
CREATE INDEX pending_name ON pending (name);

-- Each author's last word on each name of each part of a call. score holds the means over parts, which filters read.
CREATE TABLE opinion (
    call    INTEGER NOT NULL,     -- call.id
    name    INTEGER NOT NULL,     -- in dim
    author  INTEGER NOT NULL,     -- in dim
    part    TEXT NOT NULL,        -- '': the call itself; 'trace': its conversation
    value   REAL,                 -- NULL: a category
    label   INTEGER,              -- in dim: a category
    truth   INTEGER NOT NULL,     -- 1: the value is a truth
    comment TEXT,
    at_us   INTEGER NOT NULL,
    PRIMARY KEY (call, name, author, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX opinion_label ON opinion (name, label) WHERE label IS NOT NULL;
INSERT INTO opinion (call, name, author, part, value, truth, at_us)
SELECT call, name, author, '', value, 0, created_us FROM score;
CREATE INDEX score_author ON score (author, name);

-- Comments and corrections: each author's last one on each part of a call.
CREATE TABLE remark (
    call   INTEGER NOT NULL,      -- call.id
    kind   INTEGER NOT NULL,      -- 0: a comment, 1: the answer that should have been given
    author INTEGER NOT NULL,      -- in dim
    part   TEXT NOT NULL,
    text   TEXT NOT NULL,
    at_us  INTEGER NOT NULL,
    PRIMARY KEY (call, kind, author, part)
) STRICT;
CREATE INDEX remark_kind ON remark (kind, call);

-- Internal notes.
CREATE TABLE note (
    uuid   BLOB NOT NULL PRIMARY KEY,
    call   INTEGER NOT NULL,      -- call.id
    author INTEGER NOT NULL,      -- in dim
    text   TEXT NOT NULL,
    at_us  INTEGER NOT NULL
) STRICT;
CREATE INDEX note_call ON note (call);

-- Tags that people put on a conversation or took off it, whatever its calls brought.
CREATE TABLE tagging (
    owner INTEGER NOT NULL,       -- conversation.id; call.id of a call that has none
    tag   INTEGER NOT NULL,       -- in dim
    put   INTEGER NOT NULL,       -- 1: on, 0: off
    PRIMARY KEY (owner, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX tagging_tag ON tagging (tag);

-- Conversations whose calls have not all been brought in line with tagging.
CREATE TABLE retagging (
    owner INTEGER PRIMARY KEY,
    after INTEGER NOT NULL        -- call.id: up to here they have
) STRICT;

-- Tags that were renamed or deleted, on all calls up to one: also when these calls are derived anew.
CREATE TABLE tag_change (
    id      INTEGER PRIMARY KEY,
    tag     INTEGER NOT NULL,     -- in dim
    renamed INTEGER,              -- in dim; NULL: it is gone
    upto    INTEGER NOT NULL,     -- call.id
    done    INTEGER NOT NULL      -- 1: on all of them
) STRICT;

-- What tags are.
CREATE TABLE tag (
    id          INTEGER PRIMARY KEY, -- in dim
    color       TEXT NOT NULL,
    description TEXT NOT NULL
) STRICT;

-- Metadata that came with feedback, whatever the call brought.
CREATE TABLE added (
    call     INTEGER PRIMARY KEY, -- call.id
    metadata TEXT NOT NULL        -- JSON object
) STRICT;

CREATE TABLE saved_view (
    uuid   BLOB NOT NULL PRIMARY KEY,
    name   TEXT NOT NULL,
    page   TEXT NOT NULL,
    query  TEXT NOT NULL,
    author INTEGER NOT NULL,      -- in dim
    at_us  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who looked at what. Rows are added and stay; each holds all that it says, so that a digest of it can be taken.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid    BLOB NOT NULL,
    at_us   INTEGER NOT NULL,
    who     TEXT NOT NULL,
    action  TEXT NOT NULL,
    target  TEXT NOT NULL,
    project TEXT NOT NULL,
    status  INTEGER NOT NULL
) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows are not changed'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows stay'); END;
