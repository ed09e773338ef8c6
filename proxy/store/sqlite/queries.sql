-- Statements that are always the same. What depends on a filter is put together in compile.py.

-- name: dim_id
-- The number of a text.
SELECT id FROM dim WHERE kind = ? AND val = ?;

-- name: add_dim
INSERT INTO dim (kind, val) VALUES (?, ?);

-- name: last_rev
SELECT rev FROM state;

-- name: set_rev
UPDATE state SET rev = ?;

-- name: secret
-- Goes into the digests of everything that is stored.
SELECT secret FROM state;

-- name: last_call
SELECT coalesce(max(id), 0) FROM call;

-- name: stored_version
-- What is known of a call that is about to be written.
SELECT id, status, segment IS NOT NULL, metadata, tags FROM call WHERE uuid = ?;

-- name: stored_end
-- Whether the frame that ended a call has been stored; journal by its name (kind 23).
SELECT 1 FROM call
WHERE journal = (SELECT id FROM dim WHERE kind = 23 AND val = ?) AND seq = ?;

-- name: add_posting
INSERT OR IGNORE INTO posting (dim, call) VALUES (?, ?);

-- name: drop_posting
DELETE FROM posting WHERE dim = ? AND call = ?;

-- name: set_position
INSERT INTO journal (id, low_seq, read_seq, calls_lost) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    low_seq = excluded.low_seq, read_seq = excluded.read_seq, calls_lost = excluded.calls_lost, finished = 0;

-- name: finish_journal
UPDATE journal SET finished = 1 WHERE id = ?;

-- name: add_gap
-- A gap that is read again is the same gap; it may have grown.
INSERT INTO gap (journal, first_seq, records, reason, noticed_at_us) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (journal, first_seq) DO UPDATE SET records = max(records, excluded.records);

-- name: positions
SELECT dim.val, low_seq, read_seq, calls_lost FROM journal JOIN dim ON dim.id = journal.id WHERE NOT finished;

-- name: stored_seqs
SELECT seq FROM call
WHERE journal = (SELECT id FROM dim WHERE kind = 23 AND val = ?) AND seq >= ?;

-- name: running
-- Calls that run, with the journal that would end them.
SELECT call.id, dim.val FROM call LEFT JOIN dim ON dim.id = call.journal WHERE call.status = 1;

-- name: interrupt
-- 6 is the state interrupted.
UPDATE call SET status = 6, rev = ?1, news_rev = ?1, updated_at_us = ?2 WHERE id = ?3;

-- name: nth_newest
SELECT uuid FROM call ORDER BY uuid DESC LIMIT 1 OFFSET ?;

-- name: by_prefix
SELECT uuid FROM call WHERE uuid BETWEEN ? AND ? ORDER BY uuid DESC LIMIT ?;

-- name: by_suffix
SELECT uuid FROM call WHERE hex(uuid) LIKE ? ORDER BY uuid DESC LIMIT ?;

-- name: place_of_bodies
-- None when they have expired.
SELECT dim.val, call.id FROM call JOIN dim ON dim.id = call.segment
WHERE call.uuid = ? AND NOT EXISTS (SELECT 1 FROM segment WHERE id = call.segment AND dropped_us IS NOT NULL);

-- name: counts
SELECT
    (SELECT count(*) FROM call),
    (SELECT count(*) FROM call WHERE status = 1),
    (SELECT coalesce(sum(records), 0) FROM gap),
    (SELECT coalesce(sum(calls_lost), 0) FROM journal),
    (SELECT min(started_at_us) FROM call),
    (SELECT max(started_at_us) FROM call);

-- name: bodies_of_segment
-- The calls whose bodies lie in a segment.
SELECT uuid, id FROM call WHERE segment = ?;

-- name: segments
-- Those whose bodies have not expired.
SELECT dim.id, val FROM dim LEFT JOIN segment ON segment.id = dim.id
WHERE kind = 22 AND dropped_us IS NULL ORDER BY dim.id;

-- name: loose_postings
SELECT count(*) FROM posting WHERE call NOT IN (SELECT id FROM call) OR dim NOT IN (SELECT id FROM dim);

-- name: tools_of
SELECT * FROM tool_call WHERE call = ? ORDER BY place;

-- name: add_tool
-- A tool at the same place, of the same name, is the same one, whatever today's parser says of its arguments.
INSERT INTO tool_call (call, place, tool_id, name, arguments_bytes, digest, server) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (call, place) DO UPDATE SET
    tool_id = excluded.tool_id, name = excluded.name, arguments_bytes = excluded.arguments_bytes,
    server = excluded.server,
    result_call = iif(digest = excluded.digest OR name IS excluded.name, result_call, NULL),
    result_bytes = iif(digest = excluded.digest OR name IS excluded.name, result_bytes, NULL),
    duration_us = iif(digest = excluded.digest OR name IS excluded.name, duration_us, NULL),
    failed = iif(digest = excluded.digest OR name IS excluded.name, failed, NULL),
    digest = excluded.digest;

-- name: drop_tools
-- Of a call, from a place on: today's parser finds fewer.
DELETE FROM tool_call WHERE call = ? AND place >= ?;

-- name: waiting_tool
-- Tool calls that a result may be for, the newest first: in the order of the index, so that reading may stop.
SELECT tool_call.call, place, asked.key, asked.started_at_us, asked.latency_us
FROM tool_call CROSS JOIN call AS asked ON asked.id = tool_call.call
WHERE digest = ? AND result_call IS NULL AND server = 0
ORDER BY tool_call.call DESC, place DESC LIMIT ?;

-- name: results_of
-- Digests of the tools that a call has brought the results of.
SELECT digest FROM tool_call WHERE result_call = ?;

-- name: end_tool
UPDATE tool_call SET result_call = ?, result_bytes = ?, duration_us = ?, failed = ? WHERE call = ? AND place = ?;

-- name: tools
SELECT place, tool_id, dim.val, arguments_bytes, digest, server, result.uuid, result_bytes, duration_us, failed
FROM tool_call
JOIN call ON call.id = tool_call.call
LEFT JOIN dim ON dim.id = tool_call.name
LEFT JOIN call AS result ON result.id = result_call
WHERE call.uuid = ? ORDER BY place;

-- name: tried_before
-- A call that may have asked the same (?2) some time (?3) before another (?1): when, at which try, and whether it
-- failed (not 1, running, nor 2, ok) and nothing has repeated it yet.
SELECT before.id, before.uuid, before.started_at_us, coalesce(before.retry, 0) = own.retry - 1
    AND before.retried IS NULL AND before.status NOT IN (1, 2)
FROM call AS own CROSS JOIN call AS before
WHERE own.id = ?1 AND before.id = ?2 AND before.request_digest = own.request_digest
    AND before.key IS own.key AND before.upstream IS own.upstream AND before.endpoint IS own.endpoint
    AND before.started_at_us < own.started_at_us AND before.started_at_us >= own.started_at_us - ?3;

-- name: set_retry_of
UPDATE call SET retry_of = ? WHERE id = ?;

-- name: set_retried
UPDATE call SET retried = 1 WHERE id = ?;

-- name: is_first_answered
-- Whether a call (?2) asked for the answer which another (?1) retrieved, or is the retrieval which stands for it.
SELECT 1 FROM call AS own CROSS JOIN call AS first
WHERE own.id = ?1 AND first.id = ?2 AND first.id <> own.id AND first.response_id = own.response_id
    AND first.upstream IS own.upstream AND (first.retrieved IS NULL OR first.retrieved = 2);

-- name: retrieved_before
-- The retrieval that has stood for this call so far: it ended first.
SELECT early.id FROM call AS own CROSS JOIN call AS early ON early.response_id = own.response_id
WHERE own.id = ? AND early.retrieved = 2 AND early.id <> own.id AND early.upstream IS own.upstream LIMIT 1;

-- name: is_counted
SELECT input_tokens IS NOT NULL OR output_tokens IS NOT NULL FROM call WHERE id = ?;

-- name: hand_over
-- What a call that retrieved an answer has found out belongs to the call that asked for it.
UPDATE call SET
    rev = ?1, updated_at_us = ?2,
    (model, finish_reason, service_tier, input_tokens, output_tokens, cached_tokens, cache_write_tokens,
     reasoning_tokens, tokens_source, cost_nano_usd, cost_source, preview_output, filtered)
    = (SELECT coalesce(found.model, call.model), found.finish_reason, found.service_tier, found.input_tokens,
        found.output_tokens, found.cached_tokens, found.cache_write_tokens, found.reasoning_tokens,
        found.tokens_source, found.cost_nano_usd, found.cost_source, found.preview_output, found.filtered
       FROM call AS found WHERE found.id = ?3)
WHERE id = ?4;

-- name: keep_none
-- Its tokens are counted elsewhere.
UPDATE call SET
    rev = ?1, updated_at_us = ?2, retrieved = 1,
    input_tokens = NULL, output_tokens = NULL, cached_tokens = NULL, cache_write_tokens = NULL,
    reasoning_tokens = NULL, tokens_source = NULL, cost_nano_usd = NULL, cost_source = NULL
WHERE id = ?3;

-- name: hand_tools_over
-- To a call that has none of its own.
UPDATE tool_call SET call = ?1
WHERE call = ?2 AND NOT EXISTS (SELECT 1 FROM tool_call AS own WHERE own.call = ?1);

-- name: stand_for
-- The first retrieval of an answer that was asked for elsewhere stands for that call.
UPDATE call SET retrieved = 2 WHERE id = ?;

-- name: is_elsewhere
-- Whether another call has what this one retrieved.
SELECT retrieved IS 1 FROM call WHERE id = ?;

-- name: touch
UPDATE call SET rev = ?, updated_at_us = ? WHERE id = ?;

-- name: loose_tools
SELECT count(*) FROM tool_call WHERE call NOT IN (SELECT id FROM call);

-- name: put_job
INSERT INTO job (uuid, kind, asked_at_us, updated_at_us, state, request, receipt) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (uuid) DO UPDATE SET
    updated_at_us = excluded.updated_at_us, state = excluded.state, receipt = excluded.receipt;

-- name: job
SELECT uuid, kind, asked_at_us, updated_at_us, state, request, receipt FROM job WHERE uuid = ?;

-- name: unfinished_jobs
SELECT uuid, kind, asked_at_us, updated_at_us, state, request, receipt FROM job
WHERE state IN ('waiting', 'running') ORDER BY uuid;

-- name: last_ids
-- In a segment: where to go on counting.
SELECT
    (SELECT coalesce(max(id), 0) FROM msg),
    (SELECT coalesce(max(id), 0) FROM run),
    (SELECT coalesce(max(id), 0) FROM blob);

-- name: newest_messages
-- In a segment: what may be recognised when it comes again, newest first.
SELECT hash, id FROM msg ORDER BY id DESC LIMIT ?;

-- name: newest_blobs
SELECT hash, id FROM blob ORDER BY id DESC LIMIT ?;

-- name: newest_runs
SELECT id, parent, place, msgs FROM run ORDER BY id DESC LIMIT ?;

-- name: last_dictionary
SELECT id, data FROM dictionary ORDER BY id DESC LIMIT 1;

-- name: dictionary
SELECT data FROM dictionary WHERE id = ?;

-- name: add_dictionary
INSERT INTO dictionary (data) VALUES (?);

-- name: add_message
INSERT INTO msg (id, hash, enc, size, body) VALUES (?, ?, ?, ?, ?);

-- name: add_blob
INSERT INTO blob (id, hash, type, enc, size, body) VALUES (?, ?, ?, ?, ?, ?);

-- name: add_run
INSERT INTO run (id, parent, place, msgs) VALUES (?, ?, ?, ?);

-- name: add_exchange
-- A number that is taken already is that of a call whose row was never written.
INSERT OR REPLACE INTO exchange (id, seal, enc, size, record, layout) VALUES (?, ?, ?, ?, ?, ?);

-- name: exchange
-- In a segment: the seal covers the uuid, so that a file that was replaced gives nothing instead of another's bodies.
SELECT seal, enc, size, record, layout FROM exchange WHERE id = ?;

-- name: message
SELECT hash, enc, size, body FROM msg WHERE id = ?;

-- name: blob
-- In a segment: media or a vector, decoded.
SELECT hash, enc, size, body FROM blob WHERE id = ?;

-- name: chain
-- In a segment: a run and those that it goes on from, the last first, with how many messages of each count. Parents are
-- older than their children; the condition keeps a damaged file from running in a circle.
WITH RECURSIVE chain (id, parent, place, msgs, counts) AS (
    SELECT id, parent, place, msgs, ?2 FROM run WHERE id = ?1
    UNION ALL
    SELECT run.id, run.parent, run.place, run.msgs, chain.place
    FROM chain JOIN run ON run.id = chain.parent WHERE run.id < chain.id
)
SELECT parent, counts, msgs FROM chain;

-- name: widen_segment
-- A segment and the span of its calls; calls that are written to it again make it live again.
INSERT INTO segment (id, class, first_us, last_us) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    first_us = min(first_us, excluded.first_us), last_us = max(last_us, excluded.last_us), dropped_us = NULL,
    cleared = 0;

-- name: add_segment_name
INSERT OR IGNORE INTO dim (kind, val) VALUES (22, ?);

-- name: live_segments
SELECT segment.id, val, class, first_us, last_us FROM segment JOIN dim ON dim.id = segment.id
WHERE dropped_us IS NULL ORDER BY last_us, segment.id;

-- name: dropped_segments
-- Whose files, or the previews of whose calls, may still be there.
SELECT segment.id, val, class, first_us, last_us FROM segment JOIN dim ON dim.id = segment.id
WHERE dropped_us IS NOT NULL AND NOT cleared ORDER BY segment.id;

-- name: dropped_names
SELECT val FROM segment JOIN dim ON dim.id = segment.id WHERE dropped_us IS NOT NULL;

-- name: drop_segment
UPDATE segment SET dropped_us = ? WHERE id = ?;

-- name: cleared_segment
UPDATE segment SET cleared = 1 WHERE id = ?;

-- name: previews_of_segment
-- The next calls of a segment that have any, in the order of an index.
SELECT started_at_us, id FROM call
WHERE (started_at_us, id) > (?, ?) AND started_at_us <= ? AND segment = ?
    AND (preview_input IS NOT NULL OR preview_output IS NOT NULL)
ORDER BY started_at_us, id LIMIT ?;

-- name: clear_previews
UPDATE call SET preview_input = NULL, preview_output = NULL WHERE id = ?;

-- name: repoint
-- To where a copy of its bodies lies.
UPDATE call SET segment = ? WHERE id = ?;

-- name: expired_since
-- Whether a call has a segment, and since when that is gone.
SELECT segment.dropped_us FROM call JOIN segment ON segment.id = call.segment WHERE call.uuid = ?;

-- name: thin
INSERT INTO thinned (day, calls, last_us) VALUES (?, ?, ?)
ON CONFLICT (day) DO UPDATE SET calls = calls + excluded.calls, last_us = excluded.last_us;

-- name: loose_pins
SELECT count(*) FROM pin WHERE call NOT IN (SELECT id FROM call);

-- name: loose_segments
SELECT count(*) FROM call WHERE segment IS NOT NULL AND segment NOT IN (SELECT id FROM segment);

-- name: count_pins
SELECT count(*) FROM pin;

-- name: put_hold
INSERT INTO hold (name, filter, words, since_us) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET filter = excluded.filter, words = excluded.words, since_us = excluded.since_us;

-- name: drop_hold
DELETE FROM hold WHERE name = ?;

-- name: holds
SELECT name, filter, words, since_us FROM hold ORDER BY name;

-- Scores.

-- name: call_of
SELECT id FROM call WHERE uuid = ?;

-- name: put_score
-- An author's last word stands; one that is stored already changes nothing.
INSERT INTO score (call, name, author, value, created_us) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (call, name, author) DO UPDATE SET value = excluded.value, created_us = excluded.created_us
WHERE excluded.created_us > created_us OR (excluded.created_us = created_us AND excluded.value <> value);

-- --- sums beside the rows: rollups/ ------------------------------------------------------------------

-- name: rollup_combos
SELECT combo FROM rollup WHERE level = ? AND span = ?;

-- name: is_rollup_full
SELECT 1 FROM rollup_full WHERE level = ? AND span = ?;

-- name: fill_rollup
INSERT OR IGNORE INTO rollup_full (level, span) VALUES (?, ?);

-- name: rollup_minutes_since
SELECT minutes_since FROM rollup_state;

-- name: set_rollup_minutes
UPDATE rollup_state SET minutes_since = ?;

-- name: first_rollup
SELECT span FROM rollup WHERE level = ? ORDER BY span LIMIT 1;

-- name: drop_rollups
DELETE FROM rollup WHERE level = ? AND span < ?;

-- name: drop_full
DELETE FROM rollup_full WHERE level = ? AND span < ?;

-- Full text: what of main.db it goes by.

-- name: calls_since
-- Calls with bodies that were written after a moment, in that order.
SELECT call.id, call.uuid, call.rev, dim.val FROM call JOIN dim ON dim.id = call.segment
WHERE call.rev > ? ORDER BY call.rev LIMIT ?;

-- name: calls_of_segment
SELECT id, uuid FROM call
WHERE segment = (SELECT id FROM dim WHERE kind = 22 AND val = ?) AND id > ? ORDER BY id LIMIT ?;

-- name: calls_by_segment
SELECT dim.val, count(*) FROM call JOIN dim ON dim.id = call.segment GROUP BY call.segment;

-- name: moment_of
SELECT started_at_us FROM call WHERE id = ?;

-- name: segment_id
SELECT id FROM dim WHERE kind = 22 AND val = ?;

-- name: calls_behind
-- Calls with bodies that came after a moment, up to so many, and when the first of them did.
SELECT count(*), min(updated_at_us) FROM (
    SELECT updated_at_us FROM call WHERE rev > ?1 AND news_rev > ?1 AND segment IS NOT NULL LIMIT ?2
);

-- --- conversations: memory.py, conversations.py, threads.py ---------------------------------------------

-- name: remembered
-- By what the newest calls that have ended are found, oldest first.
SELECT * FROM (
    SELECT id, answered, continues, request_digest, response_id FROM call WHERE status <> 1 ORDER BY id DESC LIMIT ?
) ORDER BY id;

-- name: remembered_tools
SELECT tool_id, call.id, call.project, call.key FROM tool_call JOIN call ON call.id = tool_call.call
WHERE tool_call.call > (SELECT max(id) FROM call) - ? AND tool_id IS NOT NULL AND server = 0
ORDER BY tool_call.call;

-- name: linked_call
SELECT id, conversation, follows, continues, project, key, user, session, trace, agent, client, system_version,
    started_at_us, latency_us, status, request_digest, upstream, endpoint, retried
FROM call WHERE id = ?;

-- name: tie
-- A conversation that is found already stays, and so does how.
UPDATE call SET
    conversation = coalesce(?, conversation), follows = ?, follows_by = coalesce(?, follows_by),
    answered = coalesce(?, answered), continues = ?, system_version = ?
WHERE id = ?;

-- name: adopt
UPDATE call SET follows = ?, follows_by = ?, continues = ? WHERE id = ?;

-- name: is_continued
SELECT 1 FROM call WHERE conversation = ? AND conversation <> id AND follows = ? LIMIT 1;

-- name: begin_conversation
INSERT OR IGNORE INTO conversation (id, session, trace) VALUES (?, ?, ?);

-- name: started_by
UPDATE conversation SET started_by = ? WHERE id = (SELECT coalesce(conversation, id) FROM call WHERE id = ?)
    AND started_by IS NULL;

-- name: sizes
SELECT id, calls FROM conversation WHERE id IN (?, ?);

-- name: begin_earlier
-- The first of these begins the second.
UPDATE conversation SET (first, started_by, session, trace)
    = (SELECT coalesce(first, id), started_by, session, trace FROM conversation AS earlier WHERE earlier.id = ?1)
WHERE id = ?2;

-- name: move_first
UPDATE call SET conversation = ?1 WHERE id = ?2 AND conversation = ?2;

-- name: move_others
UPDATE call SET conversation = ?1 WHERE conversation = ?2 AND conversation <> id;

-- name: end_conversation
DELETE FROM conversation WHERE id = ?;

-- name: tool_runs
-- Whether a tool that a call asked for had not brought its result yet at some time.
SELECT 1 FROM tool_call LEFT JOIN call AS result ON result.id = result_call
WHERE tool_call.call = ? AND server = 0 AND (result_call IS NULL OR result.started_at_us >= ?) LIMIT 1;

-- name: newest_prompts
SELECT number, predecessor, first_us, last_us, size, template FROM prompt WHERE project = ? ORDER BY number DESC;

-- name: add_prompt
INSERT INTO prompt (project, number, predecessor, first_us, last_us, size, template) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: change_prompt
UPDATE prompt SET template = ?, size = ? WHERE project = ? AND number = ?;

-- name: prompt_seen
UPDATE prompt SET first_us = min(first_us, ?), last_us = max(last_us, ?) WHERE project = ? AND number = ?;

-- name: prompts_of
SELECT number, predecessor, first_us, last_us, size, template FROM prompt
WHERE project = (SELECT id FROM dim WHERE kind = ? AND val = ?) ORDER BY number;

-- name: later_moment
-- When a row came that is so many rows later.
SELECT started_at_us FROM call WHERE started_at_us >= ? AND started_at_us < ? ORDER BY started_at_us LIMIT 1 OFFSET ?;

-- name: first_moment
SELECT started_at_us FROM call WHERE started_at_us >= ? ORDER BY started_at_us LIMIT 1;

-- name: rollup_from
SELECT span FROM rollup WHERE level = ? AND span >= ? ORDER BY span LIMIT 1;

-- name: full_rollups
SELECT span FROM rollup_full WHERE level = ? AND span >= ? AND span < ?;

-- name: is_thinned
SELECT 1 FROM thinned WHERE day = ?;

-- name: thinned_calls
-- Of each thinned day: the calls that were counted, the rows that are there, those that were deleted.
SELECT day,
    (SELECT coalesce(sum(calls), 0) FROM rollup WHERE level = 1 AND span = day),
    (SELECT count(*) FROM call WHERE started_at_us >= day * 86400000000 AND started_at_us < (day + 1) * 86400000000),
    calls
FROM thinned ORDER BY day;

-- name: thinned_days
SELECT day FROM thinned;

-- name: are_rollups_built
SELECT built FROM rollup_state;

-- name: set_rollups_built
UPDATE rollup_state SET built = 1;

-- name: rollup_days
-- How many calls each day has; 1 is levels.DAYS.
SELECT span, sum(calls) FROM rollup WHERE level = 1 AND span >= ? AND span <= ? GROUP BY span ORDER BY span;

-- name: dim_text
SELECT val FROM dim WHERE id = ?;

-- name: prompt_projects
SELECT DISTINCT dim.val FROM prompt JOIN dim ON dim.id = prompt.project ORDER BY dim.val;

-- name: conversation_of
SELECT conversation FROM call WHERE uuid = ?;

-- name: tools_of_calls
SELECT call.id, place, tool_id, dim.val, arguments_bytes, digest, server, result.uuid, result_bytes, duration_us, failed
FROM tool_call
JOIN call ON call.id = tool_call.call
LEFT JOIN dim ON dim.id = tool_call.name
LEFT JOIN call AS result ON result.id = result_call
WHERE tool_call.call IN

-- name: kinds
-- All pairs of models under each state, from one place of the index call_kind to the next. Each list ends in NULL,
-- which stands for the calls without a model, if there are any.
WITH RECURSIVE
state (status) AS (
    SELECT min(status) FROM call
    UNION ALL
    SELECT (SELECT min(status) FROM call WHERE call.status > state.status) FROM state WHERE state.status IS NOT NULL
),
served (status, model) AS (
    SELECT status, (SELECT min(model) FROM call WHERE call.status = state.status) FROM state WHERE status IS NOT NULL
    UNION ALL
    SELECT status, (SELECT min(model) FROM call WHERE call.status = served.status AND call.model > served.model)
    FROM served WHERE served.model IS NOT NULL
),
kind (status, model, model_requested) AS (
    SELECT status, model, (
        SELECT min(model_requested) FROM call WHERE call.status = served.status AND call.model IS served.model
    ) FROM served
    UNION ALL
    SELECT status, model, (
        SELECT min(model_requested) FROM call
        WHERE call.status = kind.status AND call.model IS kind.model AND call.model_requested > kind.model_requested
    ) FROM kind WHERE kind.model_requested IS NOT NULL
)
SELECT * FROM kind;

-- name: wrong_conversations
-- Those whose sums are not what their calls come to, and those that calls belong to but that are not there.
SELECT count(*) FROM (
    SELECT conversation AS own, sum(excluded IS NULL) AS counted FROM call
    WHERE conversation IS NOT NULL GROUP BY conversation
) LEFT JOIN conversation ON conversation.id = own WHERE calls IS NOT counted;
