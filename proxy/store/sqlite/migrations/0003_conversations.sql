-- Which calls belong together, and which system prompts they sent.

-- Public names of a conversation were never written; the number of one takes the column's place.
UPDATE call SET conversation = NULL WHERE conversation IS NOT NULL;
ALTER TABLE call ADD COLUMN follows INTEGER;        -- call.id: the one whose answer the request continues
ALTER TABLE call ADD COLUMN follows_by INTEGER;     -- in dim: how that was found
ALTER TABLE call ADD COLUMN answered INTEGER;       -- keyed digest of the answer, as a later request would repeat it
ALTER TABLE call ADD COLUMN continues INTEGER;      -- keyed digest of what it continues, until that is found
ALTER TABLE call ADD COLUMN system_version INTEGER; -- prompt.number

-- Calls of a conversation but for its oldest row, which has its number.
CREATE INDEX call_conversation ON call (conversation) WHERE conversation <> id;

-- Calls whose texts continue each other. Counts are of calls that are not excluded, kept by triggers.
CREATE TABLE conversation (
    id            INTEGER PRIMARY KEY,          -- call.id of one of its calls
    first         INTEGER,                      -- call.id of its first call; NULL: the same
    last          INTEGER NOT NULL DEFAULT 0,   -- call.id of its newest one
    calls         INTEGER NOT NULL DEFAULT 0,
    errors        INTEGER NOT NULL DEFAULT 0,
    tools         INTEGER NOT NULL DEFAULT 0,
    input_tokens  INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost_nano_usd INTEGER NOT NULL DEFAULT 0,
    started_by    INTEGER,                      -- call.id: a tool that its answer asked for began this one
    session       INTEGER,                      -- in dim: the session that the client named
    trace         INTEGER                       -- in dim: the trace, where no session is named
) STRICT;
CREATE INDEX conversation_last ON conversation (last);
CREATE INDEX conversation_started_by ON conversation (started_by) WHERE started_by IS NOT NULL;
CREATE INDEX conversation_session ON conversation (session) WHERE session IS NOT NULL;
CREATE INDEX conversation_trace ON conversation (trace) WHERE trace IS NOT NULL;

-- What a call adds: figures are held in bounds, so that no sum leaves 64 bits. 3, 5, 6: error, truncated, interrupted.
CREATE TRIGGER call_in_conversation
AFTER UPDATE OF conversation, excluded, status, input_tokens, output_tokens, cost_nano_usd ON call
WHEN (OLD.conversation IS NOT NULL OR NEW.conversation IS NOT NULL) AND (
    OLD.conversation IS NOT NEW.conversation OR OLD.excluded IS NOT NEW.excluded OR OLD.status <> NEW.status
    OR OLD.input_tokens IS NOT NEW.input_tokens OR OLD.output_tokens IS NOT NEW.output_tokens
    OR OLD.cost_nano_usd IS NOT NEW.cost_nano_usd)
BEGIN
    UPDATE conversation SET
        calls = calls - 1,
        errors = errors - (OLD.status IN (3, 5, 6)),
        tools = tools - (SELECT count(*) FROM tool_call WHERE call = OLD.id),
        input_tokens = max(0, input_tokens - max(0, min(coalesce(OLD.input_tokens, 0), 1000000000000))),
        output_tokens = max(0, output_tokens - max(0, min(coalesce(OLD.output_tokens, 0), 1000000000000))),
        cost_nano_usd = max(0, cost_nano_usd - max(0, min(coalesce(OLD.cost_nano_usd, 0), 1000000000000000)))
    WHERE id = OLD.conversation AND OLD.excluded IS NULL;
    UPDATE conversation SET
        last = max(last, NEW.id),
        calls = calls + 1,
        errors = errors + (NEW.status IN (3, 5, 6)),
        tools = tools + (SELECT count(*) FROM tool_call WHERE call = NEW.id),
        input_tokens = min(input_tokens, 1 << 61) + max(0, min(coalesce(NEW.input_tokens, 0), 1000000000000)),
        output_tokens = min(output_tokens, 1 << 61) + max(0, min(coalesce(NEW.output_tokens, 0), 1000000000000)),
        cost_nano_usd = min(cost_nano_usd, 1 << 61) + max(0, min(coalesce(NEW.cost_nano_usd, 0), 1000000000000000))
    WHERE id = NEW.conversation AND NEW.excluded IS NULL;
END;

-- A call that is deleted takes its figures with it; the last one takes the conversation.
CREATE TRIGGER call_leaves_conversation AFTER DELETE ON call WHEN OLD.conversation IS NOT NULL
BEGIN
    UPDATE conversation SET
        calls = calls - 1,
        errors = errors - (OLD.status IN (3, 5, 6)),
        tools = tools - (SELECT count(*) FROM tool_call WHERE call = OLD.id),
        input_tokens = max(0, input_tokens - max(0, min(coalesce(OLD.input_tokens, 0), 1000000000000))),
        output_tokens = max(0, output_tokens - max(0, min(coalesce(OLD.output_tokens, 0), 1000000000000))),
        cost_nano_usd = max(0, cost_nano_usd - max(0, min(coalesce(OLD.cost_nano_usd, 0), 1000000000000000)))
    WHERE id = OLD.conversation AND OLD.excluded IS NULL;
    UPDATE conversation SET first = (SELECT min(id) FROM call WHERE conversation = OLD.conversation AND conversation <> id)
    WHERE id = OLD.conversation AND coalesce(first, id) = OLD.id;
    UPDATE conversation SET last = coalesce(
        (SELECT max(id) FROM call WHERE conversation = OLD.conversation AND conversation <> id), first, id)
    WHERE id = OLD.conversation AND last = OLD.id;
    DELETE FROM conversation
    WHERE id = OLD.conversation AND calls <= 0
        AND NOT EXISTS (SELECT 1 FROM call WHERE conversation = OLD.conversation AND conversation <> id)
        AND NOT EXISTS (SELECT 1 FROM call WHERE id = OLD.conversation AND conversation = OLD.conversation);
END;

CREATE TRIGGER tool_in_conversation AFTER INSERT ON tool_call
BEGIN
    UPDATE conversation SET tools = tools + 1
    WHERE id = (SELECT conversation FROM call WHERE id = NEW.call AND excluded IS NULL);
END;

CREATE TRIGGER tool_leaves_conversation AFTER DELETE ON tool_call
BEGIN
    UPDATE conversation SET tools = tools - 1
    WHERE id = (SELECT conversation FROM call WHERE id = OLD.call AND excluded IS NULL);
END;

CREATE TRIGGER tool_moves AFTER UPDATE OF call ON tool_call WHEN OLD.call <> NEW.call
BEGIN
    UPDATE conversation SET tools = tools - 1
    WHERE id = (SELECT conversation FROM call WHERE id = OLD.call AND excluded IS NULL);
    UPDATE conversation SET tools = tools + 1
    WHERE id = (SELECT conversation FROM call WHERE id = NEW.call AND excluded IS NULL);
END;

-- Each distinct system prompt of a project; equal but for what varies at fixed places is one.
CREATE TABLE prompt (
    project     INTEGER NOT NULL,  -- in dim
    number      INTEGER NOT NULL,  -- from 1
    predecessor INTEGER,           -- number of the version before it
    first_us    INTEGER NOT NULL,  -- wall time of the first call with it
    last_us     INTEGER NOT NULL,
    size        INTEGER NOT NULL,  -- bytes of the template, unpacked
    template    BLOB NOT NULL,     -- zstd: a JSON array of texts, between which something varies
    PRIMARY KEY (project, number)
) STRICT, WITHOUT ROWID;
