-- What organisers change while a sale runs, without a programmer.

-- Live figures ------------------------------------------------------------------------------------------------------

-- Live figures read the performances that are not over, and no others.
CREATE INDEX performances_by_start ON performances (starts_at);
