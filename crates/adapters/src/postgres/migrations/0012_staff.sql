-- Keys of staff with roles, sessions that stand for keys, and the log of what their owners changed.

CREATE TABLE staff_keys (
    key_id     uuid   NOT NULL PRIMARY KEY,
    -- The row of a deleted key stays: a name is never used twice.
    name       text COLLATE "C" NOT NULL UNIQUE CHECK (char_length(name) BETWEEN 1 AND 100 AND name <> 'root'),
    role       text   NOT NULL CHECK (role IN ('owner', 'organiser', 'support', 'door', 'cashier')),
    -- SHA-256 of the secret.
    hash       bytea  NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at bigint NOT NULL,
    deleted_at bigint
);

CREATE TRIGGER staff_keys_end_once BEFORE UPDATE ON staff_keys
    FOR EACH ROW WHEN (OLD.deleted_at IS NOT NULL) EXECUTE FUNCTION refuse('a deleted key of staff never changes');
CREATE TRIGGER staff_keys_never_change BEFORE UPDATE ON staff_keys
    FOR EACH ROW WHEN ((OLD.key_id, OLD.name, OLD.role, OLD.hash, OLD.created_at)
        IS DISTINCT FROM (NEW.key_id, NEW.name, NEW.role, NEW.hash, NEW.created_at))
    EXECUTE FUNCTION refuse('a key of staff never changes, except that it is deleted');
CREATE TRIGGER staff_keys_are_kept BEFORE DELETE ON staff_keys
    FOR EACH ROW EXECUTE FUNCTION refuse('the row of a key of staff is never deleted');
CREATE TRIGGER staff_keys_are_never_emptied BEFORE TRUNCATE ON staff_keys
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('the row of a key of staff is never deleted');

-- One row. Its version counts changes of the keys, and instances find a change by it and by the id of the last change.
CREATE TABLE staff_directory (
    singleton boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (singleton),
    version   bigint  NOT NULL,
    change_id uuid    NOT NULL,
    live      integer NOT NULL CHECK (live BETWEEN 0 AND 1000),
    -- Changes before this instant have no entry in the log.
    since     bigint  NOT NULL
);

INSERT INTO staff_directory (version, change_id, live, since)
    VALUES (0, '00000000-0000-0000-0000-000000000000', 0, (extract(epoch FROM clock_timestamp()) * 1000)::bigint);

-- When keys were used last. Not in their rows, which each change by staff locks.
CREATE TABLE staff_key_uses (
    key_id  uuid   NOT NULL PRIMARY KEY,
    used_at bigint NOT NULL
);

-- Sessions of the back office. Deleted at the sign-out, or some time after they are over.
CREATE TABLE staff_sessions (
    -- SHA-256 over the secret, and over the key of the settings if it stands for that.
    hash       bytea  NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    session_id uuid   NOT NULL,
    -- Without it: the key of the settings.
    key_id     uuid,
    started_at bigint NOT NULL,
    expires_at bigint NOT NULL CHECK (expires_at > started_at)
);

CREATE INDEX staff_sessions_by_end ON staff_sessions (expires_at);

CREATE TABLE admin_log (
    log_id     uuid    NOT NULL PRIMARY KEY,
    at         bigint  NOT NULL,
    -- Without it: the key of the settings.
    key_id     uuid,
    actor      text COLLATE "C" NOT NULL,
    action     text COLLATE "C" NOT NULL,
    subject    text COLLATE "C" NOT NULL,
    before     text,
    after      text,
    truncated  boolean NOT NULL,
    request_id text    NOT NULL,
    CHECK (octet_length(coalesce(before, '')) + octet_length(coalesce(after, '')) <= 16384)
);

CREATE INDEX admin_log_by_actor ON admin_log (actor, log_id);
CREATE INDEX admin_log_by_action ON admin_log (action, log_id);
CREATE INDEX admin_log_by_subject ON admin_log (subject, log_id);

CREATE TRIGGER admin_log_is_kept BEFORE UPDATE OR DELETE ON admin_log
    FOR EACH ROW EXECUTE FUNCTION refuse('an entry of the admin log is never changed or deleted');
CREATE TRIGGER admin_log_is_never_emptied BEFORE TRUNCATE ON admin_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('an entry of the admin log is never deleted');
