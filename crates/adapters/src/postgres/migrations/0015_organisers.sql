-- What organisers change while a sale runs, without a programmer.
--
-- Stop all servers before this step. A server of an older schema does not know what is closed, blocked or cancelled here. It
-- writes a new version of a performance and leaves written_version as it is, and the constraint refuses that: its hold, payment,
-- release or refund fails.

ALTER TABLE performances DROP CONSTRAINT servers_of_schema_13_must_stop;
UPDATE performances SET policy_version = version WHERE policy_version <> version;
ALTER TABLE performances RENAME COLUMN policy_version TO written_version;
ALTER TABLE performances ADD CONSTRAINT servers_of_older_schemas_must_stop CHECK (written_version = version);

-- Live figures ------------------------------------------------------------------------------------------------------

-- Live figures read the performances that are not over, and no others.
CREATE INDEX performances_by_start ON performances (starts_at);

-- What each instance sold, admitted and answered in the last minute, for the other instances. Rows are deleted after two minutes.
CREATE TABLE instance_figures (
    instance_id uuid   NOT NULL PRIMARY KEY,
    seen_at     bigint NOT NULL,
    -- When live figures were last viewed at this instance.
    viewed_at   bigint NOT NULL,
    figures     text   NOT NULL
) WITH (fillfactor = 50);
