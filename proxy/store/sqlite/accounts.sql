-- Accounts of the console, in a file of their own: small, and not of the store.

-- name: schema
CREATE TABLE person (
  name TEXT PRIMARY KEY COLLATE NOCASE,
  password TEXT NOT NULL,
  grants TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  login_at_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE token (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL COLLATE NOCASE,
  tail TEXT NOT NULL,
  digest BLOB NOT NULL UNIQUE,
  grants TEXT NOT NULL,
  made_by TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  expires_at_us INTEGER,
  used_at_us INTEGER,
  revoked_at_us INTEGER
) STRICT;
CREATE UNIQUE INDEX token_name ON token (name) WHERE revoked_at_us IS NULL;
CREATE TABLE session (
  digest BLOB PRIMARY KEY,
  person TEXT COLLATE NOCASE REFERENCES person (name) ON DELETE CASCADE,
  seal BLOB NOT NULL,
  begun_at_us INTEGER NOT NULL,
  seen_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_person ON session (person);
PRAGMA user_version = 1;

-- name: are_people
SELECT EXISTS (SELECT 1 FROM person);

-- name: people
SELECT name, grants, created_at_us, login_at_us FROM person ORDER BY name;

-- name: person
SELECT name, grants, created_at_us, login_at_us FROM person WHERE name = ?;

-- name: password
SELECT password FROM person WHERE name = ?;

-- name: add_person
INSERT INTO person (name, password, grants, created_at_us) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: set_password
UPDATE person SET password = ? WHERE name = ?;

-- name: set_grants
UPDATE person SET grants = ? WHERE name = ?;

-- name: set_login
UPDATE person SET login_at_us = ? WHERE name = ?;

-- name: remove_person
DELETE FROM person WHERE name = ?;

-- name: tokens
SELECT id, name, tail, grants, made_by, created_at_us, expires_at_us, used_at_us, revoked_at_us
FROM token ORDER BY revoked_at_us IS NOT NULL, id DESC LIMIT ?;

-- name: token
SELECT id, name, tail, grants, made_by, created_at_us, expires_at_us, used_at_us, revoked_at_us
FROM token WHERE digest = ?;

-- name: add_token
INSERT INTO token (name, tail, digest, grants, made_by, created_at_us, expires_at_us) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING;

-- name: token_used
UPDATE token SET used_at_us = ? WHERE id = ?;

-- name: revoke_token
UPDATE token SET revoked_at_us = ? WHERE id = ? AND revoked_at_us IS NULL;

-- name: session
SELECT person, seal, begun_at_us, seen_at_us FROM session WHERE digest = ?;

-- name: add_session
INSERT INTO session (digest, person, seal, begun_at_us, seen_at_us) VALUES (?, ?, ?, ?, ?);

-- name: session_seen
UPDATE session SET seen_at_us = ? WHERE digest = ?;

-- name: end_session
DELETE FROM session WHERE digest = ?;

-- name: end_sessions_of
DELETE FROM session WHERE person = ?;

-- name: forget_sessions
DELETE FROM session WHERE seen_at_us < ? OR begun_at_us < ?;

-- name: oldest_sessions
-- Those beyond the most that are kept.
DELETE FROM session WHERE digest IN (SELECT digest FROM session ORDER BY seen_at_us DESC LIMIT -1 OFFSET ?);
