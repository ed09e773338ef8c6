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
UPDATE call SET status = 6, rev = ?, updated_at_us = ? WHERE id = ?;

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

-- name: last_ids
-- In a segment: where to go on counting.
SELECT
    (SELECT coalesce(max(id), 0) FROM msg),
    (SELECT coalesce(max(id), 0) FROM node),
    (SELECT coalesce(max(id), 0) FROM exchange);

-- name: newest_messages
-- In a segment: what may be recognised when it comes again, newest first.
SELECT hash, id FROM msg ORDER BY id DESC LIMIT ?;

-- name: newest_nodes
SELECT parent, msg, id FROM node ORDER BY id DESC LIMIT ?;

-- name: add_message
INSERT INTO msg (id, hash, enc, size, body) VALUES (?, ?, ?, ?, ?);

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

-- name: chain
-- In a segment: the messages from a node up to the first one, last first. Parents are older than
-- their children; the condition keeps a damaged file from running in a circle.
WITH RECURSIVE chain (id, parent, msg) AS (
    SELECT id, parent, msg FROM node WHERE id = ?
    UNION ALL
    SELECT node.id, node.parent, node.msg FROM chain JOIN node ON node.id = chain.parent WHERE node.id < chain.id
)
SELECT parent, msg FROM chain;
