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

-- name: last_call
SELECT coalesce(max(id), 0) FROM call;

-- name: stored_version
-- What is known of a call that is about to be written.
SELECT id, status, body IS NOT NULL, metadata, tags FROM call WHERE uuid = ?;

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
SELECT dim.val, call.body FROM call JOIN dim ON dim.id = call.segment WHERE call.uuid = ?;

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
SELECT uuid, body FROM call WHERE segment = ?;

-- name: segments
SELECT id, val FROM dim WHERE kind = 22 ORDER BY id;

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

-- name: failed_before
-- Tries before this one that failed and that nothing has repeated yet, the last first, and whether they went the
-- same way with the same key; ?2: how long before. In the order of the index, so that reading may stop.
SELECT before.id, before.uuid,
    before.key IS own.key AND before.upstream IS own.upstream AND before.endpoint IS own.endpoint
FROM call AS own CROSS JOIN call AS before ON before.request_digest = own.request_digest
WHERE own.id = ?1 AND coalesce(before.retry, 0) = own.retry - 1
    AND before.request_digest IS NOT NULL AND before.retried IS NULL AND before.status NOT IN (1, 2)
    AND before.started_at_us < own.started_at_us AND before.started_at_us >= own.started_at_us - ?2
ORDER BY before.started_at_us DESC LIMIT ?3;

-- name: asked_before
-- The same of all calls, whatever became of them.
SELECT before.id, before.uuid,
    before.key IS own.key AND before.upstream IS own.upstream AND before.endpoint IS own.endpoint
FROM call AS own CROSS JOIN call AS before ON before.request_digest = own.request_digest
WHERE own.id = ?1 AND before.request_digest IS NOT NULL
    AND before.started_at_us < own.started_at_us AND before.started_at_us >= own.started_at_us - ?2
ORDER BY before.started_at_us DESC LIMIT ?3;

-- name: set_retry_of
UPDATE call SET retry_of = ? WHERE id = ?;

-- name: set_retried
UPDATE call SET retried = 1 WHERE id = ?;

-- name: first_answered
-- The call that asked for the answer which this one retrieved, or the first retrieval, which stands for it.
-- Of several, the last: some servers give every answer the same id.
SELECT first.id FROM call AS own CROSS JOIN call AS first ON first.response_id = own.response_id
WHERE own.id = ? AND first.response_id IS NOT NULL AND first.id <> own.id
    AND first.upstream IS own.upstream AND (first.retrieved IS NULL OR first.retrieved = 2)
ORDER BY first.id DESC LIMIT 1;

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
    (SELECT coalesce(max(id), 0) FROM node),
    (SELECT coalesce(max(id), 0) FROM exchange),
    (SELECT coalesce(max(id), 0) FROM blob);

-- name: newest_messages
-- In a segment: what may be recognised when it comes again, newest first.
SELECT hash, id FROM msg ORDER BY id DESC LIMIT ?;

-- name: newest_blobs
SELECT hash, id FROM blob ORDER BY id DESC LIMIT ?;

-- name: newest_nodes
SELECT parent, msg, id FROM node ORDER BY id DESC LIMIT ?;

-- name: add_message
INSERT INTO msg (id, hash, enc, size, body) VALUES (?, ?, ?, ?, ?);

-- name: add_blob
INSERT INTO blob (id, hash, type, enc, size, body) VALUES (?, ?, ?, ?, ?, ?);

-- name: add_node
INSERT INTO node (id, parent, msg) VALUES (?, ?, ?);

-- name: add_exchange
INSERT INTO exchange VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: exchange
-- In a segment: by id and uuid, so that a file that was replaced gives nothing instead of another's bodies.
SELECT
    seal, enc, size, record,
    request_head, request_node, request_tail, request_sep,
    response_head, response_node, response_tail, response_sep
FROM exchange WHERE id = ? AND call = ?;

-- name: message
SELECT hash, enc, size, body FROM msg WHERE id = ?;

-- name: blob
-- In a segment: media or a vector, decoded.
SELECT hash, enc, size, body FROM blob WHERE id = ?;

-- name: blob_ids
SELECT id FROM blob ORDER BY id;

-- name: chain
-- In a segment: the messages from a node up to the first one, last first. Parents are older than
-- their children; the condition keeps a damaged file from running in a circle.
WITH RECURSIVE chain (id, parent, msg) AS (
    SELECT id, parent, msg FROM node WHERE id = ?
    UNION ALL
    SELECT node.id, node.parent, node.msg FROM chain JOIN node ON node.id = chain.parent WHERE node.id < chain.id
)
SELECT parent, msg FROM chain;
