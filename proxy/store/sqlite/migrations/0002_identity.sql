-- Who asked, how well it streamed, what the upstream said of quotas; tools as spans; jobs.

-- Integers without a comment are ids in dim. NULL is unknown.
ALTER TABLE call ADD COLUMN trace INTEGER;
ALTER TABLE call ADD COLUMN parent INTEGER;
ALTER TABLE call ADD COLUMN prompt INTEGER;
ALTER TABLE call ADD COLUMN prompt_version INTEGER;
ALTER TABLE call ADD COLUMN agent INTEGER;
ALTER TABLE call ADD COLUMN program INTEGER;
ALTER TABLE call ADD COLUMN cwd INTEGER;
ALTER TABLE call ADD COLUMN branch INTEGER;
ALTER TABLE call ADD COLUMN excluded INTEGER;           -- why; such calls are out of lists and sums
ALTER TABLE call ADD COLUMN retry INTEGER;              -- a number: how many times the client had tried before
ALTER TABLE call ADD COLUMN retry_of TEXT;              -- uuid, as people write it
ALTER TABLE call ADD COLUMN service_tier INTEGER;
ALTER TABLE call ADD COLUMN system_fingerprint INTEGER;
ALTER TABLE call ADD COLUMN filtered INTEGER;
ALTER TABLE call ADD COLUMN documents INTEGER;          -- a number, and so are all that follow
ALTER TABLE call ADD COLUMN upstream_us INTEGER;
ALTER TABLE call ADD COLUMN chunks INTEGER;
ALTER TABLE call ADD COLUMN longest_gap_us INTEGER;
ALTER TABLE call ADD COLUMN tokens_per_s REAL;
ALTER TABLE call ADD COLUMN limit_requests INTEGER;
ALTER TABLE call ADD COLUMN remaining_requests INTEGER;
ALTER TABLE call ADD COLUMN reset_requests_us INTEGER;
ALTER TABLE call ADD COLUMN limit_tokens INTEGER;
ALTER TABLE call ADD COLUMN remaining_tokens INTEGER;
ALTER TABLE call ADD COLUMN reset_tokens_us INTEGER;
ALTER TABLE call ADD COLUMN retry_after_us INTEGER;
ALTER TABLE call ADD COLUMN request_digest INTEGER;
ALTER TABLE call ADD COLUMN background INTEGER;         -- 0 or 1
-- Of the row, not of the call:
ALTER TABLE call ADD COLUMN news_rev INTEGER;           -- rev when it came or ended; later ones are of what was added
ALTER TABLE call ADD COLUMN retried INTEGER;            -- 1: another call repeats it
ALTER TABLE call ADD COLUMN retrieved INTEGER;          -- 1: its answer is another call's; 2: of one that is not stored

-- Retrievals that stand for a call which is not stored. What else links calls is found in memory: memory.py.
CREATE INDEX call_standing ON call (response_id) WHERE retrieved = 2;

-- Tools that answers asked for; the result comes with a later request.
CREATE TABLE tool_call (
    call            INTEGER NOT NULL,  -- call.id
    place           INTEGER NOT NULL,  -- in its answer
    tool_id         TEXT,              -- the provider's id of it
    name            INTEGER,           -- in dim
    arguments_bytes INTEGER NOT NULL,
    digest          INTEGER NOT NULL,  -- of id, name and arguments
    server          INTEGER NOT NULL,  -- 1: run by the provider itself
    result_call     INTEGER,           -- call.id of the request that brought the result
    result_bytes    INTEGER,
    duration_us     INTEGER,
    failed          INTEGER,           -- 0 or 1
    PRIMARY KEY (call, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX tool_call_waiting ON tool_call (digest) WHERE result_call IS NULL AND server = 0;
CREATE INDEX tool_call_ended ON tool_call (result_call) WHERE result_call IS NOT NULL;

-- Work that was asked for by a command and done by whoever writes.
CREATE TABLE job (
    uuid          BLOB PRIMARY KEY,
    kind          TEXT NOT NULL,
    asked_at_us   INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL,
    state         TEXT NOT NULL,     -- waiting running done failed
    request       TEXT NOT NULL,     -- JSON
    receipt       TEXT NOT NULL      -- JSON: what was done so far
) STRICT, WITHOUT ROWID;
