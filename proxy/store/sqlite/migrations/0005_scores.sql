-- Scores, and indexes for filters.

-- Several may judge a call: each author's last value stands. WITHOUT ROWID: the key is the row.
CREATE TABLE score (
    call          INTEGER NOT NULL,  -- call.id
    name          INTEGER NOT NULL,  -- in dim
    author        INTEGER NOT NULL,  -- in dim
    value         REAL NOT NULL,
    created_us    INTEGER NOT NULL,  -- wall time, since 1970
    PRIMARY KEY (call, name, author)
) STRICT, WITHOUT ROWID;
CREATE INDEX score_value ON score (name, value);

-- Which calls are of a state and a model: there are few such kinds, so that the calls of each are counted at once.
CREATE INDEX call_kind ON call (status, model, model_requested);
CREATE INDEX tool_call_name ON tool_call (name);
