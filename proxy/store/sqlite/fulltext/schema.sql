-- Words of the calls of one body segment. Whoever drops the file drops nothing that bodies do not hold.

CREATE TABLE about (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    done_rev    INTEGER NOT NULL DEFAULT 0,  -- calls of all segments up to this rev in main.db have been looked at
    built_after INTEGER,                     -- calls up to this id have been looked at again; NULL: there is no need to
    merged      INTEGER NOT NULL DEFAULT 0   -- 1: nothing comes any more, and all is in order
) STRICT;
INSERT INTO about (one) VALUES (1);

-- rowid: call.id in main.db. Contentless: texts stand in the bodies. The largest column first, it is the smallest on
-- disk. The texts are folded (query.letters): all that is not ASCII is a letter, and ASCII alone has case.
CREATE VIRTUAL TABLE words USING fts5 (output, tools, input, system, content = '', detail = full, tokenize = 'ascii');

-- Measured over agents' traffic: merging later and in larger pieces writes half as much and takes a quarter less CPU.
INSERT INTO words (words, rank) VALUES ('automerge', 8);
INSERT INTO words (words, rank) VALUES ('hashsize', 4194304);

PRAGMA user_version = 1;
