-- Who relays the outbox, how far that got, and what the data platform has.

-- Relays that are heard of.
CREATE TABLE relays (
    relay       BLOB    NOT NULL PRIMARY KEY,
    heard_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The outbox by its subjects, in eight parts. All events of a part up to sent_to were sent or set aside: nothing is
-- written to an event for being sent.
CREATE TABLE relay_parts (
    part         INTEGER NOT NULL PRIMARY KEY,
    sent_to      INTEGER NOT NULL DEFAULT 0,
    -- Another whenever the part goes to another relay.
    fence        INTEGER NOT NULL DEFAULT 0,
    relay        BLOB,
    leased_until INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO relay_parts (part) VALUES (0), (1), (2), (3), (4), (5), (6), (7);

-- Events to be sent again, though their part has passed them.
CREATE TABLE events_put_back (
    position INTEGER NOT NULL PRIMARY KEY
) STRICT;

-- What was delivered, so that a repeat has no second effect.
CREATE TABLE deliveries (
    event_id BLOB    NOT NULL PRIMARY KEY,
    at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_by_age ON deliveries (at);

-- Files of delivered events: whatever lies behind this length was not written down, and is cut off.
CREATE TABLE delivery_files (
    file   TEXT    NOT NULL PRIMARY KEY,
    length INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
