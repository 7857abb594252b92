-- Keys of staff with roles, sessions that stand for keys, and the log of what their owners changed.

CREATE TABLE staff_keys (
    key_id     BLOB    NOT NULL PRIMARY KEY CHECK (length(key_id) = 16),
    -- The row of a deleted key stays: a name is never used twice.
    name       TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 100 AND name <> 'root'),
    role       TEXT    NOT NULL CHECK (role IN ('owner', 'organiser', 'support', 'door', 'cashier')),
    -- SHA-256 of the secret.
    hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TRIGGER staff_keys_end_once BEFORE UPDATE ON staff_keys WHEN OLD.deleted_at IS NOT NULL
BEGIN SELECT raise(ABORT, 'a deleted key of staff never changes'); END;
CREATE TRIGGER staff_keys_never_change BEFORE UPDATE OF key_id, name, role, hash, created_at ON staff_keys
BEGIN SELECT raise(ABORT, 'a key of staff never changes, except that it is deleted'); END;
CREATE TRIGGER staff_keys_are_kept BEFORE DELETE ON staff_keys
BEGIN SELECT raise(ABORT, 'the row of a key of staff is never deleted'); END;

-- One row. Its version counts changes of the keys.
CREATE TABLE staff_directory (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    version   INTEGER NOT NULL,
    -- The id of the last change.
    change_id BLOB    NOT NULL CHECK (length(change_id) = 16),
    live      INTEGER NOT NULL CHECK (live BETWEEN 0 AND 1000),
    -- Changes before this instant have no entry in the log.
    since     INTEGER NOT NULL
) STRICT;

INSERT INTO staff_directory (singleton, version, change_id, live, since)
    VALUES (1, 0, zeroblob(16), 0, CAST(unixepoch('subsec') * 1000 AS INTEGER));

-- When keys were used last. Not in their rows, which never change.
CREATE TABLE staff_key_uses (
    key_id  BLOB    NOT NULL PRIMARY KEY REFERENCES staff_keys,
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sessions of the back office. Deleted at the sign-out, or some time after they are over.
CREATE TABLE staff_sessions (
    -- SHA-256 over the secret, and over the key of the settings if it stands for that.
    hash       BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    session_id BLOB    NOT NULL CHECK (length(session_id) = 16),
    -- Without it: the key of the settings.
    key_id     BLOB    REFERENCES staff_keys,
    started_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL CHECK (expires_at > started_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX staff_sessions_by_end ON staff_sessions (expires_at);

CREATE TABLE admin_log (
    log_id     BLOB    NOT NULL PRIMARY KEY CHECK (length(log_id) = 16),
    at         INTEGER NOT NULL,
    -- Without it: the key of the settings.
    key_id     BLOB    REFERENCES staff_keys,
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    before     TEXT,
    after      TEXT,
    truncated  INTEGER NOT NULL CHECK (truncated IN (0, 1)),
    request_id TEXT    NOT NULL,
    -- Bytes. Older tools that open the file, such as the command `sqlite3` of a backup, have no octet_length.
    CHECK (length(CAST(coalesce(before, '') AS BLOB)) + length(CAST(coalesce(after, '') AS BLOB)) <= 16384)
) STRICT;

CREATE INDEX admin_log_by_actor ON admin_log (actor, log_id);
CREATE INDEX admin_log_by_action ON admin_log (action, log_id);
CREATE INDEX admin_log_by_subject ON admin_log (subject, log_id);

CREATE TRIGGER admin_log_is_never_rewritten BEFORE UPDATE ON admin_log
BEGIN SELECT raise(ABORT, 'an entry of the admin log is never changed'); END;
CREATE TRIGGER admin_log_is_never_shortened BEFORE DELETE ON admin_log
BEGIN SELECT raise(ABORT, 'an entry of the admin log is never deleted'); END;
