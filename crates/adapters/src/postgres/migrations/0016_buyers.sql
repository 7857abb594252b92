-- Revised performances ----------------------------------------------------------------------------------------------
--
-- Instances read the performances that were revised lately, once a second. Before, they read all that were ever revised. A server
-- of schema 15 may run next to this section: the trigger notes its revisions too.

-- When the start, the seats, their prices or blocks last changed; null if they never did. Holds and payments do not write it.
ALTER TABLE performances ADD COLUMN revised_at bigint;
UPDATE performances SET revised_at = updated_at WHERE revision > 0;

DROP INDEX performances_revised;
CREATE INDEX performances_revised ON performances (revised_at) WHERE revised_at IS NOT NULL;

CREATE FUNCTION note_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revised_at := NEW.updated_at;
    RETURN NEW;
END $$;
CREATE TRIGGER revisions_are_noted BEFORE UPDATE OF revision ON performances
    FOR EACH ROW EXECUTE FUNCTION note_revision();
