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

-- name: stored_versions
-- What is known of calls that are about to be written.
SELECT uuid, id, status, segment IS NOT NULL, metadata, tags FROM call WHERE uuid IN;

-- name: stored_ends
-- Which of some frames that ended calls have been stored; journal by its name (kind 23).
SELECT seq FROM call
WHERE journal = (SELECT id FROM dim WHERE kind = 23 AND val = ?) AND seq IN;

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

-- name: anything_stands
SELECT EXISTS (SELECT 1 FROM call WHERE retrieved = 2);

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
-- Calls with bodies that were written after a moment and had come by another, in the order of their last write.
SELECT call.id, call.uuid, call.rev, dim.val FROM call JOIN dim ON dim.id = call.segment
WHERE call.rev > ? AND coalesce(call.news_rev, 0) <= ? ORDER BY call.rev LIMIT ?;

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

-- name: grow_conversation
-- One begins, or more calls come to it.
INSERT INTO conversation
    (id, session, trace, started_by, last, calls, errors, tools, input_tokens, output_tokens, cost_nano_usd)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    started_by = coalesce(started_by, excluded.started_by),
    last = max(last, excluded.last),
    calls = calls + excluded.calls,
    errors = errors + excluded.errors,
    tools = tools + excluded.tools,
    input_tokens = min(input_tokens, 1 << 61) + excluded.input_tokens,
    output_tokens = min(output_tokens, 1 << 61) + excluded.output_tokens,
    cost_nano_usd = min(cost_nano_usd, 1 << 61) + excluded.cost_nano_usd;

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

-- --- by which ids of others calls are found: names.py --------------------------------------------------

-- name: add_name
INSERT OR IGNORE INTO call_name (entry) VALUES (?);

-- name: drop_name
DELETE FROM call_name WHERE entry = ?;

-- name: missing_names
SELECT missing FROM call_name_state;

-- name: set_missing_names
UPDATE call_name_state SET missing = ?;

-- name: names_up_to
SELECT id, response_id, request_id FROM call WHERE id <= ? ORDER BY id DESC LIMIT ?;

-- name: ends_of_calls
SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM call;

-- name: names_of
SELECT id, response_id, request_id FROM call WHERE id BETWEEN ? AND ?;

-- name: entries_between
SELECT entry FROM call_name WHERE entry >= ? AND entry < ?;

-- --- what people say: people/ --------------------------------------------------------------------------

-- name: add_told
INSERT OR IGNORE INTO told (uuid) VALUES (?);

-- name: bound_told
DELETE FROM told WHERE id <= (SELECT max(id) FROM told) - ?;

-- name: add_event
INSERT INTO event (uuid, call, at_us, author, kind, said) VALUES (?, ?, ?, ?, ?, ?);

-- name: event
SELECT uuid, at_us, dim.val, event.kind, said FROM event JOIN dim ON dim.id = event.author WHERE event.id = ?;

-- name: set_event_call
UPDATE event SET call = ? WHERE id = ?;

-- name: drop_event
DELETE FROM event WHERE id = ?;

-- name: bound_events
-- The newest of a call stay.
DELETE FROM event WHERE call = ?1 AND id <= (
    SELECT id FROM event WHERE call = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2
);

-- name: add_pending
INSERT INTO pending (event, way, name, bytes, since_us) VALUES (?, ?, ?, ?, ?);

-- name: pending_names
SELECT DISTINCT name FROM pending;

-- name: pending_of
SELECT event FROM pending WHERE name = ?;

-- name: drop_pending
DELETE FROM pending WHERE event = ?;

-- name: pending_before
SELECT event FROM pending WHERE since_us < ?;

-- name: pending_beyond
-- All but the newest, so many and so many bytes.
SELECT event FROM (
    SELECT event, row_number() OVER newest AS place, sum(bytes) OVER newest AS size
    FROM pending WINDOW newest AS (ORDER BY event DESC)
) WHERE place > ? OR size > ?;

-- name: opinion_of
SELECT at_us, value FROM opinion WHERE call = ? AND name = ? AND author = ? AND part = ?;

-- name: count_opinions
-- How many a call has, of how many names, and whether one is of this name.
SELECT count(*), count(DISTINCT name), sum(name = ?) FROM opinion WHERE call = ?;

-- name: put_opinion
INSERT OR REPLACE INTO opinion (call, name, author, part, value, label, truth, comment, at_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: drop_opinion
DELETE FROM opinion WHERE call = ? AND name = ? AND author = ? AND part = ?;

-- name: drop_trace_opinions
-- What an author said of the same conversation by way of another call.
DELETE FROM opinion WHERE part = 'trace' AND name = ?1 AND author = ?2 AND call IN (
    SELECT other.id FROM call AS own JOIN call AS other ON other.conversation = own.conversation
        AND other.conversation <> other.id WHERE own.id = ?3
    UNION ALL SELECT conversation FROM call WHERE id = ?3
);

-- name: put_mean
-- What an author thinks of a call and its parts.
INSERT OR REPLACE INTO score (call, name, author, value, created_us)
SELECT call, name, author, avg(value), max(at_us) FROM opinion
WHERE call = ? AND name = ? AND author = ? AND part <> ? AND value IS NOT NULL HAVING count(*) > 0;

-- name: drop_mean
DELETE FROM score WHERE call = ?1 AND name = ?2 AND author = ?3 AND NOT EXISTS (
    SELECT 1 FROM opinion WHERE call = ?1 AND name = ?2 AND author = ?3 AND part <> ?4 AND value IS NOT NULL
);

-- name: count_remarks
SELECT count(*) FROM remark WHERE call = ?;

-- name: put_remark
INSERT OR REPLACE INTO remark (call, kind, author, part, text, at_us) VALUES (?, ?, ?, ?, ?, ?);

-- name: drop_remark
DELETE FROM remark WHERE call = ? AND kind = ? AND author = ? AND part = ?;

-- name: drop_trace_remarks
DELETE FROM remark WHERE part = 'trace' AND kind = ?1 AND author = ?2 AND call IN (
    SELECT other.id FROM call AS own JOIN call AS other ON other.conversation = own.conversation
        AND other.conversation <> other.id WHERE own.id = ?3
    UNION ALL SELECT conversation FROM call WHERE id = ?3
);

-- name: put_note
INSERT OR IGNORE INTO note (uuid, call, author, text, at_us) VALUES (?, ?, ?, ?, ?);

-- name: change_note
UPDATE note SET text = ? WHERE uuid = ? AND call = ?;

-- name: drop_note
DELETE FROM note WHERE uuid = ? AND call = ?;

-- name: count_notes
SELECT count(*) FROM note WHERE call = ?;

-- name: put_view
INSERT INTO saved_view (uuid, name, page, query, author, at_us) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (uuid) DO UPDATE SET name = excluded.name, page = excluded.page, query = excluded.query;

-- name: drop_view
DELETE FROM saved_view WHERE uuid = ?;

-- name: count_views
SELECT count(*) FROM saved_view;

-- name: add_audit
INSERT INTO audit (uuid, at_us, who, action, target, project, status) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: owner
-- What a call's tags are kept by.
SELECT coalesce(conversation, id) FROM call WHERE id = ?;

-- name: is_tagging_used
SELECT EXISTS (SELECT 1 FROM tagging) OR EXISTS (SELECT 1 FROM added) OR EXISTS (SELECT 1 FROM tag_change)
    OR EXISTS (SELECT 1 FROM retagging);

-- name: put_tagging
INSERT OR REPLACE INTO tagging (owner, tag, put) VALUES (?, ?, ?);

-- name: bound_tagging
-- No more tags are put on than a call can have, nor taken off.
DELETE FROM tagging WHERE owner = ?1 AND tag IN (
    SELECT tag FROM (SELECT tag, row_number() OVER (PARTITION BY put ORDER BY tag) AS place
        FROM tagging WHERE owner = ?1) WHERE place > ?2
);

-- name: taggings
SELECT dim.val, put FROM tagging JOIN dim ON dim.id = tag WHERE owner = ? ORDER BY tag;

-- name: tagged_moves
SELECT old, new FROM temp.tagged_move ORDER BY id;

-- name: tagged_calls
SELECT id FROM temp.tagged_call ORDER BY id;

-- name: forget_tagged_moves
DELETE FROM temp.tagged_move;

-- name: forget_tagged_calls
DELETE FROM temp.tagged_call;

-- name: join_taggings
INSERT OR IGNORE INTO tagging (owner, tag, put) SELECT ?1, tag, put FROM tagging WHERE owner = ?2;

-- name: drop_owner
DELETE FROM tagging WHERE owner = ?;

-- name: begin_retagging
INSERT OR REPLACE INTO retagging (owner, after) VALUES (?, ?);

-- name: end_retagging
DELETE FROM retagging WHERE owner = ?;

-- name: retagging
SELECT owner, after FROM retagging LIMIT 1;

-- name: calls_of_owner
-- The oldest row of a conversation has its number, and is not in the index of the others.
SELECT id FROM (
    SELECT id FROM call WHERE id = ?1 AND coalesce(conversation, id) = id AND id > ?2
    UNION ALL SELECT * FROM (
        SELECT id FROM call WHERE conversation = ?1 AND conversation <> id AND id > ?2 ORDER BY id LIMIT ?3
    )
) ORDER BY id LIMIT ?3;

-- name: tagged_row
SELECT metadata, tags FROM call WHERE id = ?;

-- name: set_tagged_row
UPDATE call SET metadata = ?, tags = ? WHERE id = ?;

-- name: put_tag
INSERT OR REPLACE INTO tag (id, color, description) VALUES (?, ?, ?);

-- name: rename_tag
-- Unless there is one of the new name.
UPDATE OR IGNORE tag SET id = ? WHERE id = ?;

-- name: drop_tag
DELETE FROM tag WHERE id = ?;

-- name: rename_tagging
UPDATE OR IGNORE tagging SET tag = ? WHERE tag = ?;

-- name: drop_taggings
DELETE FROM tagging WHERE tag = ?;

-- name: add_tag_change
INSERT INTO tag_change (tag, renamed, upto, done) SELECT ?, ?, coalesce(max(id), 0), 0 FROM call;

-- name: bound_tag_changes
DELETE FROM tag_change WHERE done AND id <= (SELECT max(id) FROM tag_change) - ?;

-- name: tag_changes
-- Of all calls up to one, in their order.
SELECT old.val, new.val FROM tag_change JOIN dim AS old ON old.id = tag LEFT JOIN dim AS new ON new.id = renamed
WHERE upto >= ? ORDER BY tag_change.id;

-- name: due_tag_change
SELECT tag_change.id, tag, upto, old.val, new.val
FROM tag_change JOIN dim AS old ON old.id = tag LEFT JOIN dim AS new ON new.id = renamed
WHERE NOT done ORDER BY tag_change.id LIMIT 1;

-- name: end_tag_change
UPDATE tag_change SET done = 1 WHERE id = ?;

-- name: calls_with_tag
SELECT call FROM posting WHERE dim = ? AND call <= ? ORDER BY call LIMIT ?;

-- name: added
SELECT metadata FROM added WHERE call = ?;

-- name: put_added
INSERT OR REPLACE INTO added (call, metadata) VALUES (?, ?);

-- name: loose_taggings
-- Of conversations and calls that are gone.
DELETE FROM tagging WHERE owner NOT IN (SELECT id FROM conversation) AND owner NOT IN (SELECT id FROM call);

-- --- what people said, read back: people/reading.py ------------------------------------------------------

-- name: opinions_of
-- Of a call, and of its conversation by way of any call.
SELECT call.uuid, part, named.val, by.val, value, label.val, truth, comment, at_us
FROM (
    SELECT * FROM opinion WHERE call = ?1
    UNION ALL
    SELECT opinion.* FROM call AS own
    JOIN call AS other ON other.conversation = own.conversation AND other.conversation <> other.id
    JOIN opinion ON opinion.call = other.id AND opinion.part = 'trace'
    WHERE own.id = ?1 AND other.id <> ?1
    UNION ALL
    SELECT opinion.* FROM call AS own JOIN opinion ON opinion.call = own.conversation AND opinion.part = 'trace'
    WHERE own.id = ?1 AND own.conversation <> ?1
) AS said
JOIN call ON call.id = said.call
JOIN dim AS named ON named.id = said.name
JOIN dim AS by ON by.id = said.author
LEFT JOIN dim AS label ON label.id = said.label
ORDER BY at_us DESC, named.val, by.val, part;

-- name: remarks_of
SELECT said.kind, call.uuid, part, by.val, text, at_us
FROM (
    SELECT * FROM remark WHERE call = ?1
    UNION ALL
    SELECT remark.* FROM call AS own
    JOIN call AS other ON other.conversation = own.conversation AND other.conversation <> other.id
    JOIN remark ON remark.call = other.id AND remark.part = 'trace'
    WHERE own.id = ?1 AND other.id <> ?1
    UNION ALL
    SELECT remark.* FROM call AS own JOIN remark ON remark.call = own.conversation AND remark.part = 'trace'
    WHERE own.id = ?1 AND own.conversation <> ?1
) AS said
JOIN call ON call.id = said.call
JOIN dim AS by ON by.id = said.author
ORDER BY at_us DESC, by.val, part;

-- name: notes_of
-- Of all calls of the conversation.
SELECT note.uuid, call.uuid, by.val, note.text, note.at_us
FROM (
    SELECT ?1 AS id
    UNION SELECT other.id FROM call AS own
        JOIN call AS other ON other.conversation = own.conversation AND other.conversation <> other.id
        WHERE own.id = ?1
    UNION SELECT conversation FROM call WHERE id = ?1 AND conversation IS NOT NULL
) AS own CROSS JOIN note ON note.call = own.id
JOIN call ON call.id = note.call
JOIN dim AS by ON by.id = note.author
ORDER BY note.at_us DESC, note.uuid DESC;

-- name: history_of
SELECT event.at_us, by.val, event.kind, event.said
FROM (
    SELECT ?1 AS id
    UNION SELECT other.id FROM call AS own
        JOIN call AS other ON other.conversation = own.conversation AND other.conversation <> other.id
        WHERE own.id = ?1
    UNION SELECT conversation FROM call WHERE id = ?1 AND conversation IS NOT NULL
) AS own CROSS JOIN event ON event.call = own.id
JOIN dim AS by ON by.id = event.author
ORDER BY event.id DESC LIMIT ?2;

-- name: trace_scores
-- What is thought of a conversation: of its calls on average, and of it as a whole, each as much as one call.
SELECT dim.val, avg(mean) FROM (
    SELECT name, avg(value) AS mean FROM (
        SELECT ?1 AS id
        UNION SELECT other.id FROM call AS own
            JOIN call AS other ON other.conversation = own.conversation AND other.conversation <> other.id
            WHERE own.id = ?1
        UNION SELECT conversation FROM call WHERE id = ?1 AND conversation IS NOT NULL
    ) AS own CROSS JOIN score ON score.call = own.id GROUP BY own.id, name
    UNION ALL
    SELECT name, avg(value) FROM (
        SELECT ?1 AS id
        UNION SELECT other.id FROM call AS own
            JOIN call AS other ON other.conversation = own.conversation AND other.conversation <> other.id
            WHERE own.id = ?1
        UNION SELECT conversation FROM call WHERE id = ?1 AND conversation IS NOT NULL
    ) AS own CROSS JOIN opinion ON opinion.call = own.id AND part = 'trace' AND value IS NOT NULL GROUP BY name
) JOIN dim ON dim.id = name GROUP BY name ORDER BY dim.val;

-- name: words_of_calls
SELECT call.uuid, dim.val, author, value, label.val, at_us
FROM call CROSS JOIN opinion ON opinion.call = call.id
JOIN dim ON dim.id = opinion.name LEFT JOIN dim AS label ON label.id = opinion.label
WHERE call.uuid IN

-- name: score_names
-- The oldest names, and how often each is used, up to a bound.
SELECT val,
    (SELECT count(*) FROM (SELECT 1 FROM score WHERE name = dim.id LIMIT ?3))
    + (SELECT count(*) FROM (SELECT 1 FROM opinion WHERE name = dim.id AND label IS NOT NULL LIMIT ?3))
FROM dim WHERE kind = ?1 ORDER BY id LIMIT ?2;

-- name: tags
-- Those that are defined, and the newest others.
SELECT dim.val, coalesce(color, ''), coalesce(description, ''),
    (SELECT count(*) FROM posting WHERE posting.dim = dim.id), tag.id IS NOT NULL
FROM (
    SELECT id FROM (SELECT id FROM dim WHERE kind = ?1 ORDER BY id DESC LIMIT ?2) UNION SELECT id FROM tag
) AS wanted JOIN dim ON dim.id = wanted.id LEFT JOIN tag ON tag.id = dim.id;

-- name: views
SELECT uuid, name, page, query, dim.val, at_us FROM saved_view JOIN dim ON dim.id = author ORDER BY name, uuid;

-- name: audit
SELECT id, at_us, who, action, target, project, status FROM audit WHERE ? IS NULL OR id < ? ORDER BY id DESC LIMIT ?;

-- --- whether what people said holds together: verify.py --------------------------------------------------

-- name: unequal_tags
-- 21: tags. Those of rows, and those that calls are found by.
SELECT
    (SELECT count(*) FROM call, json_each(call.tags) AS tag WHERE call.tags IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM dim JOIN posting ON posting.dim = dim.id
        WHERE dim.kind = 21 AND dim.val = tag.value AND posting.call = call.id))
    + (SELECT count(*) FROM dim JOIN posting ON posting.dim = dim.id WHERE dim.kind = 21 AND NOT EXISTS (
        SELECT 1 FROM call, json_each(call.tags) AS tag WHERE call.id = posting.call AND tag.value = dim.val));

-- name: loose_words
SELECT
    (SELECT count(*) FROM opinion WHERE call NOT IN (SELECT id FROM call))
    + (SELECT count(*) FROM remark WHERE call NOT IN (SELECT id FROM call))
    + (SELECT count(*) FROM note WHERE call NOT IN (SELECT id FROM call))
    + (SELECT count(*) FROM added WHERE call NOT IN (SELECT id FROM call))
    + (SELECT count(*) FROM event WHERE call IS NOT NULL AND call NOT IN (SELECT id FROM call));

-- name: unequal_scores
WITH said AS (
    SELECT call, name, author, avg(value) AS mean FROM opinion
    WHERE part <> 'trace' AND value IS NOT NULL GROUP BY call, name, author
)
SELECT (SELECT count(*) FROM said LEFT JOIN score USING (call, name, author) WHERE mean IS NOT score.value)
    + (SELECT count(*) FROM score LEFT JOIN said USING (call, name, author) WHERE mean IS NULL);
