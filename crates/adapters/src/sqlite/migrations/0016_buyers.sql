-- What buyers see: steps of several features, a section for each.

-- Opening on time ---------------------------------------------------------------------------------------------------

-- From this instant on users enter before the sale opens; null if they may not.
ALTER TABLE rooms ADD COLUMN early_from INTEGER CHECK (early_from < opens_at);
-- When a decision first found the sale open, if users may enter early. It stays if a clock is set back.
ALTER TABLE rooms ADD COLUMN opened_at INTEGER;
