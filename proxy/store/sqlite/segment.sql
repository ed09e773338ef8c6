-- A body segment: self-contained and append-only, without secondary indexes. Whoever drops the
-- file drops the bodies of its calls and nothing else. Ids start at 1; 0 means nothing.

-- salt: goes before every message that is hashed, so that equal hashes tell nothing across segments.
CREATE TABLE about (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    salt BLOB NOT NULL
) STRICT;

-- Unique bytes: a message, or what stands before or after the messages of a body, or a whole body.
CREATE TABLE msg (
    id   INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,     -- first 16 bytes of SHA-256(salt, bytes)
    enc  INTEGER NOT NULL,  -- 0 raw, 1 zstd; +2: a template, whose media and vectors are blobs
    size INTEGER NOT NULL,  -- of the bytes, not as stored
    body BLOB NOT NULL
) STRICT;

-- Media and vectors out of messages: decoded, each once. No message needs another segment's.
CREATE TABLE blob (
    id   INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,     -- first 16 bytes of SHA-256(salt, bytes)
    type TEXT NOT NULL,     -- media type, where it was first met
    enc  INTEGER NOT NULL,  -- 0 raw, 1 zstd
    size INTEGER NOT NULL,  -- of the bytes, not as stored
    body BLOB NOT NULL
) STRICT;

-- A list of messages is its last node: calls that resend their history share the nodes of it.
CREATE TABLE node (
    id     INTEGER PRIMARY KEY,
    parent INTEGER NOT NULL,
    msg    INTEGER NOT NULL
) STRICT;

-- One row a call. A body is head + sep.join(messages up to node) + tail.
CREATE TABLE exchange (
    id            INTEGER PRIMARY KEY,
    call          BLOB NOT NULL,     -- its uuid
    seal          BLOB NOT NULL,     -- bodies.seal: first 8 bytes of a hash of all that follows
    enc           INTEGER NOT NULL,  -- of record, as in msg
    size          INTEGER NOT NULL,
    record        BLOB NOT NULL,     -- msgpack of bodies.Record: begin, head, end, marks
    request_head  INTEGER NOT NULL,
    request_node  INTEGER NOT NULL,
    request_tail  INTEGER NOT NULL,
    request_sep   BLOB,
    response_head INTEGER NOT NULL,
    response_node INTEGER NOT NULL,
    response_tail INTEGER NOT NULL,
    response_sep  BLOB
) STRICT;

PRAGMA user_version = 2;
