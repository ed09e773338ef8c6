-- A body segment: self-contained and append-only, without secondary indexes. Whoever drops the
-- file drops the bodies of its calls and nothing else. Ids start at 1; 0 means nothing.

-- secret: goes before every piece that is hashed, with the project's name, so that equal hashes tell nothing across
-- stores and projects.
CREATE TABLE about (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    secret BLOB NOT NULL
) STRICT;

-- What pieces are packed with.
CREATE TABLE dictionary (
    id   INTEGER PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;

-- Unique bytes: a message, a long member of a request, what stands around these, or a whole body.
CREATE TABLE msg (
    id   INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,     -- bodies.digests
    enc  INTEGER NOT NULL,  -- blob.py: how it is packed
    size INTEGER NOT NULL,  -- of the bytes, not as stored
    body BLOB NOT NULL
) STRICT;

-- Media and vectors out of pieces: decoded, each once. No piece needs another segment's.
CREATE TABLE blob (
    id   INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    type TEXT NOT NULL,     -- media type, where it was first met
    enc  INTEGER NOT NULL,
    size INTEGER NOT NULL,  -- of the bytes, not as stored
    body BLOB NOT NULL
) STRICT;

-- A list of messages: the first ones of another list, and then its own. Calls that resend their history go on where
-- an earlier one ended.
CREATE TABLE run (
    id     INTEGER PRIMARY KEY,
    parent INTEGER NOT NULL,  -- 0: none
    place  INTEGER NOT NULL,  -- so many of the parent's own messages
    msgs   BLOB NOT NULL      -- layout.run_bytes
) STRICT;

-- One row a call.
CREATE TABLE exchange (
    id     INTEGER PRIMARY KEY,  -- call.id in main.db
    seal   BLOB NOT NULL,        -- layout.sealed: shows whether an exchange was put together wrongly
    enc    INTEGER NOT NULL,     -- of record
    size   INTEGER NOT NULL,
    record BLOB NOT NULL,        -- layout.Record, packed
    layout BLOB NOT NULL         -- layout.Layout of request and answer: where the pieces lie
) STRICT;

PRAGMA user_version = 3;
