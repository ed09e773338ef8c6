-- How long bodies and rows are kept, and what keeps them longer.

-- Body files. One whose bodies have expired keeps its row: its calls' bodies are gone, since when, and rightly so.
CREATE TABLE segment (
    id         INTEGER PRIMARY KEY,        -- in dim: the file's name
    class      TEXT NOT NULL,              -- of policy.class_of when it was begun, or kept
    first_us   INTEGER NOT NULL,           -- when its oldest call was accepted
    last_us    INTEGER NOT NULL,           -- and its newest
    dropped_us INTEGER,                    -- when its bodies expired; NULL: they are there
    cleared    INTEGER NOT NULL DEFAULT 0  -- 1: so have the previews of its calls
) STRICT;
INSERT INTO segment (id, class, first_us, last_us)
SELECT segment, 'default', min(started_at_us), max(started_at_us) FROM call WHERE segment IS NOT NULL GROUP BY segment;

-- Calls that are kept whatever their age.
CREATE TABLE pin (
    call  INTEGER PRIMARY KEY,  -- call.id
    at_us INTEGER NOT NULL
) STRICT;

-- Legal holds: calls that match are kept, also those that come later, until the hold is released.
CREATE TABLE hold (
    name     TEXT PRIMARY KEY,
    filter   TEXT NOT NULL,     -- JSON of query.tree
    words    TEXT NOT NULL,     -- the filter, for people
    since_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- UTC days from which retention has deleted rows: sums kept elsewhere hold more than the rows of these days do.
CREATE TABLE thinned (
    day     INTEGER PRIMARY KEY,  -- since 1970
    calls   INTEGER NOT NULL,     -- deleted so far
    last_us INTEGER NOT NULL      -- when that was done last
) STRICT;
