-- Revised performances ----------------------------------------------------------------------------------------------
--
-- Instances read the performances that were revised lately, once a second. Before, they read all that were ever revised. Stop all
-- servers before this step: one of an older schema does not write when it revised a performance.

-- When the start, the seats, their prices or blocks last changed, or when it was added over a day after its start; else null. Holds
-- and payments do not write it.
ALTER TABLE performances ADD COLUMN revised_at bigint;
UPDATE performances SET revised_at = updated_at WHERE revision > 0;

DROP INDEX performances_revised;
CREATE INDEX performances_revised ON performances (revised_at) WHERE revised_at IS NOT NULL;
