-- The request that an event comes from, where it was traced: 16 bytes of the trace, 8 of the span.
ALTER TABLE events ADD COLUMN trace bytea;
